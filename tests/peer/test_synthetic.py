"""The synthetic weights come out the same on every machine."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from tests.peer import files
from tests.peer.synthetic import uniform


def test_a_tensor_has_the_same_bytes_everywhere() -> None:
    drawn = uniform("model.diffusion_model.out.2.weight", (4, 320, 3, 3), 0.5)
    assert drawn.dtype == torch.float16
    assert hashlib.sha256(drawn.numpy().tobytes()).hexdigest()[:16] == "99532a1d9d6bc975"
    assert drawn.abs().max() <= 0.5


def test_another_name_gives_another_tensor() -> None:
    assert not torch.equal(uniform("a", (8,), 1.0), uniform("b", (8,), 1.0))


@pytest.mark.parametrize("file", [files.LORA, files.EMBEDDING], ids=lambda file: file.name)
def test_a_small_file_has_the_bytes_that_a1111_was_given(file: files.SyntheticFile, tmp_path: Path) -> None:
    files.build(tmp_path, file)
    assert hashlib.sha256((tmp_path / file.name).read_bytes()).hexdigest() == file.sha256
    with safe_open(tmp_path / file.name, "pt") as opened:
        assert set(opened.keys()) == set(file.tensors())


def test_a_file_that_comes_out_otherwise_is_not_kept(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"synth-ti\.safetensors came out"):
        files.build(tmp_path, replace(files.EMBEDDING, sha256="0" * 64))
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_is_not_made_again(tmp_path: Path) -> None:
    (tmp_path / files.CHECKPOINT.name).write_bytes(b"here")
    files.build(tmp_path, files.CHECKPOINT)
    assert (tmp_path / files.CHECKPOINT.name).read_bytes() == b"here"

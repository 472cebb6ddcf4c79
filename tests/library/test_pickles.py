"""Pickled checkpoints are read without running anything that they hold."""

import os
import zipfile
from pathlib import Path

import pytest
import torch

from modules.library.pickles import StoredTensor, read_pickled
from modules.library.reading import UnreadableFile


class Harmful:
    """Runs a command when it is unpickled in the ordinary way."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.target}",)


def test_names_shapes_and_places_come_from_the_description_alone(tmp_path: Path) -> None:
    tensors = {
        "a.weight": torch.arange(6.0).reshape(2, 3).T, "b": torch.nn.Parameter(torch.ones(2)),
        "half": torch.zeros(3, dtype=torch.float16), "number": torch.tensor(5),
    }  # fmt: skip
    torch.save({"state_dict": tensors, "epoch": 3}, tmp_path / "x.ckpt")
    found = read_pickled(tmp_path / "x.ckpt")
    assert found.tensors["a.weight"] == StoredTensor("data/0", "float32", 0, (3, 2), (1, 3))
    assert {name: (it.kind, it.shape) for name, it in found.tensors.items()} == {
        "a.weight": ("float32", (3, 2)), "b": ("float32", (2,)), "half": ("float16", (3,)), "number": ("int64", ()),
    }  # fmt: skip
    assert found.header().shapes["b"] == (2,)


@pytest.mark.parametrize("nested", [True, False])
def test_tensors_are_found_with_and_without_a_table_around_them(nested: bool, tmp_path: Path) -> None:
    tensors = {"a": torch.ones(1)}
    torch.save({"state_dict": tensors} if nested else tensors, tmp_path / "x.pt")
    assert set(read_pickled(tmp_path / "x.pt").tensors) == {"a"}


def test_nothing_that_a_file_holds_is_ever_run(tmp_path: Path) -> None:
    torch.save({"state_dict": {"a": torch.ones(1)}, "more": Harmful(tmp_path / "ran")}, tmp_path / "x.ckpt")
    assert set(read_pickled(tmp_path / "x.ckpt").tensors) == {"a"}
    assert not (tmp_path / "ran").exists()


def test_what_is_no_such_file_is_refused_with_the_reason(tmp_path: Path) -> None:
    whole = tmp_path / "whole.ckpt"
    torch.save({"a": torch.ones(1000)}, whole)
    cases = {
        "empty": (b"", "the file is empty"),
        "cut": (whole.read_bytes()[:900], "the file is cut off"),
        "old": (b"\x80\x02\x8a\x0a", "before version 1.6"),
    }
    for name, (content, reason) in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UnreadableFile, match=reason):
            read_pickled(tmp_path / name)
    with pytest.raises(UnreadableFile, match="cannot be read"):
        read_pickled(tmp_path / "missing")


@pytest.mark.parametrize("description", [b"", b"\x80\x04]q", b"." * 10, b"garbage"])
def test_a_broken_description_is_refused_or_empty(description: bytes, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.ckpt", "w") as archive:
        archive.writestr("x/data.pkl", description)
    with pytest.raises(UnreadableFile, match="broken"):
        read_pickled(tmp_path / "x.ckpt")


def test_a_call_of_something_unknown_gives_nothing(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.ckpt", "w") as archive:
        archive.writestr("x/data.pkl", b"cos\nsystem\n(S'touch ran'\ntR.")
    assert read_pickled(tmp_path / "x.ckpt").tensors == {}

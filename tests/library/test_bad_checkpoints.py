"""Everything that people put into the checkpoint folder and that is none: a reason in plain words, at once."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from modules.core.errors import ModelUnavailable
from modules.library.catalog import CheckpointCatalog
from modules.library.hashing import HashCache
from tests import layouts
from tests.layouts import write_header_only


class Evil:
    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {Path('pwned').absolute()}",)


def archive(content: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        file.writestr("archive/data.pkl", content)
    return stream.getvalue()


BAD: dict[str, tuple[bytes, str]] = {
    "empty.safetensors": (b"", "the file is empty"),
    "zeros.safetensors": (bytes(4096), "nothing but zeros"),
    "gguf.safetensors": (b"GGUF\x03\0\0\0" + bytes(range(200)), "GGUF"),
    "text.safetensors": (b"Dear user, this is a readme and no model at all.", "not a safetensors file"),
    "page.safetensors": (b"<!DOCTYPE html><html><body>Please sign in", "web page"),
    "pointer.safetensors": (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a", "Git LFS"),
    "zip.safetensors": (archive(b"x"), "not a safetensors file"),
    "empty.ckpt": (b"", "the file is empty"),
    "zeros.ckpt": (bytes(4096), "nothing but zeros"),
    "page.ckpt": (b"\n<html><body>404", "web page"),
    "text.ckpt": (b"Dear user", "convert it to .safetensors"),
    "cut.ckpt": (archive(b"x" * 500)[:200], "cut off"),
    "evil.ckpt": (archive(pickle.dumps({"state_dict": {"a": Evil()}})), "no Stable Diffusion U-Net"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_checkpoint_is_listed_with_the_reason(name: str, tmp_path: Path) -> None:
    content, reason = BAD[name]
    (tmp_path / name).write_bytes(content)
    catalog = CheckpointCatalog([tmp_path], HashCache(tmp_path / "hashes.json"))
    (entry,) = catalog.entries()
    assert not entry.usable
    assert reason in entry.reason
    with pytest.raises(ModelUnavailable, match=f"The checkpoint {name} cannot be used: "):
        catalog.find(name)
    assert not Path("pwned").exists()


def test_networks_among_the_checkpoints_are_called_what_they_are(tmp_path: Path) -> None:
    write_header_only(tmp_path / "lora.safetensors", {"lora_unet_mid_block_proj_in.lora_up.weight": (4, 4)})
    write_header_only(tmp_path / "vae.safetensors", {"encoder.conv_in.weight": (4, 4)})
    write_header_only(tmp_path / "embedding.safetensors", {"emb_params": (4, 768)})
    entries = CheckpointCatalog([tmp_path], HashCache(tmp_path / "hashes.json")).entries()
    assert {entry.name: entry.reason for entry in entries} == {
        "embedding.safetensors": "this is an embedding, not a checkpoint",
        "lora.safetensors": "this is a LoRA, not a checkpoint",
        "vae.safetensors": "this is a VAE, not a checkpoint",
    }


def bytes_read() -> int:
    """Return how many bytes this process has read so far, as Linux counts them."""
    lines = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    return int(dict(line.split(": ") for line in lines)["rchar"])


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="the bytes that were read are counted as Linux does")
def test_of_a_sparse_file_of_ten_gigabytes_only_the_header_is_read(tmp_path: Path) -> None:
    write_header_only(tmp_path / "sparse.safetensors", layouts.sdxl().shapes(), size=10**10)
    with (tmp_path / "zeros.ckpt").open("wb") as file:
        file.truncate(10**10)
    before = bytes_read()
    usable = {e.name: e.usable for e in CheckpointCatalog([tmp_path], HashCache(tmp_path / "hashes.json")).entries()}
    assert bytes_read() - before < 10**7
    assert usable == {"sparse.safetensors": True, "zeros.ckpt": False}


@pytest.mark.parametrize("name", [
    "a [v1], (best) {x}.safetensors", "größe ü ñ 模型.safetensors", "🐶🎨.safetensors", "dots.v1.5.safetensors",
    "quote's \"double\".safetensors", "percent %20 & hash #1.safetensors",
])  # fmt: skip
def test_names_of_every_kind_are_found_by_name_and_title(name: str, tmp_path: Path) -> None:
    write_header_only(tmp_path / name, layouts.sd1().shapes())
    catalog = CheckpointCatalog([tmp_path], HashCache(tmp_path / "hashes.json"))
    assert catalog.find(name).path == tmp_path / name
    hashed = catalog.hashed(catalog.find(name))
    assert catalog.find(hashed.title).path == tmp_path / name
    assert catalog.find(name.removesuffix(".safetensors")).path == tmp_path / name


def test_two_files_with_one_name_are_both_listed_and_told_apart(tmp_path: Path) -> None:
    folders = [tmp_path / "first" / "models", tmp_path / "second" / "models", tmp_path / "third" / "models"]
    for folder in folders:
        folder.mkdir(parents=True)
        write_header_only(folder / "same.safetensors", layouts.sd1().shapes())
    catalog = CheckpointCatalog(folders, HashCache(tmp_path / "hashes.json"))
    names = {entry.name: entry.path for entry in catalog.entries()}
    assert names == {
        "same.safetensors": folders[0] / "same.safetensors",
        "models/same.safetensors": folders[1] / "same.safetensors",
        "third/models/same.safetensors": folders[2] / "same.safetensors",
    }
    assert all(catalog.find(name).path == path for name, path in names.items())


def test_a_file_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_header_only(tmp_path / "mine.safetensors", layouts.sd1().shapes())
    plain = Path.open

    def refusing(path: Path, *rest: object, **named: object) -> object:
        if path.name == "mine.safetensors":
            raise PermissionError(13, "Permission denied")
        return plain(path, *rest, **named)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", refusing)
    (entry,) = CheckpointCatalog([tmp_path], HashCache(tmp_path / "hashes.json")).entries()
    assert (entry.usable, entry.reason) == (False, "the file cannot be read: Permission denied")

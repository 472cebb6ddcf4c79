"""Which VAE a choice means for which checkpoint."""

import hashlib
from pathlib import Path

import pytest

from modules.core.errors import ModelUnavailable
from modules.library.hashing import HashCache
from modules.library.model_notes import write_notes
from modules.library.vae_files import VaeCatalog


def touch(path: Path, content: bytes = b"") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.fixture
def vaes(tmp_path: Path) -> VaeCatalog:
    return VaeCatalog([tmp_path / "VAE"], [tmp_path / "models"], HashCache(tmp_path / "hashes.json"))


def test_the_list_names_files_with_their_endings(tmp_path: Path, vaes: VaeCatalog) -> None:
    for name in ("VAE/v10.pt", "VAE/sub/v2.safetensors", "VAE/notes.txt", "models/m.vae.ckpt", "models/m.ckpt"):
        touch(tmp_path / name)
    assert vaes.names() == ["Automatic", "None", "m.vae.ckpt", "v2.safetensors", "v10.pt"]


def test_a_name_means_its_file_in_any_case_and_without_ending(tmp_path: Path, vaes: VaeCatalog) -> None:
    path = touch(tmp_path / "VAE" / "Fine.vae.safetensors")
    for option in ("Fine.vae.safetensors", "fine.VAE.safetensors", "fine.vae", "fine"):
        entry = vaes.resolve(option, tmp_path / "models" / "m.safetensors")
        assert entry is not None
        assert (entry.name, entry.path) == ("Fine.vae.safetensors", path)
        assert vaes.accepts(option)


def test_a_missing_vae_is_answered_with_those_that_exist(tmp_path: Path, vaes: VaeCatalog) -> None:
    touch(tmp_path / "VAE" / "a.pt")
    assert not vaes.accepts("b.pt")
    with pytest.raises(ModelUnavailable, match=r"no VAE named 'b\.pt'.*Automatic, None, a\.pt"):
        vaes.resolve("b.pt", tmp_path / "models" / "m.safetensors")


def test_none_means_the_checkpoints_own_whatever_lies_beside_it(tmp_path: Path, vaes: VaeCatalog) -> None:
    touch(tmp_path / "models" / "m.vae.pt")
    assert vaes.resolve("None", tmp_path / "models" / "m.safetensors") is None
    assert vaes.accepts("None")


@pytest.mark.parametrize("option", ["Automatic", "auto", ""])
@pytest.mark.parametrize(
    ("files", "chosen"),
    [
        (["models/m.vae.safetensors", "models/m.vae.pt", "VAE/m.safetensors"], "models/m.vae.safetensors"),
        (["models/m.vae.pt", "models/m.vae.ckpt"], "models/m.vae.pt"),
        (["models/m.vae.ckpt", "VAE/m.pt"], "models/m.vae.ckpt"),
        (["VAE/sub/m.pt"], "VAE/sub/m.pt"),
        (["VAE/m.vae.pt"], "VAE/m.vae.pt"),
        (["VAE/m2.pt", "models/m2.vae.pt"], None),
        ([], None),
    ],
)
def test_automatic_means_the_vae_named_after_the_checkpoint(
    tmp_path: Path, vaes: VaeCatalog, option: str, files: list[str], chosen: str | None
) -> None:
    for name in files:
        touch(tmp_path / name)
    entry = vaes.resolve(option, touch(tmp_path / "models" / "m.safetensors"))
    assert (entry.path if entry else None) == (tmp_path / chosen if chosen else None)


@pytest.mark.parametrize(
    ("noted", "chosen"),
    [
        ("fine.pt", "VAE/fine.pt"), ("FINE", "VAE/fine.pt"), ("None", None), ("Automatic", "models/m.vae.pt"),
        ("", "models/m.vae.pt"), ("gone.pt", "models/m.vae.pt"),
    ],
)  # fmt: skip
def test_the_vae_that_is_noted_for_a_checkpoint_comes_before_the_one_beside_it(
    tmp_path: Path, vaes: VaeCatalog, noted: str, chosen: str | None
) -> None:
    touch(tmp_path / "VAE" / "fine.pt")
    touch(tmp_path / "models" / "m.vae.pt")
    checkpoint = touch(tmp_path / "models" / "m.safetensors")
    write_notes(checkpoint, {"vae": noted})
    entry = vaes.resolve("Automatic", checkpoint)
    assert (entry.path if entry else None) == (tmp_path / chosen if chosen else None)
    explicit = vaes.resolve("fine.pt", checkpoint)
    assert explicit is not None
    assert explicit.name == "fine.pt"


def test_a_diffusers_folder_may_have_a_vae_beside_it_too(tmp_path: Path, vaes: VaeCatalog) -> None:
    (tmp_path / "models" / "v1.5").mkdir(parents=True)
    path = touch(tmp_path / "models" / "v1.5.vae.pt")
    entry = vaes.resolve("Automatic", tmp_path / "models" / "v1.5")
    assert entry is not None
    assert entry.path == path


def test_the_hash_is_the_first_ten_digits_of_the_files(tmp_path: Path, vaes: VaeCatalog) -> None:
    touch(tmp_path / "VAE" / "a.pt", b"content")
    (entry,) = vaes.entries()
    assert vaes.short_hash(entry) == hashlib.sha256(b"content").hexdigest()[:10]
    entry.path.unlink()
    vaes.hashes.path.unlink()
    with pytest.raises(ModelUnavailable, match=r"a\.pt cannot be read"):
        vaes.short_hash(entry)


def test_new_files_are_seen_after_a_refresh(tmp_path: Path, vaes: VaeCatalog) -> None:
    assert vaes.entries() == []
    touch(tmp_path / "VAE" / "a.pt")
    assert vaes.entries() == []
    assert [entry.name for entry in vaes.refresh()] == ["a.pt"]
    assert vaes.names() == ["Automatic", "None", "a.pt"]

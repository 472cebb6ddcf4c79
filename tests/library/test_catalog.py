import json
import struct
from pathlib import Path

import pytest

from modules.core.errors import ModelUnavailable
from modules.library.catalog import CheckpointCatalog
from modules.library.hashing import HashCache

UNET_INPUT = "model.diffusion_model.input_blocks.0.0.weight"
SHAPES = {
    UNET_INPUT: [320, 4, 3, 3],
    "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": [320, 768],
    "first_stage_model.decoder.conv_in.weight": [512, 4, 3, 3],
    "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight": [49408, 768],
}


def checkpoint(path: Path, salt: str = "") -> Path:
    """A file with an SD 1.x header and no data to speak of."""
    path.parent.mkdir(parents=True, exist_ok=True)
    entries = {name: {"dtype": "F16", "shape": shape, "data_offsets": [0, 0]} for name, shape in SHAPES.items()}
    header = json.dumps(entries | {"__metadata__": {"salt": salt}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    return path


def catalog(*folders: Path) -> CheckpointCatalog:
    return CheckpointCatalog(folders, HashCache(folders[0] / "hashes.json"))


def test_everything_below_the_folder_is_listed_with_numbers_in_order(tmp_path: Path) -> None:
    for name in ("model10.safetensors", "model2.safetensors", "sub/Deep.safetensors"):
        checkpoint(tmp_path / name)
    (tmp_path / "notes.txt").write_text("not a model")
    (tmp_path / "model2.vae.safetensors").write_bytes(b"a VAE beside its model")
    assert [entry.name for entry in catalog(tmp_path).entries()] == [
        "model2.safetensors",
        "model10.safetensors",
        "sub/Deep.safetensors",
    ]


def test_a_title_carries_the_hash_once_it_is_known_and_remembers_it(tmp_path: Path) -> None:
    checkpoint(tmp_path / "a.safetensors")
    models = catalog(tmp_path)
    entry = models.find("a")
    assert entry.title == "a.safetensors"
    hashed = models.hashed(entry)
    assert hashed.title == f"a.safetensors [{hashed.short_hash}]"
    assert len(hashed.short_hash or "") == 10
    assert catalog(tmp_path).find("a").title == hashed.title


def test_the_short_title_leaves_out_folder_and_ending(tmp_path: Path) -> None:
    checkpoint(tmp_path / "sub" / "a.safetensors")
    models = catalog(tmp_path)
    entry = models.find("a")
    assert entry.short_title == "a"
    hashed = models.hashed(entry)
    assert hashed.short_title == f"a [{hashed.short_hash}]"


def test_a_changed_file_is_hashed_anew(tmp_path: Path) -> None:
    models = catalog(tmp_path)
    file = checkpoint(tmp_path / "a.safetensors")
    before = models.hashed(models.find("a")).sha256
    checkpoint(file, salt="another and longer one")
    models.refresh()
    assert models.find("a").sha256 is None
    assert models.hashed(models.find("a")).sha256 != before


def test_a_checkpoint_is_found_by_any_of_its_names(tmp_path: Path) -> None:
    checkpoint(tmp_path / "sub" / "Fine Model.safetensors")
    checkpoint(tmp_path / "other.safetensors", salt="other")
    models = catalog(tmp_path)
    entry = models.hashed(models.find("Fine Model"))
    for name in (
        entry.title, "sub/Fine Model.safetensors", "fine model.safetensors", "FINE MODEL", entry.sha256,
        entry.short_hash, "fine", "Fine Model.safetensors [0000000000]",
    ):  # fmt: skip
        assert models.find(str(name)).path == entry.path


def test_a_missing_checkpoint_is_answered_with_those_that_exist(tmp_path: Path) -> None:
    checkpoint(tmp_path / "a.safetensors")
    with pytest.raises(ModelUnavailable, match=r"no checkpoint named 'b'.*a\.safetensors"):
        catalog(tmp_path).find("b")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("cut.safetensors", b"\x00", "cut off"),
        ("old.ckpt", b"PK\x03\x04", "the file is cut off"),
        ("page.safetensors", b"<!DOCTYPE html><html>", "web page"),
    ],
)
def test_a_broken_file_is_listed_as_unusable_with_the_reason(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    (tmp_path / name).write_bytes(content)
    checkpoint(tmp_path / "good.safetensors")
    models = catalog(tmp_path)
    (broken,) = [entry for entry in models.entries() if entry.name == name]
    assert not broken.usable
    assert reason in broken.reason
    assert models.default().name == "good.safetensors"
    with pytest.raises(ModelUnavailable, match=reason):
        models.find(name)


def test_the_starter_model_is_the_default_only_when_there_is_no_other(tmp_path: Path, starter_model: Path) -> None:
    models = catalog(tmp_path, starter_model.parent)
    assert models.default().name == "starter"
    assert models.default().native_size == 128
    checkpoint(tmp_path / "zzz.safetensors")
    models.refresh()
    assert models.default().name == "zzz.safetensors"


def test_an_empty_folder_says_where_to_put_a_model(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match=str(tmp_path)):
        catalog(tmp_path).default()


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    checkpoint(tmp_path / "a.safetensors")
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    assert [entry.name for entry in catalog(tmp_path).entries()] == ["a.safetensors"]


def test_a_hash_cache_that_cannot_be_written_costs_nothing_else(tmp_path: Path) -> None:
    file = checkpoint(tmp_path / "a.safetensors")
    blocked = tmp_path / "file"
    blocked.write_text("a file where the cache wants a folder")
    assert len(HashCache(blocked / "hashes.json").sha256(file)) == 64

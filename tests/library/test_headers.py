"""What network files say of themselves is read once and kept over restarts; a lost or broken cache is made anew."""

import json
import struct
from pathlib import Path

import pytest

from modules.library.hashing import stamp_of
from modules.library.headers import HeaderCache, HeaderFacts
from tests.library.test_network_files import network

DIGEST = "ab" * 32


def kept(folder: Path) -> tuple[Path, Path]:
    """A file and a cache that knows it."""
    file = network(folder / "a.safetensors", alias="b", sshs_model_hash=DIGEST, ss_v2="True")
    cache = HeaderCache(folder / "cache" / "headers.json")
    assert cache.facts(file, stamp_of(file)) == HeaderFacts("b", DIGEST, "SD2")
    cache.save()
    assert cache.path is not None
    return file, cache.path


def test_facts_are_known_again_without_reading_the_file(tmp_path: Path) -> None:
    file, path = kept(tmp_path)
    stamp = stamp_of(file)
    file.unlink()
    assert HeaderCache(path).known(str(file), stamp) == HeaderFacts("b", DIGEST, "SD2")


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    file, path = kept(tmp_path)
    network(file, alias="another name")
    cache = HeaderCache(path)
    assert cache.known(str(file), stamp_of(file)) is None
    assert cache.facts(file, stamp_of(file)).alias == "another name"


@pytest.mark.parametrize("content", ["", "{", "[]", "7", '{"x": 5}', '{"x": [1, 2]}', '{"x": ["a", 2, 3, 4, 5]}'])
def test_a_broken_cache_is_made_anew(tmp_path: Path, content: str) -> None:
    file, path = kept(tmp_path)
    path.write_text(content)
    cache = HeaderCache(path)
    assert cache.known(str(file), stamp_of(file)) is None
    assert cache.facts(file, stamp_of(file)).alias == "b"
    cache.save()
    assert HeaderCache(path).known(str(file), stamp_of(file)) is not None


def test_a_cache_that_cannot_be_written_costs_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("in the way")
    file = network(tmp_path / "a.safetensors", alias="b")
    cache = HeaderCache(tmp_path / "cache" / "headers.json")
    assert cache.facts(file, stamp_of(file)).alias == "b"
    cache.save()
    assert cache.known(str(file), stamp_of(file)) is not None


def test_a_header_that_could_not_be_read_is_told_not_kept_and_tried_again(tmp_path: Path) -> None:
    file = tmp_path / "a.safetensors"
    file.write_bytes(struct.pack("<Q", 99) + b"{")
    cache = HeaderCache(tmp_path / "headers.json")
    stamp = stamp_of(file)
    assert "cut off" in cache.facts(file, stamp).problem
    cache.save()
    assert HeaderCache(tmp_path / "headers.json").known(str(file), stamp) is None
    assert cache.known(str(file), stamp) is not None
    cache.forget_problems()
    assert cache.known(str(file), stamp) is None


def test_files_that_are_gone_are_forgotten_when_something_new_is_written(tmp_path: Path) -> None:
    file, path = kept(tmp_path)
    other = network(tmp_path / "other.safetensors")
    cache = HeaderCache(path)
    cache.facts(other, stamp_of(other))
    cache.save({str(other)})
    assert list(json.loads(path.read_text())) == [str(other)]
    assert str(file) not in path.read_text()

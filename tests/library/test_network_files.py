"""Network files are found by name, alias and folder, in any case; their hashes are those that infotexts carry."""

import hashlib
import json
import struct
import threading
from pathlib import Path

import pytest

from modules.core.errors import NetworkUnavailable
from modules.library.hashing import HashCache
from modules.library.network_files import LORA_ENDINGS, NetworkFolder

DATA = b"the tensors' bytes"


def network(path: Path, alias: str | None = None, data: bytes = DATA, **metadata: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if alias is not None:
        metadata["ss_output_name"] = alias
    tensor = {"dtype": "U8", "shape": [len(data)], "data_offsets": [0, len(data)]}
    header = json.dumps({"__metadata__": metadata, "x": tensor}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + data)
    return path


def folder(*folders: Path) -> NetworkFolder:
    return NetworkFolder(folders, LORA_ENDINGS, HashCache(folders[0] / "hashes.json"), hash_kind="tensors")


def found(files: NetworkFolder, name: str) -> Path | None:
    file = files.find(name)
    return file.path if file else None


def test_everything_below_the_folders_is_listed_by_name_with_numbers_in_order(tmp_path: Path) -> None:
    for name in ("one/b10.safetensors", "one/sub/B2.pt", "two/a.ckpt", "one/.hidden/x.pt", "one/._b2.pt", "one/c.txt"):
        network(tmp_path / name)
    entries = folder(tmp_path / "one", tmp_path / "two", tmp_path / "missing").entries()
    assert [(file.name, file.relative) for file in entries] == [
        ("a", "a.ckpt"), ("B2", "sub/B2.pt"), ("b10", "b10.safetensors"),
    ]  # fmt: skip


def test_a_file_is_found_by_name_folder_and_alias_in_any_case(tmp_path: Path) -> None:
    path = network(tmp_path / "sub" / "Fine.One.safetensors", alias="Trained As")
    files = folder(tmp_path)
    for name in ("Fine.One", "fine.one", " FINE.ONE ", "sub/fine.one", "trained as", "Trained As"):
        assert found(files, name) == path
    for name in ("", "fine", "fine.one.safetensors", "one", "other/fine.one"):
        assert found(files, name) is None


def test_a_name_comes_before_an_alias(tmp_path: Path) -> None:
    network(tmp_path / "a.safetensors", alias="b")
    path = network(tmp_path / "b.safetensors", alias="a")
    assert found(folder(tmp_path), "b") == path


def test_an_alias_of_several_files_finds_none(tmp_path: Path) -> None:
    for name in ("a", "b"):
        network(tmp_path / f"{name}.safetensors", alias="last")
    files = folder(tmp_path)
    assert found(files, "last") is None
    assert found(files, "b") == tmp_path / "b.safetensors"


def test_of_equal_names_the_first_folder_wins_and_the_folder_tells_them_apart(tmp_path: Path) -> None:
    first = network(tmp_path / "one" / "x" / "a.safetensors")
    second = network(tmp_path / "two" / "y" / "a.safetensors")
    files = folder(tmp_path / "one", tmp_path / "two")
    assert found(files, "a") == first
    assert found(files, "y/a") == second
    assert len(files.entries()) == 2


def test_without_metadata_or_with_a_broken_header_the_name_is_the_alias(tmp_path: Path) -> None:
    network(tmp_path / "plain.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"<html>")
    (tmp_path / "old.pt").write_bytes(b"PK")
    assert {file.name: file.alias for file in folder(tmp_path).entries()} == {
        "plain": "plain", "broken": "broken", "old": "old",
    }  # fmt: skip


def test_metadata_is_kept_as_the_header_has_it(tmp_path: Path) -> None:
    network(tmp_path / "a.safetensors", alias="b", ss_network_dim="4")
    (file,) = folder(tmp_path).entries()
    assert file.metadata == {"ss_output_name": "b", "ss_network_dim": "4"}


def test_new_changed_and_vanished_files_are_seen(tmp_path: Path) -> None:
    path = network(tmp_path / "a.safetensors", alias="first")
    files = folder(tmp_path)
    assert found(files, "first") == path
    network(path, alias="second one")
    assert found(files, "second one") == path
    network(tmp_path / "b.safetensors")
    assert found(files, "b") is None
    assert [file.name for file in files.refresh()] == ["a", "b"]
    path.unlink()
    assert found(files, "a") is None
    assert [file.name for file in files.entries()] == ["b"]


def test_links_are_followed_and_circles_end(tmp_path: Path) -> None:
    network(tmp_path / "elsewhere" / "far.safetensors")
    network(tmp_path / "loras" / "near.safetensors")
    (tmp_path / "loras" / "linked").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "loras" / "circle").symlink_to(tmp_path / "loras", target_is_directory=True)
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "loras", target_is_directory=True)
    assert [file.name for file in folder(tmp_path / "loras").entries()] == ["far", "near"]


def test_the_hash_of_a_lora_leaves_out_its_header(tmp_path: Path) -> None:
    files = folder(tmp_path)
    expected = hashlib.sha256(DATA).hexdigest()[:12]
    for name, alias in (("a", "one"), ("b", "another and longer one")):
        network(tmp_path / f"{name}.safetensors", alias=alias)
        files.refresh()
        file = files.find(name)
        assert file is not None
        assert files.short_hash(file) == expected


def test_the_hash_of_a_pickle_is_that_of_the_whole_file(tmp_path: Path) -> None:
    path = network(tmp_path / "a.pt")
    files = folder(tmp_path)
    (file,) = files.entries()
    assert files.short_hash(file) == hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def test_the_hash_that_the_trainer_wrote_down_is_taken(tmp_path: Path) -> None:
    network(tmp_path / "a.safetensors", sshs_model_hash="AB" * 32)
    network(tmp_path / "b.safetensors", sshs_model_hash="no hash")
    files = folder(tmp_path)
    assert [files.short_hash(file) for file in files.entries()] == ["ab" * 6, hashlib.sha256(DATA).hexdigest()[:12]]


def test_the_hash_of_a_file_that_is_gone_says_so(tmp_path: Path) -> None:
    path = network(tmp_path / "a.safetensors")
    files = folder(tmp_path)
    (file,) = files.entries()
    path.unlink()
    with pytest.raises(NetworkUnavailable, match=r"a\.safetensors cannot be read"):
        files.short_hash(file)


@pytest.mark.parametrize("content", [b"", b"abc", b"\xff" * 12])
def test_a_file_without_a_whole_header_has_a_hash_all_the_same(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.safetensors").write_bytes(content)
    files = folder(tmp_path)
    (file,) = files.entries()
    assert files.short_hash(file) == hashlib.sha256(b"").hexdigest()[:12]


def test_both_hashes_of_a_file_are_remembered_side_by_side(tmp_path: Path) -> None:
    file = network(tmp_path / "a.safetensors")
    hashes = HashCache(tmp_path / "hashes.json")
    whole, tensors = hashes.sha256(file), hashes.sha256(file, "tensors")
    again = HashCache(tmp_path / "hashes.json")
    assert (again.known(file), again.known(file, "tensors")) == (whole, tensors)
    assert (whole, tensors) == (hashlib.sha256(file.read_bytes()).hexdigest(), hashlib.sha256(DATA).hexdigest())
    network(file, data=b"other bytes, and more of them")
    assert (again.known(file), again.known(file, "tensors")) == (None, None)
    again.sha256(file, "tensors")
    assert again.known(file) is None


def test_a_cache_written_before_there_were_kinds_is_still_read(tmp_path: Path) -> None:
    file = network(tmp_path / "a.safetensors")
    status = file.stat()
    old = {str(file): {"size": status.st_size, "changed": status.st_mtime_ns, "sha256": "ab" * 32}}
    (tmp_path / "hashes.json").write_text(json.dumps(old))
    hashes = HashCache(tmp_path / "hashes.json")
    assert hashes.known(file) == "ab" * 32
    assert hashes.known(file, "tensors") is None


def test_many_threads_may_look_while_the_folder_is_read_again(tmp_path: Path) -> None:
    for number in range(20):
        network(tmp_path / f"n{number}.safetensors", alias=f"alias {number}")
    files = folder(tmp_path)
    wrong: list[str] = []

    def look() -> None:
        for number in range(20):
            if found(files, f"ALIAS {number}") is None:
                wrong.append(f"alias {number}")
            if number % 5 == 0:
                files.refresh()

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong

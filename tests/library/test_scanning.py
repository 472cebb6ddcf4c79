"""Files below folders are listed once, whatever links there are, and what comes and goes is noticed."""

import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from modules.library.scanning import natural_key, scan_files, walk_files

ENDINGS = (".safetensors", ".pt")


def make(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_both_ways_of_listing_find_the_same_files(tmp_path: Path) -> None:
    make(tmp_path / "in", "a.pt", "b/c.SAFETENSORS", "b/.hidden.pt", ".git/d.pt", "b/e.txt", "folder.pt/f.pt")
    make(tmp_path / "out", "far.pt")
    (tmp_path / "in" / "linked").symlink_to(tmp_path / "out", target_is_directory=True)
    (tmp_path / "out" / "back").symlink_to(tmp_path / "in", target_is_directory=True)
    (tmp_path / "in" / "dangling.pt").symlink_to(tmp_path / "nowhere")
    scan = scan_files(tmp_path / "in", ENDINGS)
    assert {file.path for file in scan.files} == set(walk_files(tmp_path / "in", ENDINGS))
    assert {file.relative for file in scan.files} == {
        "a.pt", "b/c.SAFETENSORS", "folder.pt/f.pt", "linked/far.pt", "dangling.pt",
    }  # fmt: skip
    real = {file.relative: file.real for file in scan.files}
    assert real["linked/far.pt"] == os.path.realpath(tmp_path / "out" / "far.pt")


def test_what_comes_and_goes_makes_a_list_stale(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    missing = scan_files(folder, ENDINGS)
    assert (missing.files, missing.unreadable, missing.is_stale()) == ([], [], False)
    make(folder, "sub/a.pt")
    assert missing.is_stale(), "a folder that was not there has come"
    scan = scan_files(folder, ENDINGS)
    assert not scan.is_stale()
    (folder / "sub" / "a.pt").write_text("changed in place")
    assert not scan.is_stale()
    os.utime(folder / "sub", (1, 1))
    assert scan.is_stale()


def test_names_are_in_the_order_that_people_expect() -> None:
    names = ["model10", "Model2", "model2b", "a", "10", "9", "model"]
    assert sorted(names, key=natural_key) == ["9", "10", "a", "model", "Model2", "model2b", "model10"]


@given(st.lists(st.text(max_size=12)))
def test_any_names_can_be_sorted_and_case_does_not_count(names: list[str]) -> None:
    ordered = sorted(names, key=natural_key)
    assert sorted(ordered) == sorted(names)
    assert all(natural_key(name) == natural_key(name.casefold()) for name in names)

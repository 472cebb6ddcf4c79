"""Extensions' scripts from memory: only what the page names, and only as long as the files stay as they are."""

import os
from pathlib import Path

import pytest

from modules.web.foreign_files import ForeignScripts, Places, stamp_of

ADDRESS = "/file=extensions/sample/javascript/main.js"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    scripts = tmp_path / "elsewhere" / "sample" / "javascript"
    scripts.mkdir(parents=True)
    (scripts / "main.js").write_text("first")
    return scripts


@pytest.fixture
def scripts(folder: Path, tmp_path: Path) -> ForeignScripts:
    (tmp_path / "outputs").mkdir()
    (tmp_path / "cache").mkdir()
    places = {"extensions/sample": folder.parent}
    return ForeignScripts(Places(tmp_path / "outputs", tmp_path / "cache", tmp_path, lambda: places))


def test_a_script_is_found_by_the_address_that_the_page_names(scripts: ForeignScripts, folder: Path) -> None:
    stamp = stamp_of(folder / "main.js")
    found = scripts.find(ADDRESS, stamp)
    assert found is not None
    assert (found.content, found.media_type) == (b"first", "text/javascript; charset=utf-8")
    assert scripts.find(ADDRESS, stamp) is found


def test_a_changed_script_has_another_address(scripts: ForeignScripts, folder: Path) -> None:
    before = stamp_of(folder / "main.js")
    assert scripts.find(ADDRESS, before) is not None
    (folder / "main.js").write_text("second")
    os.utime(folder / "main.js", (1, 1))
    assert scripts.find(ADDRESS, before) is None
    found = scripts.find(ADDRESS, stamp_of(folder / "main.js"))
    assert found is not None
    assert found.content == b"second"
    (folder / "main.js").unlink()
    assert scripts.find(ADDRESS, "1000") is None


@pytest.mark.parametrize("query", ["", "1", "x"])
def test_another_query_is_not_answered_from_memory(scripts: ForeignScripts, query: str) -> None:
    assert scripts.find(ADDRESS, query) is None


def test_nothing_but_scripts_and_styles_of_extensions_is_kept(
    scripts: ForeignScripts, folder: Path, tmp_path: Path
) -> None:
    for path in (tmp_path / "cache" / "handed_in.js", tmp_path / "outputs" / "made.js", folder / "page.html"):
        path.write_text("text")
    (folder / ".hidden.js").write_text("text")
    (folder / "out.js").symlink_to(tmp_path / "cache" / "handed_in.js")
    for path, file in (
        (f"/file={tmp_path}/cache/handed_in.js", tmp_path / "cache" / "handed_in.js"),
        (f"/file={tmp_path}/outputs/made.js", tmp_path / "outputs" / "made.js"),
        ("/file=extensions/sample/javascript/page.html", folder / "page.html"),
        ("/file=extensions/sample/javascript/.hidden.js", folder / ".hidden.js"),
        ("/file=extensions/sample/javascript/out.js", tmp_path / "cache" / "handed_in.js"),
        ("/easel/extensions/sample/javascript/main.js", folder / "main.js"),
    ):
        assert scripts.find(path, stamp_of(file)) is None, path

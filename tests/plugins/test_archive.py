"""Zip files are unpacked into their folder and nowhere else."""

import stat
import zipfile
from pathlib import Path

import pytest

from modules.core.errors import ExtensionFailed
from modules.plugins import archive
from modules.plugins.archive import suggested_name, unpack


def zipped(path: Path, files: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w") as opened:
        for name, text in files.items():
            opened.writestr(name, text)
    return path


def test_a_single_folder_around_everything_is_left_out_and_suggests_the_name(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", {"thing-main/scripts/a.py": "A", "thing-main/b.txt": "B"})
    assert suggested_name(path) == "thing-main"
    unpack(path, tmp_path / "out")
    assert (tmp_path / "out" / "scripts" / "a.py").read_text() == "A"
    assert (tmp_path / "out" / "b.txt").read_text() == "B"


def test_files_at_the_top_stay_where_they_are_and_a_git_folder_is_left_out(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", {"easel_plugin.py": "P", "looks/a.py": "A", ".git/config": "evil"})
    assert suggested_name(path) == ""
    unpack(path, tmp_path / "out")
    assert sorted(each.relative_to(tmp_path / "out").as_posix() for each in (tmp_path / "out").rglob("*.py")) == [
        "easel_plugin.py", "looks/a.py",
    ]  # fmt: skip
    assert not (tmp_path / "out" / ".git").exists()


@pytest.mark.parametrize("name", ["../evil.py", "/etc/evil", "a/../../b", "C:/evil", "a\\..\\b", "a/\nb"])
def test_what_would_lie_elsewhere_stops_everything(tmp_path: Path, name: str) -> None:
    path = zipped(tmp_path / "x.zip", {"good.py": "G", name: "E"})
    with pytest.raises(ExtensionFailed):
        unpack(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_links_are_refused(tmp_path: Path) -> None:
    entry = zipfile.ZipInfo("link")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as opened:
        opened.writestr(entry, "/etc/passwd")
    with pytest.raises(ExtensionFailed, match="elsewhere"):
        unpack(tmp_path / "x.zip", tmp_path / "out")


def test_too_much_content_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "LARGEST_CONTENT", 1000)
    with pytest.raises(ExtensionFailed, match="too large"):
        unpack(zipped(tmp_path / "x.zip", {"a": "x" * 2000}), tmp_path / "out")


@pytest.mark.parametrize("content", [b"", b"no zip at all", b"PK\x03\x04 broken"])
def test_what_is_no_zip_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.zip").write_bytes(content)
    assert suggested_name(tmp_path / "x.zip") == ""
    with pytest.raises(ExtensionFailed):
        unpack(tmp_path / "x.zip", tmp_path / "out")


def test_an_empty_zip_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExtensionFailed, match="no files"):
        unpack(zipped(tmp_path / "x.zip", {}), tmp_path / "out")

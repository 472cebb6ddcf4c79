"""What extensions import without asking for it, since A1111 has it, is found among their own modules."""

import sys
from pathlib import Path
from types import ModuleType

import pytest

from modules.plugins import expected
from modules.plugins.expected import ImportMemory, imported_modules, missing_packages


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_modules_are_followed_from_the_scripts_on(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "thing",
        preload="import argparse, piexif as p",
        scripts__main="from lib import (\n    one,\n    two,\n)\nimport extensions.thing.three\nfrom .beside import x",
        scripts__beside="def late():\n    import cv2.dnn\n",
        lib__init="",
        lib__one="from . import deeper",
        lib__two="import json",
        lib__deeper="from torchvision.transforms import (  # all\n    ToTensor)",
        three="import einops",
        vendor__never="import timm",
    )
    (folder / "lib" / "init.py").rename(folder / "lib" / "__init__.py")
    found = imported_modules(folder)
    assert found == {"argparse", "piexif", "cv2", "torchvision", "einops", "json"}


def test_what_is_installed_here_or_unknown_is_not_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path, scripts__main="import os, json, easelunknown, easelmissing\nfrom modules import shared\n")
    known = {"json": "json-package", "easelmissing": "easel-missing", "timm": "timm"}
    monkeypatch.setattr(expected, "EXPECTED", known)
    assert missing_packages(folder) == ("easel-missing",)


def test_what_only_stands_in_for_a_package_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "easelmissing", ModuleType("easelmissing"))
    monkeypatch.setattr(expected, "EXPECTED", {"easelmissing": "easel-missing"})
    assert missing_packages(write(tmp_path, scripts__main="import easelmissing")) == ("easel-missing",)


@pytest.mark.parametrize("text", ["import", "from x import", "import ,", "\0", "from . import\n", "from .... import a"])
def test_odd_files_are_read_too(tmp_path: Path, text: str) -> None:
    folder = write(tmp_path / "thing", scripts__main=f"{text}\nimport cv2\n")
    assert "cv2" in imported_modules(folder)


def test_a_folder_without_scripts_imports_nothing(tmp_path: Path) -> None:
    assert imported_modules(write(tmp_path, vendor__never="import timm")) == frozenset()


def test_what_was_found_is_remembered_until_a_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []

    def looking(folder: Path) -> frozenset[str]:
        looked.append(folder.name)
        return imported_modules(folder)

    monkeypatch.setattr(expected, "imported_modules", looking)
    folder = write(tmp_path / "thing", scripts__main="import cv2")
    for _ in range(2):
        assert ImportMemory(tmp_path / "imports.json").modules(folder) == {"cv2"}
    assert looked == ["thing"]
    write(folder, scripts__other="import einops")
    assert ImportMemory(tmp_path / "imports.json").modules(folder) == {"cv2", "einops"}
    (folder / "scripts" / "other.py").unlink()
    assert ImportMemory(tmp_path / "imports.json").modules(folder) == {"cv2"}
    assert len(looked) == 3


@pytest.mark.parametrize("content", ["broken", "[]", '{"thing": 1}', '{"thing": {"stamp": 1}}'])
def test_a_memory_that_cannot_be_read_is_made_anew(tmp_path: Path, content: str) -> None:
    file = tmp_path / "imports.json"
    file.write_text(content)
    folder = write(tmp_path / "thing", scripts__main="import cv2")
    assert ImportMemory(file).modules(folder) == {"cv2"}
    assert "cv2" in file.read_text()


def test_a_memory_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    folder = write(tmp_path / "thing", scripts__main="import cv2")
    assert ImportMemory(tmp_path / "nowhere" / "imports.json").modules(folder) == {"cv2"}

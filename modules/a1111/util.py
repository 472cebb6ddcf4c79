"""A1111's modules.util: listing files and small helpers."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from modules.a1111.paths_internal import script_path
from modules.library.scanning import natural_key


def natural_sort_key(s: str, regex: re.Pattern[str] = re.compile("([0-9]+)")) -> list[object]:
    """Return what sorts names so that 10 comes after 9."""
    return [int(text) if text.isdigit() else text.lower() for text in regex.split(s)]


def listfiles(dirname: str) -> list[str]:
    """Return the visible files in a folder, in natural order."""
    names = [name for name in os.listdir(dirname) if not name.startswith(".")]  # noqa: PTH208
    places = [os.path.join(dirname, name) for name in sorted(names, key=natural_key)]  # noqa: PTH118
    return [place for place in places if Path(place).is_file()]


def html_path(filename: str) -> str:
    """Return where a piece of HTML of A1111's would lie."""
    return str(Path(script_path) / "html" / filename)


def html(filename: str) -> str:
    """Return a piece of HTML; "" for one that is not there."""
    path = Path(html_path(filename))
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def walk_files(path: str, allowed_extensions: Iterable[str] | None = None) -> Iterator[str]:
    """Yield the files below a folder, links followed, in natural order; endings such as ".png"."""
    endings = None if allowed_extensions is None else {ending.lower() for ending in allowed_extensions}
    if not Path(path).exists():
        return
    for root, _, names in sorted(os.walk(path, followlinks=True), key=lambda found: natural_key(found[0])):
        for name in sorted(names, key=natural_key):
            if endings is None or Path(name).suffix.lower() in endings:
                yield os.path.join(root, name)  # noqa: PTH118


def ldm_print(*_: object, **__: object) -> None:
    """Do nothing."""


def truncate_path(target_path: str, base_path: str = "") -> str:
    """Return a path below another, relative to that; others as they are."""
    target, base = os.path.abspath(target_path), os.path.abspath(base_path or os.getcwd())  # noqa: PTH100, PTH109
    try:
        if os.path.commonpath([target, base]) == base:
            return os.path.relpath(target, base)
    except ValueError:
        pass
    return target


def topological_sort(dependencies: Mapping[str, Iterable[str]]) -> list[str]:
    """Return the names so that each comes after those that it depends on; circles are broken at will."""
    ordered: dict[str, None] = {}
    begun: set[str] = set()

    def visit(name: str) -> None:
        if name in begun:
            return
        begun.add(name)
        for other in dependencies.get(name, ()):
            if other in dependencies:
                visit(other)
        ordered[name] = None

    for name in dependencies:
        visit(name)
    return list(ordered)


class MassFileListerCachedDir:
    """The files of one folder with their times of change, looked at once."""

    def __init__(self, dirname: str) -> None:
        self.files: dict[str, tuple[str, float, float]] = {}
        if Path(dirname).is_dir():
            with os.scandir(dirname) as entries:
                for entry in entries:
                    facts = entry.stat()
                    self.files[entry.name] = (entry.name, facts.st_mtime, facts.st_ctime)
        self.files_cased = {name.lower(): value for name, value in self.files.items()}


class MassFileLister:
    """Answers which files exist, with one look at each folder."""

    def __init__(self) -> None:
        self.cached_dirs: dict[str, MassFileListerCachedDir] = {}

    def find(self, path: str) -> tuple[str, float, float] | None:
        """Return name, time of change and of creation of a file; None when it is not there."""
        place = Path(path)
        folder = str(place.parent)
        if folder not in self.cached_dirs:
            self.cached_dirs[folder] = MassFileListerCachedDir(folder)
        return self.cached_dirs[folder].files.get(place.name)

    def exists(self, path: str) -> bool:
        """Say whether a file is there."""
        return self.find(path) is not None

    def mctime(self, path: str) -> tuple[float, float]:
        """Return time of change and of creation; zeros for a file that is not there."""
        found = self.find(path)
        return (found[1], found[2]) if found is not None else (0, 0)

    def reset(self) -> None:
        """Forget what was seen."""
        self.cached_dirs.clear()

    def update_file_entry(self, path: str) -> None:
        """Look at one folder again."""
        self.cached_dirs.pop(str(Path(path).parent), None)

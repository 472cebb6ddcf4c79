"""Files below folders, links followed but no circles, and the order in which people expect names."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

NaturalKey = list[str | int]
_NUMBER = re.compile(r"(\d+)")


def natural_key(name: str) -> NaturalKey:
    """Return a key that sorts names in any case, with their numbers by value: model2 before model10."""
    # Texts, some of them empty, and numbers take turns, so that only like is compared with like.
    parts: NaturalKey = [*_NUMBER.split(name.casefold())]
    parts[1::2] = map(int, parts[1::2])
    return parts


def walk_folders(folder: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Yield every folder from `folder` down, once, with its subfolders and files, as os.walk does.

    Linked folders are entered, but none a second time, so that links in a circle end; hidden ones are left out.
    Names taken out of the yielded list of subfolders are not entered.
    """
    seen: set[Path] = set()
    for place, subfolders, files in os.walk(folder, followlinks=True):
        here = Path(place)
        if here.resolve() in seen:
            subfolders.clear()
            continue
        seen.add(here.resolve())
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        yield here, subfolders, files


def walk_files(folder: Path, endings: Sequence[str]) -> Iterator[Path]:
    """Yield every file below `folder` that has one of the `endings` (lower case, with their dots), hidden ones not."""
    for here, _, files in walk_folders(folder):
        for name in files:
            if name.lower().endswith(tuple(endings)) and not name.startswith("."):
                yield here / name


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file below a folder: `relative` with forward slashes, `real` where it lies when links are followed."""

    path: Path
    relative: str
    real: str


@dataclass(slots=True)
class FolderScan:
    """What lies below one folder, and what tells later whether anything came or went.

    `changed`: the time of change of every folder that was listed, in nanoseconds; `unreadable`: what could not be
    listed, in words.
    """

    files: list[FoundFile] = field(default_factory=list)
    changed: dict[str, int] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)

    def is_stale(self) -> bool:
        """Say whether a file or folder came, went or was renamed since; contents that changed do not count."""
        return any(_time_of_change(folder) != then for folder, then in self.changed.items())


def scan_files(folder: Path, endings: Sequence[str]) -> FolderScan:
    """List the files as `walk_files` finds them, in no order, without a look at any single file."""
    scan = FolderScan()
    # A folder that is not there yet counts as changed once it is.
    scan.changed[str(folder)] = _time_of_change(str(folder))
    _scan_into(scan, str(folder), "", tuple(endings), set())
    return scan


def _scan_into(scan: FolderScan, place: str, below: str, endings: tuple[str, ...], seen: set[str]) -> None:
    real = os.path.realpath(place)
    if real in seen:
        return
    seen.add(real)
    changed = _time_of_change(place)
    try:
        with os.scandir(place) as listed:
            entries = [entry for entry in listed if not entry.name.startswith(".")]
    except FileNotFoundError:
        return
    except OSError as error:
        scan.unreadable.append(f"The folder {place} cannot be read: {error.strerror or error}.")
        return
    scan.changed[place] = changed
    subfolders = []
    for entry in entries:
        if _is_folder(entry):
            subfolders.append(entry)
        elif entry.name.lower().endswith(endings):
            target = os.path.realpath(entry.path) if entry.is_symlink() else f"{real}{os.sep}{entry.name}"
            scan.files.append(FoundFile(Path(entry.path), below + entry.name, target))
    for entry in sorted(subfolders, key=lambda entry: natural_key(entry.name)):
        _scan_into(scan, entry.path, f"{below}{entry.name}/", endings, seen)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _time_of_change(place: str) -> int:
    try:
        return Path(place).stat().st_mtime_ns
    except OSError:
        return 0

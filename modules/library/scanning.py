"""Files below folders, links followed but no circles, and the order in which people expect names."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

_NUMBER_OR_TEXT = re.compile(r"\d+|\D+")


def natural_key(name: str) -> list[tuple[int, str]]:
    """Return a key that sorts names in any case, with their numbers by value: model2 before model10."""
    parts = _NUMBER_OR_TEXT.findall(name.casefold())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


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

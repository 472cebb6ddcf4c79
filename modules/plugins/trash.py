"""The trash for extensions: removed folders lie there until it is emptied, and can be put back."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from modules.core.errors import ExtensionFailed

TRASH_FOLDER = "trash"
_KIND = "extension"
_ENTRY = re.compile(rf"(?P<when>\d+)-{_KIND}-(?P<name>.+)")


@dataclass(frozen=True, slots=True)
class Discarded:
    """One removed extension. `entry`: its folder's name in the trash; `when`: seconds since 1970."""

    entry: str
    name: str
    when: float


class Trash:
    """Removed extensions. Everything raises ExtensionFailed when the disk refuses."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        """Take the trash's folder, which need not exist."""
        self._folder = folder
        self._clock = clock

    def discard(self, path: Path) -> str:
        """Move an extension's folder here; returns its entry. A link is moved as a link."""
        when = int(self._clock())
        while (place := self._folder / f"{when}-{_KIND}-{path.name}").exists():
            when += 1
        _move(path, place)
        return place.name

    def entries(self) -> list[Discarded]:
        """Return what lies here, the last first."""
        names = [path.name for path in self._folder.iterdir()] if self._folder.is_dir() else []
        found = [(match, name) for name in names if (match := _ENTRY.fullmatch(name))]
        return sorted(
            (Discarded(name, match["name"], float(match["when"])) for match, name in found),
            key=lambda discarded: -discarded.when,
        )

    def put_back(self, entry: str, folder: Path) -> str:
        """Move an entry back below `folder`; returns the extension's name."""
        known = next((each for each in self.entries() if each.entry == entry), None)
        if known is None:
            raise ExtensionFailed("That is no longer in the trash.")
        if (folder / known.name).exists():
            raise ExtensionFailed(f"There is an extension {known.name} again; remove it first.")
        _move(self._folder / entry, folder / known.name)
        return known.name

    def empty(self) -> int:
        """Delete all for good; returns how many there were."""
        entries = self.entries()
        for each in entries:
            place = self._folder / each.entry
            if place.is_symlink():
                place.unlink()
            else:
                shutil.rmtree(place, ignore_errors=True)
        return len(entries)


def _move(source: Path, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(source, target)
    except (OSError, shutil.Error) as error:
        raise ExtensionFailed(f"{source.name} cannot be moved: {error}.") from error

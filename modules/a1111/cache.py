"""A1111's modules.cache: small values kept in JSON files, by section, over restarts."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from modules.a1111._host import HOST
from modules.gallery.saving import write_whole

logger = logging.getLogger(__name__)
LOCK = threading.RLock()
cache_lock = LOCK


class Section(dict[str, Any]):
    """One section; every change is written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            super().__init__(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            super().__init__()

    def __setitem__(self, key: str, value: Any) -> None:
        with LOCK:
            super().__setitem__(key, value)
            self.write()

    def write(self) -> None:
        """Write all; a folder that cannot be written costs the memory of it, nothing else."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self._path, json.dumps(self, default=str).encode())
        except OSError as error:
            logger.warning("%s cannot be written: %s.", self._path, error)


def _folder() -> Path:
    return HOST.config.data_dir / "outputs" / ".easel" / "extension-cache"


def make_cache(subsection: str) -> Section:
    """Return a section, read from the disk."""
    safe = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in subsection)
    return Section(_folder() / f"{safe}.json")


def cache(subsection: str) -> Section:
    """Return a section, the same each time."""
    with LOCK:
        kept: dict[str, Section] = HOST.state(f"cache {_folder()}", dict)
        if subsection not in kept:
            kept[subsection] = make_cache(subsection)
        return kept[subsection]


def dump_cache() -> None:
    """Do nothing: every change is written at once."""


def cached_data_for_file(subsection: str, title: str, filename: str, func: Callable[[], Any]) -> Any:
    """Return what `func` found of a file, calling it only when the file has changed since; None is not kept."""
    section, changed = cache(subsection), Path(filename).stat().st_mtime
    entry = section.get(title)
    if isinstance(entry, dict) and entry.get("mtime", 0) >= changed and "value" in entry:
        return entry["value"]
    value = func()
    if value is not None:
        section[title] = {"mtime": changed, "value": value}
    return value


def __getattr__(name: str) -> object:
    """Return the folder, as the command line decides it."""
    if name in ("cache_dir", "cache_filename"):
        return str(_folder())
    raise AttributeError(name)

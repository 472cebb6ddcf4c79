"""SHA-256 of model files, computed once and remembered by path, size and time of change."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
from pathlib import Path

SHORT_LENGTH = 10
"""Hex digits of a model's hash in infotexts and titles, as in A1111."""

logger = logging.getLogger(__name__)


class HashCache:
    """Hashes that survive a restart. Safe to use from several threads; a lost cache file is only computed again."""

    def __init__(self, path: Path) -> None:
        """Take the JSON file in which the hashes are kept; it need not exist."""
        self.path = path
        self._lock = threading.Lock()
        self._entries: dict[str, dict[str, str | int]] = self._read()

    def known(self, file: Path) -> str | None:
        """Return the SHA-256 of `file` if it was computed since the file last changed."""
        try:
            stamp = _stamp(file)
        except OSError:
            return None
        with self._lock:
            entry = self._entries.get(str(file))
        if entry is None or entry.get("size") != stamp[0] or entry.get("changed") != stamp[1]:
            return None
        return str(entry["sha256"])

    def sha256(self, file: Path) -> str:
        """Return the SHA-256 of `file` in hex, computing it when it is not known. Raises OSError."""
        known = self.known(file)
        if known is not None:
            return known
        size, changed = _stamp(file)
        with file.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        with self._lock:
            self._entries[str(file)] = {"size": size, "changed": changed, "sha256": digest}
            self._write()
        return digest

    def _read(self) -> dict[str, dict[str, str | int]]:
        try:
            entries = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return entries if isinstance(entries, dict) else {}

    def _write(self) -> None:
        """Write the cache; a folder that cannot be written costs the memory of it, not the run."""
        temporary = self.path.with_name(f"{self.path.name}.{os.getpid()}.tmp")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(json.dumps(self._entries, indent=1), encoding="utf-8")
            os.replace(temporary, self.path)
        except OSError as error:
            logger.warning("The hash cache %s could not be written: %s", self.path, error)


def _stamp(file: Path) -> tuple[int, int]:
    """Return size in bytes and time of change in nanoseconds."""
    status = file.stat()
    return status.st_size, status.st_mtime_ns

"""SHA-256 of model files, computed once and remembered by path, size and time of change."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

SHORT_LENGTH = 10
"""Hex digits of a model's hash in infotexts and titles, as in A1111."""
NETWORK_SHORT_LENGTH = 12
"""The same for LoRA files and embeddings."""

HashKind = Literal["file", "tensors"]
"""What is hashed: the whole file, or of a safetensors file only what follows its header, so that editing the metadata
changes nothing; kohya's trainers introduced the latter for LoRA files, and A1111 follows them."""

_ENTRY_KEYS: Mapping[HashKind, str] = {"file": "sha256", "tensors": "tensors_sha256"}
_LENGTH_BYTES = 8

logger = logging.getLogger(__name__)


class HashCache:
    """Hashes that survive a restart. Safe to use from several threads; a lost cache file is only computed again."""

    def __init__(self, path: Path) -> None:
        """Take the JSON file in which the hashes are kept; it need not exist."""
        self.path = path
        self._lock = threading.Lock()
        self._entries: dict[str, dict[str, str | int]] = self._read()

    def known(self, file: Path, kind: HashKind = "file") -> str | None:
        """Return the SHA-256 of `file` if it was computed since the file last changed."""
        try:
            stamp = _stamp(file)
        except OSError:
            return None
        with self._lock:
            entry = self._entries.get(str(file), {})
            digest = entry.get(_ENTRY_KEYS[kind])
            return str(digest) if digest and _stamp_of(entry) == stamp else None

    def sha256(self, file: Path, kind: HashKind = "file") -> str:
        """Return the SHA-256 of `file` in hex, computing it when it is not known. Raises OSError."""
        known = self.known(file, kind)
        if known is not None:
            return known
        stamp = _stamp(file)
        digest = _digest(file, kind)
        with self._lock:
            entry = self._entries.get(str(file), {})
            if _stamp_of(entry) != stamp:
                entry = {"size": stamp[0], "changed": stamp[1]}
            self._entries[str(file)] = {**entry, _ENTRY_KEYS[kind]: digest}
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


def _stamp_of(entry: Mapping[str, str | int]) -> tuple[object, object]:
    return entry.get("size"), entry.get("changed")


def _digest(file: Path, kind: HashKind) -> str:
    with file.open("rb") as opened:
        if kind == "tensors":
            header = int.from_bytes(opened.read(_LENGTH_BYTES), "little")
            opened.seek(min(_LENGTH_BYTES + header, file.stat().st_size))
        return hashlib.file_digest(opened, "sha256").hexdigest()

"""SHA-256 of model files and other facts that take long to find, remembered by path, size and time of change."""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from modules.core.errors import StorageFailed
from modules.library.writing import write_whole

SHORT_LENGTH = 10
"""Hex digits of a model's hash in infotexts and titles, as in A1111."""
NETWORK_SHORT_LENGTH = 12
"""The same for LoRA files and embeddings."""

HashKind = Literal["file", "tensors"]
"""What is hashed: the whole file, or of a safetensors file only what follows its header, so that editing the metadata
changes nothing; kohya's trainers introduced the latter for LoRA files, and A1111 follows them."""

_ENTRY_KEYS: Mapping[HashKind, str] = {"file": "sha256", "tensors": "tensors_sha256"}
_LENGTH_BYTES = 8
_PIECE = 4 * 1024 * 1024

logger = logging.getLogger(__name__)


class HashCache:
    """Hashes that survive a restart. Safe to use from several threads; a lost cache file is only computed again."""

    def __init__(self, path: Path) -> None:
        """Take the JSON file in which the hashes are kept; it need not exist."""
        self.path = path
        self._lock = threading.Lock()
        self._entries: dict[str, dict[str, str | int]] = self._read()
        self._unsaved = False

    def known(self, file: Path, kind: HashKind = "file") -> str | None:
        """Return the SHA-256 of `file` if it was computed since the file last changed."""
        try:
            return self.kept(str(file), stamp_of(file), kind)
        except OSError:
            return None

    def kept(self, file: str, stamp: tuple[int, int], kind: HashKind = "file") -> str | None:
        """Return the same without a look at the file, which has this size and time of change."""
        with self._lock:
            entry = self._entries.get(file, {})
            digest = entry.get(_ENTRY_KEYS[kind])
            return str(digest) if digest and _stamp_in(entry) == stamp else None

    def sha256(self, file: Path, kind: HashKind = "file") -> str:
        """Return the SHA-256 of `file` in hex, computing it when it is not known. Raises OSError."""
        known = self.known(file, kind)
        if known is not None:
            return known
        stamp = stamp_of(file)
        digest = digest_of(file, kind)
        self.keep(file, kind, stamp, digest)
        self.save()
        return digest

    def keep(self, file: Path, kind: HashKind, stamp: tuple[int, int], digest: str) -> None:
        """Remember a hash that was computed elsewhere, of the file as it was at `stamp`; `save` writes it."""
        with self._lock:
            self._add(file, stamp, _ENTRY_KEYS[kind], digest)

    def fact(self, file: Path, name: str) -> str | None:
        """Return what was found out about `file` since it last changed."""
        try:
            stamp = stamp_of(file)
        except OSError:
            return None
        with self._lock:
            entry = self._entries.get(str(file), {})
            return str(entry[name]) if name in entry and _stamp_in(entry) == stamp else None

    def keep_fact(self, file: Path, name: str, value: str) -> None:
        """Remember and write what was found out about `file` as it is now. Raises OSError."""
        stamp = stamp_of(file)
        with self._lock:
            self._add(file, stamp, name, value)
        self.save()

    def save(self) -> None:
        """Write what is new; a folder that cannot be written costs the memory of it, not the run."""
        with self._lock:
            if not self._unsaved:
                return
            self._unsaved = False
            self._write()

    def _add(self, file: Path, stamp: tuple[int, int], key: str, value: str) -> None:
        """Add one fact; what is known of another state of the file is forgotten. Called with the lock held."""
        entry = self._entries.get(str(file), {})
        if _stamp_in(entry) != stamp:
            entry = {"size": stamp[0], "changed": stamp[1]}
        self._entries[str(file)] = {**entry, key: value}
        self._unsaved = True

    def _read(self) -> dict[str, dict[str, str | int]]:
        try:
            entries = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return entries if isinstance(entries, dict) else {}

    def _write(self) -> None:
        try:
            write_whole(self.path, json.dumps(self._entries, indent=1).encode())
        except StorageFailed as error:
            logger.warning("The hash cache is not kept: %s", error)


def stamp_of(file: Path) -> tuple[int, int]:
    """Return size in bytes and time of change in nanoseconds. Raises OSError."""
    status = file.stat()
    return status.st_size, status.st_mtime_ns


def digest_of(file: Path, kind: HashKind, after_piece: Callable[[int], None] | None = None) -> str:
    """Return the SHA-256 of `file` in hex. Raises OSError.

    `after_piece` is told the bytes of each piece that was read; what it raises ends the reading.
    """
    digest = hashlib.sha256()
    with file.open("rb", buffering=0) as opened:
        if kind == "tensors":
            header = int.from_bytes(opened.read(_LENGTH_BYTES), "little")
            opened.seek(min(_LENGTH_BYTES + header, file.stat().st_size))
        while piece := opened.read(_PIECE):
            digest.update(piece)
            if after_piece is not None:
                after_piece(len(piece))
    return digest.hexdigest()


def _stamp_in(entry: Mapping[str, str | int]) -> tuple[object, object]:
    return entry.get("size"), entry.get("changed")

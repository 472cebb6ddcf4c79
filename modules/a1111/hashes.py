"""A1111's modules.hashes, over Easel's own cache of hashes."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from modules.a1111._host import HOST
from modules.a1111.cache import cache, dump_cache
from modules.library.hashing import HashKind, digest_of

__all__ = ["addnet_hash_safetensors", "cache", "calculate_sha256", "dump_cache", "sha256", "sha256_from_cache"]


def calculate_sha256(filename: str) -> str:
    """Return the SHA-256 of a file in hex."""
    return digest_of(Path(filename), "file")


def sha256_from_cache(filename: str, title: str, use_addnet_hash: bool = False) -> str | None:
    """Return the SHA-256 of a file if it is known."""
    return HOST.connected.files.checkpoints.hashes.known(Path(filename), _kind(use_addnet_hash))


def sha256(filename: str, title: str, use_addnet_hash: bool = False) -> str:
    """Return the SHA-256 of a file, computing it when it is not known; with `use_addnet_hash` of its tensors alone."""
    hashes = HOST.connected.files.checkpoints.hashes
    digest = hashes.sha256(Path(filename), _kind(use_addnet_hash))
    hashes.save()
    return digest


def addnet_hash_safetensors(b: Any) -> str:
    """Return the SHA-256 of what follows the header of an open safetensors file."""
    b.seek(0)
    length = int.from_bytes(b.read(8), "little")
    b.seek(8 + length)
    digest = hashlib.sha256()
    while piece := b.read(1 << 20):
        digest.update(piece)
    return digest.hexdigest()


def _kind(of_tensors: bool) -> HashKind:
    return "tensors" if of_tensors else "file"

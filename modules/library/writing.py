"""Writes the files beside models, and says in an error of ours what went wrong."""

from __future__ import annotations

from pathlib import Path

from modules.core import files
from modules.core.errors import StorageFailed


def write_whole(path: Path, content: bytes) -> None:
    """Write the file beside its place and rename it; folders are made. Raises StorageFailed."""
    try:
        files.write_whole(path, content)
    except OSError as error:
        raise StorageFailed(f"{path} could not be written: {error.strerror or error}.") from error

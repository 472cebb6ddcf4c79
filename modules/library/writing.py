"""Files that are either as they were or wholly new, whatever happens while they are written."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from modules.core.errors import StorageFailed

_USUAL_MODE = 0o644


def write_whole(path: Path, content: bytes) -> None:
    """Write the file beside its place and rename it; folders are made. Raises StorageFailed."""
    part = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(prefix=f".{path.name[:40]}.", suffix=".part", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # Temporary files are private to their owner; what comes out is as readable as any other file.
        Path(part).chmod(_mode_of(path))
        os.replace(part, path)
    except OSError as error:
        if part is not None:
            Path(part).unlink(missing_ok=True)
        raise StorageFailed(f"{path} could not be written: {error.strerror or error}.") from error


def _mode_of(path: Path) -> int:
    try:
        return path.stat().st_mode & 0o777
    except FileNotFoundError:
        return _USUAL_MODE

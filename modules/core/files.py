"""Files that are either as they were or wholly new, whatever happens while they are written."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

USUAL_MODE = 0o644
PRIVATE_MODE = 0o600


def write_whole(path: Path, content: str | bytes, *, private: bool = False, lasting: bool = True) -> None:
    """Write a file beside its place and rename it. Folders are made, and a link stays a link. Raises OSError.

    `private`: nobody but the owner may read it; else it is as readable as before. `lasting`: it is on the disk when
    this returns; without that it outlives the process, but perhaps not a loss of power.
    """
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(prefix=f".{path.name[:40]}.", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content.encode("utf-8") if isinstance(content, str) else content)
            file.flush()
            if lasting:
                os.fsync(file.fileno())
        # Temporary files are private to their owner.
        Path(part).chmod(PRIVATE_MODE if private else _mode_of(path))
        os.replace(part, path)
    except OSError:
        with contextlib.suppress(OSError):
            Path(part).unlink(missing_ok=True)
        raise


def _mode_of(path: Path) -> int:
    try:
        return path.stat().st_mode & 0o777
    except FileNotFoundError:
        return USUAL_MODE

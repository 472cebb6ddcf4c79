"""One server per data folder: two runners on one queue would both go on with the same interrupted job."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

from filelock import FileLock, Timeout

from modules.core.errors import DataFolderInUse, StorageFailed

LOCK_FILE = "server.lock"
HOLDER_FILE = "server.json"
"""Who holds the lock, in a file of its own: some systems let nobody read a locked file."""


class ServerLock:
    """Held from the start of a server to its end; the operating system frees the lock of a killed one."""

    def __init__(self, folder: Path) -> None:
        """Take the lock in `folder`, which exists. Raises DataFolderInUse and StorageFailed."""
        self._folder = folder
        self._lock = FileLock(folder / LOCK_FILE, timeout=0)
        try:
            self._lock.acquire()
        except Timeout:
            raise DataFolderInUse(
                f"Another Easel ({_holder(folder)}) already works on {folder.parent.parent}."
                " Use that one, stop it, or start this one with another folder: --data-dir FOLDER."
            ) from None
        except OSError as error:
            raise StorageFailed(
                f"{folder / LOCK_FILE} cannot be locked: {error.strerror or error}."
                " Mend the folder's permissions, or choose another one with --data-dir."
            ) from error
        self.tell(None)

    def tell(self, address: str | None) -> None:
        """Write down who holds the lock and where it answers."""
        with contextlib.suppress(OSError):
            (self._folder / HOLDER_FILE).write_text(json.dumps({"pid": os.getpid(), "address": address}))

    def release(self) -> None:
        """Let another server have the folder."""
        with contextlib.suppress(OSError):
            (self._folder / HOLDER_FILE).unlink(missing_ok=True)
        self._lock.release()


def _holder(folder: Path) -> str:
    try:
        holder = json.loads((folder / HOLDER_FILE).read_text())
        address = f" at {holder['address']}" if holder["address"] else ""
        return f"process {holder['pid']}{address}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"

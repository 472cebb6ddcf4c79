"""Reads, beside everything else, what searching the library needs, and then has the unknown hashes computed."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from modules.library.background import HashWorker
from modules.library.hashing import HashKind
from modules.library.shelves import ModelLibrary

_BUSY_SECONDS = 0.5
_HASH_ORDER = ("checkpoint", "vae", "embedding", "hypernetwork", "lora")
"""Checkpoints first: their hashes stand in their titles."""

logger = logging.getLogger(__name__)


class LibraryFiller:
    """One thread that looks through all models once; `again` has it look for new ones."""

    def __init__(self, library: ModelLibrary, worker: HashWorker, busy: Callable[[], bool] = lambda: False) -> None:
        """Take the library, who computes hashes, and whether something else needs the machine now."""
        self._library = library
        self._worker = worker
        self._busy = busy
        self._closing = threading.Event()
        self._wanted = threading.Event()
        self._hurry = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, after: float = 0.0) -> None:
        """Begin in so many seconds, to leave the start of everything else alone."""
        if self._thread is None:
            self._wanted.set()
            self._thread = threading.Thread(target=self._run, args=(after,), name="library", daemon=True)
            self._thread.start()

    def again(self) -> None:
        """Look for files that are new."""
        self._wanted.set()

    def hurry(self) -> None:
        """Begin now, if not yet begun: somebody looks at the library."""
        self._hurry.set()

    def close(self) -> None:
        """Stop at once."""
        self._closing.set()
        self._hurry.set()
        self._wanted.set()
        if self._thread is not None:
            self._thread.join(5)

    def _run(self, after: float) -> None:
        # What lies where is soon listed, and then the first tab opens at once; reading the files is what takes long.
        for kind in self._library.kinds:
            self._library.models(kind)
        self._hurry.wait(after)
        while self._wanted.wait() and not self._closing.is_set():
            self._wanted.clear()
            for kind in self._library.kinds:
                self._read(kind)
            if not self._closing.is_set():
                self._worker.fill(self._to_hash())

    def _read(self, kind: str) -> None:
        for model in self._library.models(kind):
            if self._library.is_read(model):
                continue
            while self._busy() and not self._closing.is_set():
                self._closing.wait(_BUSY_SECONDS)
            if self._closing.is_set():
                return
            begun = time.perf_counter()
            self._library.read(model)
            # As long a rest as the work took leaves half of the time to everybody else.
            self._closing.wait(time.perf_counter() - begun)
        self._library.save(kind)
        logger.debug("The library's %s files are read.", kind)

    def _to_hash(self) -> list[tuple[Path, HashKind]]:
        kinds = sorted(self._library.kinds, key=_HASH_ORDER.index)
        wishes = (self._library.sources[kind].hashed(model) for kind in kinds for model in self._library.models(kind))
        return [wish for wish in wishes if wish is not None]

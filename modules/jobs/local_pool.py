"""Runs jobs on one engine in this process.

The engine is built in the thread that first needs it, since building it means importing torch, which takes seconds.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from modules.core.ports import CancelToken, Engine, RunSink
from modules.core.request import GenerationRequest
from modules.core.result import GenerationResult
from modules.jobs.board import Board
from modules.jobs.ports import EngineFactory

logger = logging.getLogger(__name__)


class LocalPool:
    """Implements `Pool` with one lazily built engine; a factory that failed is tried again with the next job."""

    def __init__(self, engine_factory: EngineFactory, board: Board) -> None:
        self._engine_factory = engine_factory
        self._board = board
        self._engine: Engine | None = None

    def run(
        self, request: GenerationRequest, sink: RunSink, cancel: CancelToken, done: frozenset[int]
    ) -> GenerationResult:
        """Make the pictures that are not in `done`."""
        return self._built_engine().generate(request, sink, cancel, done)

    def preload(self, checkpoint: str, sink: RunSink) -> None:
        """Have the engine ready and this checkpoint in memory."""
        self._built_engine().preload(checkpoint, sink)

    def count_tokens(self, text: str, checkpoint: str = "") -> tuple[int, int] | None:
        """Ask the engine, if there is one already."""
        engine = self._engine
        return None if engine is None else engine.count_tokens(text, checkpoint)

    def inspect(self, request: GenerationRequest, field: str) -> dict[str, Any] | None:
        """Ask the engine, if there is one already."""
        engine = self._engine
        return None if engine is None else engine.inspect(request, field)

    def engine(self) -> Engine | None:
        """Return the engine, if there is one already."""
        return self._engine

    def _built_engine(self) -> Engine:
        if self._engine is None:
            self._board.engine_changed("starting", "loading the engine")
            started = time.monotonic()
            built = False
            try:
                self._engine = self._engine_factory()
                built = True
            finally:
                if not built:
                    self._board.engine_changed("failed", "The engine could not be started; the log says why.")
            logger.info("The engine is ready after %.1f s.", time.monotonic() - started)
            self._board.engine_changed("ready", "")
        return self._engine

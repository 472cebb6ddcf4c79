"""What everybody may know right now: states of engine, model and running job, and who listens to changes of them.

Messages are plain JSON-able dicts. They are built and handed out under one lock, so that every listener sees changes
in the order in which they happened; a listener only passes the message on and returns.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Literal

from modules.core.events import ModelLoading, ModelReady
from modules.jobs.progress import Progress

logger = logging.getLogger(__name__)

Message = dict[str, Any]
Listener = Callable[[Message], None]
EngineState = Literal["starting", "ready", "failed"]
ModelState = Literal["none", "loading", "ready", "failed"]
ASKED_LATELY_SECONDS = 10.0
"""Somebody who fetched a preview within this time counts as watching: API callers poll instead of subscribing."""


class Board:
    """The live states and the subscribers. Safe to use from all threads."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._listeners: list[Listener] = []
        self._blind: list[Listener] = []
        self._engine: Message = {"state": "starting", "detail": "waiting for the first page"}
        self._model: Message = {"title": "", "state": "none", "fraction": 0.0, "stage": ""}
        self._progress: Progress | None = None
        self._preview: tuple[str, bytes] | None = None
        self._preview_asked = float("-inf")
        self._pause_reason: str | None = None

    def subscribe(self, listener: Listener, watches: bool = True) -> Callable[[], None]:
        """Call `listener` with each message from now on, until the returned function is called.

        `watches`: previews are for it too; without such a listener none are made.
        """
        with self._lock:
            self._listeners.append(listener)
            if not watches:
                self._blind.append(listener)

        def unsubscribe() -> None:
            with self._lock:
                self._drop(listener)

        return unsubscribe

    def publish(self, make_message: Callable[[], Message]) -> None:
        """Build a message and hand it to every listener; one whose event loop has ended is dropped."""
        with self._lock:
            if not self._listeners:
                return
            message = make_message()
            for listener in list(self._listeners):
                try:
                    listener(message)
                except RuntimeError as error:
                    logger.debug("A listener is gone: %s", error)
                    self._drop(listener)

    def engine_changed(self, state: EngineState, detail: str) -> None:
        """Tell whether there is an engine."""
        with self._lock:
            self._engine = {"state": state, "detail": detail}
            self.publish(lambda: {"type": "engine", **self._engine})

    def model_loading(self, event: ModelLoading) -> None:
        """Tell how far the loading of a checkpoint is."""
        self._model_changed(event.title, "loading", event.fraction, event.stage)

    def model_ready(self, event: ModelReady) -> None:
        """Tell that a checkpoint is in memory."""
        if self.model()["state"] != "ready" or self.model()["title"] != event.title:
            self._model_changed(event.title, "ready", 1.0, "")

    def model_failed(self, title: str, reason: str) -> None:
        """Tell why a checkpoint cannot be used."""
        self._model_changed(title, "failed", 0.0, reason)

    def progress_changed(self, progress: Progress | None) -> None:
        """Tell how far the running job is; None when none runs, which subscribers learn by the job's own message."""
        with self._lock:
            self._progress = progress
            if progress is not None:
                self.publish(lambda: {"type": "progress", **progress.message()})

    def keep_preview(self, job_id: str, jpeg: bytes) -> None:
        """Keep the newest preview of the running job."""
        with self._lock:
            self._preview = (job_id, jpeg)

    def engine(self) -> Message:
        """Return the engine's state as subscribers get it."""
        return self._engine

    def model(self) -> Message:
        """Return the checkpoint's state as subscribers get it."""
        return self._model

    def progress(self) -> Progress | None:
        """Return how far the running job is."""
        return self._progress

    def preview(self, job_id: str) -> bytes | None:
        """Return the newest preview of a job as JPEG, and note that somebody watches."""
        self._preview_asked = time.monotonic()
        preview = self._preview
        return preview[1] if preview is not None and preview[0] == job_id else None

    def pause(self, reason: str) -> None:
        """Let no further job begin; `reason` is empty when the user wished it, else it tells what must be mended."""
        self._pause_reason = reason

    def resume(self) -> None:
        """Let jobs begin again."""
        self._pause_reason = None

    def pause_reason(self) -> str | None:
        """Return None when jobs may begin, "" when the user paused the queue, else why Easel paused it."""
        return self._pause_reason

    def watched(self) -> bool:
        """Say whether anybody would see a preview."""
        watching = len(self._listeners) > len(self._blind)
        return watching or time.monotonic() - self._preview_asked < ASKED_LATELY_SECONDS

    def _drop(self, listener: Listener) -> None:
        for listeners in (self._listeners, self._blind):
            if listener in listeners:
                listeners.remove(listener)

    def _model_changed(self, title: str, state: ModelState, fraction: float, stage: str) -> None:
        with self._lock:
            self._model = {"title": title, "state": state, "fraction": round(fraction, 3), "stage": stage}
            self.publish(lambda: {"type": "model", **self._model})

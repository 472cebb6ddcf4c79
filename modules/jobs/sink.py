"""Where a run's events and pictures go: board, disk and store, in an order that survives a kill."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

from modules.core.events import Event, ImageDone, ModelLoading, ModelReady, PreviewReady, Remark, StepDone
from modules.core.result import GeneratedImage
from modules.jobs.board import Board
from modules.jobs.messages import Announcer
from modules.jobs.model import Job, Purpose
from modules.jobs.ports import JobRulesSource, PictureSaver
from modules.jobs.preview import PreviewEncoder
from modules.jobs.progress import Progress, ProgressMeter, Stage
from modules.jobs.store import JobStore


@dataclass(frozen=True, slots=True)
class RunServices:
    """What a run needs besides its job; the same for all runs."""

    store: JobStore
    saver: PictureSaver
    board: Board
    announcer: Announcer
    encoder: PreviewEncoder
    rules: JobRulesSource


class PreloadSink:
    """Implements `core.ports.RunSink` for loading a checkpoint outside any job."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def publish(self, event: Event) -> None:
        """Pass on how far the loading is."""
        if isinstance(event, ModelLoading):
            self._board.model_loading(event)
        elif isinstance(event, ModelReady):
            self._board.model_ready(event)

    def wants_preview(self, step: int) -> bool:
        """Nothing is sampled, so nobody wants one."""
        return False

    def save(self, image: GeneratedImage) -> None:
        """Refuse, since a preload makes no pictures."""
        raise TypeError("a checkpoint that is only loaded makes no pictures")


class JobSink(PreloadSink):
    """Implements `core.ports.RunSink` for one run of one job; `close` it when the run has ended."""

    def __init__(self, job: Job, services: RunServices) -> None:
        super().__init__(services.board)
        self._job = job
        self._services = services
        self._rules = services.rules()
        self._meter = ProgressMeter(job.request, job.done())
        self._kept = set(job.done())
        self._skipped = set(job.skipped)
        self._lock = threading.Lock()
        self._progress: Progress | None = None
        self._preview_wanted_at = float("-inf")
        # Numbers go on from the start's milliseconds, so that a job's second run never reuses an address.
        self._preview_number = int((job.started or 0.0) * 1000)
        self._open = True

    def begin(self) -> None:
        """Show that the job runs, before the engine says anything."""
        self._tell("loading model")

    def publish(self, event: Event) -> None:
        """Take one event of the engine."""
        super().publish(event)
        if isinstance(event, StepDone):
            self._meter.step_done(event)
            self._note_skipped(event.first_image)
            self._tell("saving" if event.step == event.steps else "sampling", event)
        elif isinstance(event, ModelLoading):
            self._tell("loading model")
        elif isinstance(event, PreviewReady):
            self._services.encoder.encode_soon(event.picture, self._deliver_preview)
        elif isinstance(event, ImageDone):
            self._services.announcer.job_changed(self._job.id)
        elif isinstance(event, Remark):
            text = event.text
            self._services.board.publish(lambda: {"type": "remark", "job": self._job.id, "text": text})

    def wants_preview(self, step: int) -> bool:
        """Heed the options, and whether anybody watches."""
        rules, now = self._rules, time.monotonic()
        if not rules.previews or step % rules.preview_every_steps or not self._services.board.watched():
            return False
        if now - self._preview_wanted_at < rules.preview_period:
            return False
        self._preview_wanted_at = now
        return True

    def save(self, image: GeneratedImage) -> None:
        """Put a picture on disk: claimed, then in its place, then confirmed, so that a kill at any moment shows."""
        store, job_id = self._services.store, self._job.id

        def claim(path: Path, sha256: str) -> None:
            store.claim_picture(job_id, image, path, sha256)

        self._services.saver.save(image, self._job.purpose is Purpose.KEEP, claim)
        store.confirm_picture(job_id, image.index)
        self._kept.add(image.index)

    def close(self) -> None:
        """Let no preview that is still being encoded come after the job's end."""
        with self._lock:
            self._open = False
        self._services.board.progress_changed(None)

    def skipped(self) -> frozenset[int]:
        """Return the indexes that were skipped, in this run and before."""
        return frozenset(self._skipped)

    def _note_skipped(self, first_image: int) -> None:
        """Batches run in order, so whatever is missing before the batch that samples now was skipped."""
        missing = set(range(first_image)) - self._kept
        if missing:
            self._kept |= missing
            self._skipped |= missing
            self._services.store.set_skipped(self._job.id, self._skipped)

    def _tell(self, stage: Stage, event: StepDone | None = None) -> None:
        request = self._job.request
        with self._lock:
            before = self._progress
            self._progress = Progress(
                job=self._job.id,
                fraction=self._meter.fraction(),
                step=event.step if event is not None else 0,
                steps=request.steps,
                image=event.first_image + 1 if event is not None else min(len(self._kept) + 1, request.image_count()),
                images=request.image_count(),
                batch_size=request.batch_size,
                seconds_left=self._meter.seconds_left(),
                preview=before.preview if before is not None else None,
                stage=stage,
            )
            self._services.board.progress_changed(self._progress)

    def _deliver_preview(self, jpeg: bytes) -> None:
        with self._lock:
            if not self._open or self._progress is None:
                return
            self._preview_number += 1
            self._services.board.keep_preview(self._job.id, jpeg)
            address = f"/easel/preview/{self._job.id}/{self._preview_number}"
            self._progress = replace(self._progress, preview=address)
            self._services.board.progress_changed(self._progress)

"""Where a run's events and pictures go: board, disk and store, in an order that survives a kill."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from modules.core.events import Event, ImageDone, ModelLoading, ModelReady, PreviewReady, Remark, StepDone
from modules.core.result import GeneratedImage, Place
from modules.jobs.board import Board
from modules.jobs.messages import Announcer
from modules.jobs.model import OWN, Job, Part, Purpose, Standing
from modules.jobs.ports import AfterJob, JobRulesSource, PictureSaver, nothing_after
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
    after_job: AfterJob = nothing_after


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


class JobSink:
    """Takes what the parts of one job say in one run; `close` it when the run has ended."""

    def __init__(self, job: Job, services: RunServices) -> None:
        self._job = job
        self._part = job.parts[0]
        self._loading = PreloadSink(services.board)
        self._services = services
        self._rules = services.rules()
        self._meter = ProgressMeter([part.request for part in job.parts], job.done())
        self._image_count = job.image_count()
        self._kept = set(job.done())
        self._skipped = set(job.skipped)
        self._lock = threading.Lock()
        self._progress: Progress | None = None
        self._preview_wanted_at = float("-inf")
        # Numbers go on from the start's milliseconds, so that a job's second run never reuses an address.
        self._preview_number = int((job.started or 0.0) * 1000)
        self._open = True

    def begin(self, part: Part, indexes: range) -> PartSink:
        """Show that a part runs, before the engine says anything, and return what the engine is to talk to."""
        self._part = part
        self._tell("loading model")
        return PartSink(self, part, indexes.start)

    def checkpoint(self) -> str:
        """Return the name of the checkpoint that the part which runs asks for."""
        return self._part.request.checkpoint

    def give_up(self, name: str, reason: str, indexes: range) -> None:
        """Tell that pictures cannot be made, and why; they count neither as skipped nor as done."""
        self._kept.update(indexes)
        self.publish(Remark(f"{name}: {reason}" if name else reason))

    def skip(self, indexes: Iterable[int]) -> None:
        """Note which pictures the user skipped."""
        fresh = set(indexes) - self._skipped
        if fresh:
            self._kept |= fresh
            self._skipped |= fresh
            self._services.store.set_skipped(self._job.id, self._skipped)

    def publish(self, event: Event) -> None:
        """Take one event of the engine, its indexes those of the job."""
        self._loading.publish(event)
        if isinstance(event, StepDone):
            self._meter.step_done(event)
            # Batches run in order, so whatever is missing before the batch that samples now was skipped.
            self.skip(set(range(event.first_image)) - self._kept)
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

    def save(self, image: GeneratedImage, place: Place, standing: Standing = OWN) -> None:
        """Put a picture on disk: claimed, then in its place, then confirmed, so that a kill at any moment shows."""
        store, job_id = self._services.store, self._job.id
        kept = standing.kept if standing.added else self._job.purpose is Purpose.KEEP

        def claim(path: Path, sha256: str) -> None:
            store.claim_picture(job_id, image, path, sha256, standing)

        self._services.saver.save(image, kept, claim, place)
        store.confirm_picture(job_id, image.index)
        self._kept.add(image.index)

    def next_further(self) -> int:
        """Return the index of a picture that comes after all that the job asks for."""
        return max(self._image_count, *(index + 1 for index in self._kept)) if self._kept else self._image_count

    def close(self) -> None:
        """Let no preview that is still being encoded come after the job's end."""
        with self._lock:
            self._open = False
        self._services.board.progress_changed(None)

    def _tell(self, stage: Stage, event: StepDone | None = None) -> None:
        request = self._part.request
        with self._lock:
            before = self._progress
            self._progress = Progress(
                job=self._job.id,
                fraction=self._meter.fraction(),
                step=event.step if event is not None else 0,
                steps=request.steps,
                image=event.first_image + 1 if event is not None else min(len(self._kept) + 1, self._image_count),
                images=self._image_count,
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


class PartSink:
    """Implements `core.ports.RunSink` for one part of a job: its pictures count on after those of the parts before."""

    def __init__(self, sink: JobSink, part: Part, first: int) -> None:
        self._sink = sink
        self._part = part
        self._first = first

    def publish(self, event: Event) -> None:
        """Pass on an event, its indexes moved to where the part stands in the job."""
        if isinstance(event, StepDone | PreviewReady):
            event = replace(event, first_image=self._first + event.first_image)
        elif isinstance(event, ImageDone):
            event = ImageDone(self._first + event.index)
        self._sink.publish(event)

    def wants_preview(self, step: int) -> bool:
        """Ask the job's sink."""
        return self._sink.wants_preview(step)

    def save(self, image: GeneratedImage) -> None:
        """Put a picture where the part's pictures go; one beyond those asked for comes after all of the job's."""
        further = image.index >= self._part.request.image_count()
        index = self._sink.next_further() if further else self._first + image.index
        self._sink.save(replace(image, index=index), self._part.place)

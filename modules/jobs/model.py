"""What a job is: plain values that the store keeps and the pages are shown."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from modules.core.request import GenerationRequest


class JobState(StrEnum):
    """Where a job stands.

    `interrupted` ended early because the user said so; `cancelled` never began. A job that a killed or stopped
    server left half-done is `waiting` again, at the front.
    """

    WAITING = "waiting"
    RUNNING = "running"
    FINISHED = "finished"
    INTERRUPTED = "interrupted"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Purpose(StrEnum):
    """What becomes of a job's pictures.

    `keep`: they stay whatever becomes of the job. `unsaved`: they go when the job leaves the list. `handover`: they
    are for a caller that waits for them, such as the API or a verification, who then removes the job; no page shows
    it as its own.
    """

    KEEP = "keep"
    UNSAVED = "unsaved"
    HANDOVER = "handover"


ENDED_STATES = (JobState.FINISHED, JobState.INTERRUPTED, JobState.FAILED, JobState.CANCELLED)


@dataclass(frozen=True, slots=True)
class JobImage:
    """One finished picture of a job; `index` counts from 0 over all its batches, `path` is absolute."""

    index: int
    seed: int
    path: Path
    infotext: str


@dataclass(frozen=True, slots=True)
class Job:
    """One request on its way through the queue. Times are seconds since 1970; the request's seed is fixed."""

    id: str
    state: JobState
    request: GenerationRequest
    created: float
    started: float | None = None
    finished: float | None = None
    error: str | None = None
    owner: str | None = None
    images: tuple[JobImage, ...] = ()
    skipped: tuple[int, ...] = ()
    purpose: Purpose = Purpose.KEEP

    def done(self) -> frozenset[int]:
        """Return the indexes that need no more work: pictures on disk and pictures that the user skipped."""
        return frozenset(image.index for image in self.images) | frozenset(self.skipped)

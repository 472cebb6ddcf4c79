"""What a job is: plain values that the store keeps and the pages are shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from modules.core.parameter import RANDOM_SEED
from modules.core.request import GenerationRequest
from modules.core.result import AS_ALWAYS, Place


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
class Standing:
    """What a picture is to its job.

    `added`: a plugin made it of the others when they were done. `kept`: of such a one, its file stays whatever becomes
    of the job. `shown`: in the gallery and in answers.
    """

    added: bool = False
    kept: bool = False
    shown: bool = True


OWN = Standing()


@dataclass(frozen=True, slots=True)
class JobImage:
    """One finished picture of a job; `index` counts from 0 over all its batches, `path` is absolute."""

    index: int
    seed: int
    path: Path
    infotext: str
    standing: Standing = OWN


@dataclass(frozen=True, slots=True)
class Part:
    """One request of a job; its seed is fixed.

    `name`: what it is called when it cannot be made, such as the file that it works over; `place`: where its pictures
    are saved.
    """

    request: GenerationRequest
    place: Place = AS_ALWAYS
    name: str = ""


@dataclass(frozen=True, slots=True)
class Origin:
    """What a plugin made some of a job's parts of: `count` of them from part `first` on (the first of all is 0).

    `place`: where its pictures would have been saved.
    """

    plugin: str
    request: GenerationRequest
    first: int
    count: int
    place: Place = AS_ALWAYS


@dataclass(frozen=True, slots=True)
class Job:
    """One or more requests on their way through the queue together. Times are seconds since 1970.

    The indexes of its pictures run on over the parts. `error`: why it failed, or what of it could not be made.
    """

    id: str
    state: JobState
    parts: tuple[Part, ...]
    created: float
    started: float | None = None
    finished: float | None = None
    error: str | None = None
    owner: str | None = None
    images: tuple[JobImage, ...] = ()
    skipped: tuple[int, ...] = ()
    purpose: Purpose = Purpose.KEEP
    origins: tuple[Origin, ...] = ()

    @property
    def request(self) -> GenerationRequest:
        """The request of the first part."""
        return self.parts[0].request

    def asked(self) -> GenerationRequest:
        """Return the request that pages show: the one that a plugin made all parts of, else that of the first part."""
        if len(self.origins) != 1:
            return self.request
        asked = self.origins[0].request
        return asked.model_copy(update={"seed": self.request.seed}) if asked.seed == RANDOM_SEED else asked

    def image_count(self) -> int:
        """Return how many pictures the job makes in all."""
        return sum(part.request.image_count() for part in self.parts)

    def ranges(self) -> Iterator[tuple[Part, range]]:
        """Yield each part with the indexes of its pictures."""
        first = 0
        for part in self.parts:
            end = first + part.request.image_count()
            yield part, range(first, end)
            first = end

    def part_of(self, index: int) -> tuple[Part, int]:
        """Return the part that picture `index` belongs to, and the picture's index within it.

        Pictures beyond those asked for belong to the last part. Raises IndexError for a negative index.
        """
        if index < 0:
            raise IndexError(f"the job has no picture {index}")
        for part, indexes in self.ranges():
            last, first = part, indexes.start
            if index in indexes:
                break
        return last, index - first

    def shown(self) -> tuple[JobImage, ...]:
        """Return the pictures that the gallery shows, first those that were added."""
        shown = [image for image in self.images if image.standing.shown]
        return tuple(sorted(shown, key=lambda image: not image.standing.added))

    def own(self) -> tuple[JobImage, ...]:
        """Return the pictures that the requests asked for."""
        return tuple(image for image in self.images if not image.standing.added)

    def done(self) -> frozenset[int]:
        """Return the indexes that need no more work: pictures on disk and pictures that the user skipped."""
        return frozenset(image.index for image in self.images) | frozenset(self.skipped)

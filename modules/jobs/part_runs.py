"""The parts of a job run one after the other; one that is wrong in itself does not stop the others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from modules.core.errors import GenerationStopped, InvalidRequest, NetworkUnavailable, OutOfMemory
from modules.core.ports import CancelToken
from modules.core.result import GenerationResult
from modules.jobs.model import Job
from modules.jobs.ports import Pool
from modules.jobs.sink import JobSink

OF_ONE_PART = (InvalidRequest, NetworkUnavailable, OutOfMemory)
"""What may be wrong with one picture, prompt or size; a checkpoint that fails would fail for all others too."""
MOST_TOLD = 10
"""How many failed parts are told by name."""


@dataclass(slots=True)
class PartsResult:
    """How a run over all parts ended; `failures` says of each part that could not be made which it is and why.

    `afterwards`: what plugins could not add to the finished job.
    """

    parts: int
    failures: list[str] = field(default_factory=list)
    afterwards: list[str] = field(default_factory=list)
    interrupted: bool = False

    def all_failed(self) -> bool:
        """Say whether nothing could be made at all."""
        return len(self.failures) == self.parts

    def complaint(self) -> str | None:
        """Return what is to be told about the failures; None when there are none."""
        return " ".join([*self._of_parts(), *self.afterwards]) or None

    def _of_parts(self) -> Iterator[str]:
        if not self.failures:
            return
        more = len(self.failures) - MOST_TOLD
        rest = f" And {more} more." if more > 0 else ""
        told = " ".join(self.failures[:MOST_TOLD])
        yield f"{len(self.failures)} of {self.parts} could not be made. {told}{rest}"


def run_parts(job: Job, pool: Pool, sink: JobSink, cancel: CancelToken) -> PartsResult:
    """Make what is missing of each part. A job of one part fails as that does; raises as `Engine.generate`."""
    ended, done, ran = PartsResult(len(job.parts)), job.done(), False
    for part, indexes in job.ranges():
        if done.issuperset(indexes):
            continue
        if cancel.interrupted() or (ran and cancel.stopping_after_current()):
            ended.interrupted = True
            return ended
        ran = True
        finished = frozenset(index - indexes.start for index in done.intersection(indexes))
        try:
            result = pool.run(part.request, sink.begin(part, indexes), cancel, finished)
        except GenerationStopped:
            result = GenerationResult((), interrupted=True)
        except OF_ONE_PART as error:
            if len(job.parts) == 1:
                raise
            ended.failures.append(f"{part.name}: {error}" if part.name else str(error))
            sink.give_up(part.name, str(error), indexes)
            continue
        sink.skip(indexes.start + index for index in result.images_skipped)
        if result.interrupted:
            ended.interrupted = True
            return ended
    return ended

"""Verifications under way and the newest results, kept in memory."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool

from modules.core.errors import EaselError, JobNotFound
from modules.imaging.parsing import parse_infotext
from modules.jobs.model import Job, JobState, Purpose
from modules.jobs.queue import JobQueue
from modules.web.handover import discard, until_ended
from modules.web.verify import Claim, Difference, compare_pictures
from modules.web.verify_facts import Fact, Making, compare_makings

MOST_KEPT = 8
MOST_BYTES = 400_000_000
"""Bytes of the pictures of all kept verifications together; the newest is kept whatever its size."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a verification ended: the comparison, or why there is none."""

    error: str | None = None
    difference: Difference | None = None
    made: bytes | None = None
    facts: tuple[Fact, ...] = ()


@dataclass(slots=True)
class _Run:
    claim: Claim
    task: asyncio.Task[None] | None = None
    outcome: Outcome | None = None

    def size(self) -> int:
        """Return the bytes of its pictures."""
        outcome = self.outcome
        pictures = [self.claim.content]
        if outcome is not None and outcome.made is not None:
            pictures.append(outcome.made)
        if outcome is not None and outcome.difference is not None:
            pictures.append(outcome.difference.picture or b"")
        return sum(len(picture) for picture in pictures)


class Verifications:
    """Makes pictures again and compares them; the newest results can be asked for. Safe to use from several threads."""

    def __init__(self, jobs: JobQueue) -> None:
        self._jobs = jobs
        self._lock = threading.Lock()
        self._runs: OrderedDict[str, _Run] = OrderedDict()

    async def start(self, claim: Claim, owner: str | None) -> str:
        """Put the picture's request into the queue and return the job; the rest comes by itself."""
        job = await run_in_threadpool(self._jobs.submit, claim.request, owner, Purpose.HANDOVER)
        run = _Run(claim)
        with self._lock:
            self._runs[job.id] = run
        run.task = asyncio.create_task(self._follow(job.id, run))
        return job.id

    def report(self, job_id: str) -> dict[str, Any]:
        """Return how a verification stands, as the page gets it. Raises JobNotFound."""
        run = self._run(job_id)
        outcome = run.outcome
        difference = outcome.difference if outcome is not None else None
        place = f"/easel/verify/{job_id}"
        return {
            "state": self._state(job_id, outcome),
            "error": outcome.error if outcome is not None else None,
            "identical": difference.identical if difference is not None else None,
            "max": difference.largest if difference is not None else None,
            "mean": difference.mean if difference is not None else None,
            "share": difference.share if difference is not None else None,
            "difference": f"{place}/difference" if difference is not None and difference.picture else None,
            "amplified": difference.amplified if difference is not None else None,
            "made": f"{place}/made" if outcome is not None and outcome.made is not None else None,
            "original": f"{place}/original",
            "facts": [fact.message() for fact in outcome.facts] if outcome is not None else [],
        }

    def picture(self, job_id: str, which: str) -> tuple[bytes, str]:
        """Return one of the three pictures of a verification and its format. Raises JobNotFound."""
        run = self._run(job_id)
        outcome = run.outcome
        if which == "original":
            return run.claim.content, run.claim.making.file_format
        if which == "made" and outcome is not None and outcome.made is not None:
            return outcome.made, "PNG"
        if outcome is not None and outcome.difference is not None and outcome.difference.picture is not None:
            return outcome.difference.picture, "PNG"
        raise JobNotFound("This verification has no such picture.")

    def _run(self, job_id: str) -> _Run:
        with self._lock:
            run = self._runs.get(job_id)
        if run is None:
            raise JobNotFound(f"There is no verification {job_id}; only the last {MOST_KEPT} are kept.")
        return run

    def _state(self, job_id: str, outcome: Outcome | None) -> str:
        if outcome is not None:
            return "failed" if outcome.error is not None else "finished"
        try:
            return "waiting" if self._jobs.get(job_id).state is JobState.WAITING else "running"
        except JobNotFound:
            return "running"

    async def _follow(self, job_id: str, run: _Run) -> None:
        try:
            await until_ended(self._jobs, job_id)
            run.outcome = await run_in_threadpool(self._judge, job_id, run.claim)
        finally:
            await discard(self._jobs, job_id)
            self._forget_oldest()

    def _judge(self, job_id: str, claim: Claim) -> Outcome:
        try:
            job = self._jobs.get(job_id)
            if job.state is JobState.FAILED:
                return Outcome(job.error or "The picture could not be made.")
            return _compared(job, claim) if job.images else Outcome("The verification was stopped.")
        except JobNotFound:
            return Outcome("The verification was taken out of the queue.")
        except (EaselError, OSError) as error:
            return Outcome(f"The picture that was made cannot be read: {error}")
        except Exception as error:  # A task of its own: nobody above would hear of it.
            logger.exception("The verification %s failed in a way that nobody foresaw.", job_id)
            return Outcome(f"Something unexpected went wrong ({type(error).__name__}: {error}).")

    def _forget_oldest(self) -> None:
        """Keep within the limits; those under way are kept."""
        with self._lock:
            for job_id, run in list(self._runs.items()):
                if len(self._runs) <= MOST_KEPT and sum(each.size() for each in self._runs.values()) <= MOST_BYTES:
                    return
                if run.outcome is not None and len(self._runs) > 1:
                    del self._runs[job_id]


def _compared(job: Job, claim: Claim) -> Outcome:
    image = job.images[0]
    made = image.path.read_bytes()
    difference = compare_pictures(claim.content, made)
    now = Making(parse_infotext(image.infotext), "Easel", "PNG", difference.made_size)
    return Outcome(None, difference, made, (*compare_makings(claim.making, now), *claim.found))

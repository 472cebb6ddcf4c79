"""Jobs as plain JSON-able dicts, and the announcements of their changes to all subscribers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from modules.core.errors import JobNotFound, StorageFailed
from modules.jobs.board import Board, Message
from modules.jobs.model import Job, JobImage, Purpose
from modules.jobs.store import JobStore

logger = logging.getLogger(__name__)

IMAGE_ADDRESS = "/easel/image/"
JOB_IMAGE_ADDRESS = "/easel/job-image/"
"""For pictures that were saved elsewhere than below the outputs folder."""


class Announcer:
    """Builds messages from store and board, and publishes them."""

    def __init__(self, store: JobStore, board: Board, outputs: Path) -> None:
        self._store = store
        self._board = board
        self._outputs = outputs

    def job_changed(self, job_id: str) -> None:
        """Tell how a job stands now."""
        self._announce(lambda: {"type": "job", "job": self.job(self._store.get(job_id))})

    def job_removed(self, job_id: str) -> None:
        """Tell that a job is no longer listed."""
        self._announce(lambda: {"type": "removed", "id": job_id})

    def queue_changed(self) -> None:
        """Tell the order of the waiting jobs, by their ids alone, so that a long queue stays cheap."""
        self._announce(
            lambda: {"type": "queue", **self._queue(), "waiting": [job.id for job in self._store.waiting()]}
        )

    def snapshot(self) -> Message:
        """Return everything that a page needs when it connects."""
        job, progress = self._store.latest_shown(), self._board.progress()
        return {
            "type": "snapshot",
            "engine": self._board.engine(),
            "model": self._board.model(),
            "job": None if job is None else self.job(job),
            "last": [self.job(last) for kind in (False, True) if (last := self._store.latest_shown(kind))],
            "progress": None if progress is None else progress.message(),
            "queue": {**self._queue(), "waiting": [self.job(waiting) for waiting in self._store.waiting()]},
        }

    def job(self, job: Job) -> Message:
        """Return a job as subscribers get it."""
        return {
            "id": job.id,
            "state": str(job.state),
            "created": job.created,
            "started": job.started,
            "finished": job.finished,
            "error": job.error,
            "request": job.asked().model_dump(mode="json"),
            "images": self._images(job),
            "image_count": job.image_count(),
            "made_count": len(job.own()),
            "part_count": len(job.parts),
            "purpose": str(job.purpose),
        }

    def _announce(self, make_message: Callable[[], Message]) -> None:
        """Publish; a job that is gone by now or a store that cannot be read must not stop what is announced."""
        try:
            self._board.publish(make_message)
        except (JobNotFound, StorageFailed) as error:
            logger.warning("A change could not be announced. %s", error)

    def _queue(self) -> Message:
        running, reason = self._store.running(), self._board.pause_reason()
        return {
            "running": None if running is None else running.id,
            "paused": reason is not None,
            "reason": reason or "",
        }

    def _images(self, job: Job) -> list[Message]:
        """Return the pictures, each with its variation seed, which is the seed itself where there was no variation.

        None of those that somebody waits for, who takes them away in the moment in which a page would ask for them.
        """
        if job.purpose is Purpose.HANDOVER:
            return []
        subseeds: dict[int, int] = {}
        for part, indexes in job.ranges():
            if part.request.subseed_strength:
                subseeds |= {index: part.request.image_subseed(index - indexes.start) for index in indexes}
        shown = job.shown()
        return [self._image(job.id, image) | {"subseed": subseeds.get(image.index, image.seed)} for image in shown]

    def _image(self, job_id: str, image: JobImage) -> Message:
        inside = image.path.is_relative_to(self._outputs)
        below_outputs = image.path.relative_to(self._outputs).as_posix() if inside else ""
        return {
            "index": image.index,
            "seed": image.seed,
            "url": IMAGE_ADDRESS + quote(below_outputs) if inside else f"{JOB_IMAGE_ADDRESS}{job_id}/{image.index}",
            "infotext": image.infotext,
        }

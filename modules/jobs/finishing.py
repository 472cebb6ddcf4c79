"""What plugins add to a job when its last part is done: pictures such as grids, each saved as every picture is.

A kill in between shows in nothing: what was added before it is there, the rest is added when the job goes on.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from PIL import Image

from modules.core.errors import EaselError, StorageFailed
from modules.core.result import GeneratedImage, Place
from modules.hooks.job_hooks import AddedPicture, FinishedJob, FinishedPart, FinishedPicture
from modules.jobs.model import Job, JobImage, Origin, Purpose, Standing
from modules.jobs.sink import JobSink, RunServices

logger = logging.getLogger(__name__)


def finish_parts(job_id: str, sink: JobSink, services: RunServices) -> list[str]:
    """Have the plugins that made the job's parts add their pictures; return what could not be added, in words.

    Raises StorageFailed when a picture cannot be saved.
    """
    job = services.store.get(job_id)
    if not job.origins or not job.own():
        return []
    complaints: list[str] = []
    there = sum(image.standing.added for image in job.images)
    hidden, shown = True, False
    for origin in job.origins:
        finished = _finished(job, origin)
        try:
            services.after_job(origin.plugin, finished)
            added, there = finished.added[there:], max(0, there - len(finished.added))
            _add(added, job, origin, sink, services)
        except StorageFailed:
            raise
        except EaselError as error:
            logger.warning("Job %s: %s", job_id, error)
            complaints.append(str(error))
            hidden = False
            continue
        hidden = hidden and finished.hides_parts
        shown = shown or bool(finished.added)
    if hidden and shown and services.rules().show_added:
        services.store.hide_own(job_id)
    return complaints


def _finished(job: Job, origin: Origin) -> FinishedJob:
    ranges = list(job.ranges())[origin.first : origin.first + origin.count]
    pictures = {image.index: image for image in job.own()}
    parts = [
        FinishedPart(part.request, tuple(_picture(pictures[index]) for index in indexes if index in pictures))
        for part, indexes in ranges
    ]
    return FinishedJob(origin.request, origin.request.extras[origin.plugin], parts)


def _picture(image: JobImage) -> FinishedPicture:
    return FinishedPicture(image.seed, image.infotext, lambda: Image.open(image.path))


def _add(
    added: Sequence[AddedPicture], job: Job, origin: Origin, sink: JobSink, services: RunServices
) -> None:
    rules = services.rules()
    kept = rules.save_added and job.purpose is not Purpose.HANDOVER
    if not kept and not rules.show_added:
        return
    for each in added:
        image = GeneratedImage(
            sink.next_further(), each.seed, each.draw(), each.infotext, bool(origin.request.init_image)
        )
        sink.save(image, Place(origin.place.folder, series=each.series), Standing(True, kept, rules.show_added))
        services.announcer.job_changed(job.id)

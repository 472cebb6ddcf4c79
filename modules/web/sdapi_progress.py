"""How far the running job is, as A1111's API tells it."""

from __future__ import annotations

import base64
import io
import time
from typing import Any

from PIL import Image
from pydantic import BaseModel, Field

from modules.core.errors import JobNotFound
from modules.jobs.model import Job, JobState
from modules.jobs.progress import Progress
from modules.jobs.queue import JobQueue
from modules.web.sdapi_answer import TIMESTAMP
from modules.web.sdapi_tasks import LONGEST_TASK, Tasks

LEAST_PROGRESS = 0.01
"""What a job that has just begun is told to have done; clients divide by it."""
_NO_TIME = "0"


class ProgressQuestion(BaseModel):
    """What the page of A1111 asks about one task; `id_live_preview` is that of the preview which it shows already."""

    id_task: str = Field(default="", max_length=LONGEST_TASK)
    id_live_preview: int = -1
    live_preview: bool = True


def overall_progress(jobs: JobQueue, with_picture: bool) -> dict[str, Any]:
    """Return how far the running job is, whoever asked for it; a preview comes as PNG in base64."""
    job, progress = jobs.running(), jobs.progress()
    if job is None or progress is None or progress.job != job.id:
        return {
            "progress": 0.0,
            "eta_relative": 0.0,
            "state": _state(None, None),
            "current_image": None,
            "textinfo": "The queue is paused." if jobs.paused and jobs.waiting() else None,
        }
    picture = jobs.preview(job.id) if with_picture else None
    return {
        "progress": max(LEAST_PROGRESS, min(1.0, progress.fraction)),
        "eta_relative": progress.seconds_left or 0.0,
        "state": _state(job, progress),
        "current_image": None if picture is None else base64.b64encode(_as_png(picture)).decode(),
        "textinfo": progress.stage,
    }


def task_progress(jobs: JobQueue, tasks: Tasks, question: ProgressQuestion) -> dict[str, Any]:
    """Return how far the job is that the client calls so; jobs are known by their own ids too."""
    job_id = tasks.job_of(question.id_task)
    try:
        job = jobs.get(job_id or question.id_task)
    except JobNotFound:
        # A job that was known and is gone has handed its pictures over.
        return _told(completed=job_id is not None, textinfo="Waiting..." if job_id is None else None)
    if job.state is JobState.WAITING:
        waiting = [each.id for each in jobs.waiting()]
        place = waiting.index(job.id) + 1 if job.id in waiting else 1
        return _told(queued=True, textinfo=f"In queue: {place}/{max(place, len(waiting))}")
    progress = jobs.progress()
    if job.state is not JobState.RUNNING or progress is None or progress.job != job.id:
        return _told(completed=job.state is not JobState.RUNNING, active=job.state is JobState.RUNNING)
    told = _told(active=True, textinfo=progress.stage)
    told |= {"progress": progress.fraction, "eta": progress.seconds_left}
    number = _preview_number(progress)
    if question.live_preview and number not in (-1, question.id_live_preview):
        picture = jobs.preview(job.id)
        if picture is not None:
            shown = f"data:image/jpeg;base64,{base64.b64encode(picture).decode()}"
            told |= {"live_preview": shown, "id_live_preview": number}
    return told


def _told(
    active: bool = False, queued: bool = False, completed: bool = False, textinfo: str | None = None
) -> dict[str, Any]:
    return {
        "active": active,
        "queued": queued,
        "completed": completed,
        "progress": None,
        "eta": None,
        "live_preview": None,
        "id_live_preview": -1,
        "textinfo": textinfo,
    }


def _state(job: Job | None, progress: Progress | None) -> dict[str, Any]:
    """Return A1111's state; batches are what it counts as jobs."""
    batch = 0 if progress is None else (progress.image - 1) // max(1, progress.batch_size)
    batches = 0 if job is None else sum(part.request.batch_count for part in job.parts)
    started = None if job is None else time.localtime(job.started or job.created)
    return {
        "skipped": False,
        "interrupted": False,
        "stopping_generation": False,
        "job": "" if job is None else f"Batch {batch + 1} out of {batches}",
        "job_count": batches,
        "job_timestamp": _NO_TIME if started is None else time.strftime(TIMESTAMP, started),
        "job_no": batch,
        "sampling_step": 0 if progress is None else progress.step,
        "sampling_steps": 0 if progress is None else progress.steps,
    }


def _preview_number(progress: Progress) -> int:
    """Return the number in the newest preview's address, -1 when there is none yet."""
    return -1 if progress.preview is None else int(progress.preview.rsplit("/", 1)[-1])


def _as_png(picture: bytes) -> bytes:
    out = io.BytesIO()
    Image.open(io.BytesIO(picture)).save(out, "PNG")
    return out.getvalue()

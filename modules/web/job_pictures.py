"""A job's pictures, found by job and index."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field

from modules.core.errors import JobNotFound
from modules.jobs.messages import JOB_IMAGE_ADDRESS
from modules.jobs.model import Job, JobImage
from modules.jobs.queue import JobQueue

LONGEST_NAME = 100


class JobPicture(BaseModel):
    """Which picture: the job, and the index over all its batches."""

    job: Annotated[str, Field(max_length=LONGEST_NAME)]
    index: Annotated[int, Field(ge=0, le=2**31)]


def find_picture_of_job(jobs: JobQueue, wanted: JobPicture) -> tuple[Job, JobImage]:
    """Return the job and its picture. Raises JobNotFound when there is no such one."""
    job = jobs.get(wanted.job)
    for image in job.images:
        if image.index == wanted.index:
            return job, image
    raise JobNotFound(f"Job {job.id} has no picture {wanted.index}.")


def gallery_source(image: JobImage, job_id: str, outputs: Path, origin: str) -> str:
    """Return what Gradio's gallery shows a picture by: its path, or its address where it was saved elsewhere.

    `origin`: scheme, host and port under which the page was opened; Gradio takes whole addresses alone.
    """
    if image.path.is_relative_to(outputs):
        return str(image.path)
    return f"{origin}{JOB_IMAGE_ADDRESS}{job_id}/{image.index}"


def read_picture(image: JobImage) -> bytes:
    """Return a picture's file. Raises JobNotFound when it was deleted."""
    try:
        return image.path.read_bytes()
    except OSError as error:
        raise JobNotFound(f"The picture {image.path.name} cannot be read: {error.strerror or error}.") from error

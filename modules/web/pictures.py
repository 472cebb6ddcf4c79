"""The routes that serve pictures: those under outputs/ and the previews of a running job."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from fastapi import APIRouter, HTTPException
from pydantic import ValidationError
from starlette.responses import FileResponse, Response

from modules.core.errors import JobNotFound
from modules.jobs.messages import JOB_IMAGE_ADDRESS
from modules.jobs.queue import JobQueue
from modules.web.job_pictures import JobPicture, find_picture_of_job

logger = logging.getLogger(__name__)

MEDIA_TYPES: Mapping[str, str] = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".avif": "image/avif",
    ".gif": "image/gif",
}
"""What counts as a picture; anything else under outputs/, above all the database, is never served."""
FOREVER = "private, max-age=31536000, immutable"
"""A finished picture never changes, and its name goes to another only when somebody deletes the folder's newest file
by hand and the same seed comes next."""


def find_picture(outputs: Path, wanted: str) -> Path | None:
    """Return the picture at `wanted`, a path relative to `outputs` or an absolute one within; None when there is none.

    Dotfiles and whatever lies in a dot-folder are not found, nor what a link leads to outside of `outputs`.
    """
    root = outputs.resolve()
    if "\0" in wanted or "\\" in wanted:
        return None
    try:
        path = (root / wanted).resolve()
        relative = path.relative_to(root)
    except (ValueError, OSError):
        return None
    hidden = any(part.startswith(".") for part in (*relative.parts, *Path(wanted).parts))
    if hidden or path.suffix.lower() not in MEDIA_TYPES or not path.is_file():
        return None
    return path


def make_picture_router(jobs: JobQueue, outputs: Path) -> APIRouter:
    """Return the picture routes."""
    router = APIRouter()

    def serve(wanted: str, cache: str = FOREVER) -> Response:
        """Answer with a picture's file or 404."""
        path = find_picture(outputs, wanted)
        if path is None:
            raise HTTPException(404, "There is no such picture.")
        return FileResponse(path, media_type=MEDIA_TYPES[path.suffix.lower()], headers={"cache-control": cache})

    @router.api_route("/easel/image/{path:path}", methods=["GET", "HEAD"])
    def image(path: str) -> Response:
        """Serve a picture by its path under outputs/."""
        return serve(path.lstrip("/"))

    # Gradio's gallery asks for its files here; this route comes before Gradio's, which would serve the database too.
    @router.api_route("/gradio_api/file={path:path}", methods=["GET", "HEAD"])
    def gallery_file(path: str) -> Response:
        """Serve a picture by its absolute path."""
        return serve(path)

    @router.api_route(JOB_IMAGE_ADDRESS + "{job}/{index}", methods=["GET", "HEAD"])
    def image_of_job(job: str, index: int) -> Response:
        """Serve a picture of a job that was saved elsewhere than below outputs/."""
        try:
            path = find_picture_of_job(jobs, JobPicture(job=job, index=index))[1].path
        except (JobNotFound, ValidationError) as error:
            raise HTTPException(404, "There is no such picture.") from error
        if not path.is_file() or path.suffix.lower() not in MEDIA_TYPES:
            raise HTTPException(404, "There is no such picture.")
        return FileResponse(path, media_type=MEDIA_TYPES[path.suffix.lower()], headers={"cache-control": FOREVER})

    @router.get("/easel/preview/{job}/{number}")
    def preview(job: str, number: int) -> Response:
        """Serve the newest preview of a job; `number` only makes each address new.

        A page that asks just after the job has ended gets an empty answer: that is no error.
        """
        logger.debug("Preview %s of job %s.", number, job)
        picture = jobs.preview(job)
        if picture is None:
            return Response(status_code=204)
        return Response(picture, media_type="image/jpeg", headers={"cache-control": "no-store"})

    return router

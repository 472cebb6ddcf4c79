"""The routes by which the page looks at the queue and changes it, and enlarges a finished picture."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel

from modules.core.parameters import PARAMETERS
from modules.core.request import GenerationRequest
from modules.gallery.inputs import open_picture
from modules.imaging.parsing import parse_infotext
from modules.jobs.model import Job, Part
from modules.jobs.queue import JobQueue
from modules.web.checkpoints import CheckpointChooser
from modules.web.job_pictures import JobPicture, find_picture_of_job, read_picture
from modules.web.live import for_browser
from modules.web.pasting import Paster
from modules.web.requests import RequestMaker
from modules.web.services import WebServices
from modules.web.submitting import submit

ENDED_PER_PAGE = 30
MOST_ENDED_PER_PAGE = 200
FIRST_PASS_FIELDS = (
    "prompt", "negative_prompt", "subseed", "subseed_strength", "seed_resize_from_w", "seed_resize_from_h",
)  # fmt: skip
"""What a picture's second pass takes from the picture, besides its seed and size."""
SIZE_STEP = 8


class Move(BaseModel):
    """Where a waiting job goes: before the waiting job `before`, or to the end."""

    before: str | None = None


class HiresWish(JobPicture):
    """A picture that is to get a second pass, and the form's values."""

    values: dict[str, Any]


def make_job_router(services: WebServices, chooser: CheckpointChooser) -> APIRouter:
    """Return the routes under /easel/jobs and /easel/queue, and the one of hires fix for a finished picture."""
    router = APIRouter(prefix="/easel")
    jobs = services.jobs

    def tell(job: Job) -> dict[str, Any]:
        """Return a job as the page gets it, in the form of the live messages."""
        told: dict[str, Any] = for_browser(jobs.job_message(job))
        return told

    @router.get("/jobs")
    def list_jobs(
        limit: Annotated[int, Query(ge=1, le=MOST_ENDED_PER_PAGE)] = ENDED_PER_PAGE,
        offset: Annotated[int, Query(ge=0)] = 0,
    ) -> dict[str, Any]:
        """Return the jobs that wait, the running one and a page of those that have ended."""
        running = jobs.running()
        return {
            "waiting": [tell(job) for job in jobs.waiting()],
            "running": None if running is None else tell(running),
            "ended": [tell(job) for job in jobs.ended(limit, offset)],
            "paused": jobs.paused,
        }

    @router.post("/jobs/{job_id}/cancel")
    def cancel(job_id: str) -> dict[str, bool]:
        """Take a waiting job out of the queue."""
        return _done(lambda: jobs.cancel(job_id))

    @router.post("/jobs/{job_id}/retry")
    def retry(job_id: str) -> dict[str, Any]:
        """Run an ended job again."""
        return tell(jobs.retry(job_id))

    @router.post("/jobs/{job_id}/remove")
    def remove(job_id: str) -> dict[str, bool]:
        """Take an ended job off the list; its pictures stay."""
        return _done(lambda: jobs.remove(job_id))

    @router.post("/jobs/{job_id}/move")
    def move(job_id: str, where: Move) -> dict[str, bool]:
        """Put a waiting job elsewhere in the queue."""
        return _done(lambda: jobs.move(job_id, where.before))

    _add_queue_routes(router, jobs)
    _add_hires_route(router, services, RequestMaker(services, chooser))
    return router


def hires_values(wish: HiresWish, services: WebServices) -> dict[str, object]:
    """Return the form's values for a second pass over a finished picture.

    Prompts, seed and size are the picture's own, what the second pass does is the form's; styles are in the picture's
    prompts already. Raises JobNotFound when the picture is gone.
    """
    _, image = find_picture_of_job(services.jobs, wish)
    content = read_picture(image)
    with open_picture(content, "image") as picture:
        width, height = (side // SIZE_STEP * SIZE_STEP for side in picture.size)
    found = Paster(services).values(parse_infotext(image.infotext))[0]
    return {
        **wish.values,
        **{name: found.get(name, PARAMETERS[name].default) for name in FIRST_PASS_FIELDS},
        "seed": image.seed,
        "width": width,
        "height": height,
        "batch_count": 1,
        "batch_size": 1,
        "enable_hr": True,
        "firstpass_image": services.inputs.keep(content),
        "styles": [],
    }


def _add_hires_route(router: APIRouter, services: WebServices, maker: RequestMaker) -> None:
    @router.post("/hires")
    def hires(wish: HiresWish, request: Request) -> dict[str, str]:
        """Put a second pass over a finished picture into the queue."""
        wanted: GenerationRequest = maker.from_values(hires_values(wish, services))
        job = submit([Part(wanted)], services, request.scope.get("user_name"), maker.purpose())
        return {"job": job.id}


def _add_queue_routes(router: APIRouter, jobs: JobQueue) -> None:
    @router.post("/interrupt")
    def interrupt(job: str | None = None) -> dict[str, bool]:
        """Stop the running job at its next step; with `job` only if that one runs."""
        return {"done": jobs.interrupt(job)}

    @router.post("/skip")
    def skip(job: str | None = None) -> dict[str, bool]:
        """Give up the batch that is sampled now; `job` as above."""
        return {"done": jobs.skip(job)}

    @router.post("/stop-after-current")
    def stop_after_current(job: str | None = None) -> dict[str, bool]:
        """End the running job after its current batch; `job` as above."""
        return {"done": jobs.stop_after_current(job)}

    @router.post("/queue/pause")
    def pause() -> dict[str, bool]:
        """Let no further job begin."""
        return _done(jobs.pause)

    @router.post("/queue/resume")
    def resume() -> dict[str, bool]:
        """Let jobs begin again."""
        return _done(jobs.resume)


def _done(action: Callable[[], object]) -> dict[str, bool]:
    action()
    return {"done": True}

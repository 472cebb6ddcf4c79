"""The routes by which the page looks at the queue and changes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel

from modules.jobs.model import Job
from modules.jobs.queue import JobQueue
from modules.web.live import for_browser

ENDED_PER_PAGE = 30
MOST_ENDED_PER_PAGE = 200


class Move(BaseModel):
    """Where a waiting job goes: before the waiting job `before`, or to the end."""

    before: str | None = None


def make_job_router(jobs: JobQueue) -> APIRouter:
    """Return the routes under /easel/jobs and /easel/queue."""
    router = APIRouter(prefix="/easel")

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
    return router


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

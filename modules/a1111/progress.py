"""A1111's modules.progress: ids of tasks, as extensions hand them around."""

from __future__ import annotations

import random
import string
import time
from typing import Any

from pydantic import BaseModel, Field

from modules.a1111._host import HOST

PENDING: dict[str, float] = {}
pending_tasks = PENDING
FINISHED: list[str] = []
finished_tasks = FINISHED
RESULTS: list[tuple[str, Any]] = []
recorded_results = RESULTS
recorded_results_limit = 2
MOST_FINISHED = 16
_ID_LENGTH = 7


class ProgressRequest(BaseModel):
    """Asks how far a task is."""

    id_task: str | None = Field(default=None, title="Task ID")
    id_live_preview: int = -1
    live_preview: bool = True


class ProgressResponse(BaseModel):
    """Says how far a task is."""

    active: bool
    queued: bool
    completed: bool
    progress: float | None = None
    eta: float | None = None
    live_preview: str | None = None
    id_live_preview: int | None = None
    textinfo: str | None = None


class PendingTasksResponse(BaseModel):
    """Which tasks wait."""

    size: int
    tasks: list[str]


def __getattr__(name: str) -> Any:
    """Return the task that runs."""
    if name == "current_task":
        return HOST.own_state.get("current_task")
    raise AttributeError(name)


def create_task_id(task_type: str) -> str:
    """Return a new id."""
    letters = string.ascii_uppercase + string.digits
    return f"task({task_type}-{''.join(random.SystemRandom().choices(letters, k=_ID_LENGTH))})"


def start_task(id_task: str) -> None:
    """Note that a task runs."""
    HOST.own_state["current_task"] = id_task
    PENDING.pop(id_task, None)


def finish_task(id_task: str) -> None:
    """Note that a task is done."""
    if HOST.own_state.get("current_task") == id_task:
        HOST.own_state["current_task"] = None
    FINISHED.append(id_task)
    del FINISHED[:-MOST_FINISHED]


def add_task_to_queue(id_job: str) -> None:
    """Note that a task waits."""
    PENDING[id_job] = time.time()


def record_results(id_task: str, res: Any) -> None:
    """Keep what a task gave."""
    RESULTS.append((id_task, res))
    del RESULTS[:-recorded_results_limit]


def get_pending_tasks() -> PendingTasksResponse:
    """Return the waiting tasks."""
    return PendingTasksResponse(size=len(PENDING), tasks=list(PENDING))


def progressapi(req: ProgressRequest) -> ProgressResponse:
    """Return how far a task is; that which runs is as far as Easel's job."""
    active, queued = req.id_task == HOST.own_state.get("current_task"), req.id_task in PENDING
    completed = req.id_task in FINISHED
    job = HOST.services.jobs.progress() if HOST.services is not None else None
    if not active or job is None:
        text = "In queue..." if queued else "Waiting..."
        return ProgressResponse(active=active, queued=queued, completed=completed, textinfo=text)
    return ProgressResponse(active=True, queued=False, completed=False, progress=job.fraction, eta=job.seconds_left)

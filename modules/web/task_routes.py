"""The routes by which the page looks after background tasks; how these stand it learns over the live socket."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Request

from modules.web.auth import require_admin
from modules.web.services import WebServices


def make_task_router(services: WebServices) -> APIRouter:
    """Return the routes under /easel/tasks."""
    router = APIRouter(prefix="/easel/tasks")
    tasks = services.background.tasks

    @router.get("")
    def list_tasks() -> dict[str, Any]:
        """Return all tasks."""
        return tasks.message()

    @router.post("/{task_id}/{action}")
    def act(task_id: str, action: Literal["cancel", "retry", "dismiss"], request: Request) -> dict[str, bool]:
        """Cancel a task, try it again, or take it off the list; for admins."""
        require_admin(request, services.config)
        {"cancel": tasks.cancel, "retry": tasks.retry, "dismiss": tasks.dismiss}[action](task_id)
        return {"done": True}

    return router

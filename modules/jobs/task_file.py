"""What a background task is, and the file in which the tasks are kept."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

from modules.core.files import write_whole

logger = logging.getLogger(__name__)


class TaskState(StrEnum):
    """Where a task stands; one that a killed or stopped server left half-done is `waiting` again."""

    WAITING = "waiting"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SHOWN = "shown"


ENDED_TASKS = frozenset({TaskState.FINISHED, TaskState.FAILED, TaskState.CANCELLED})


@dataclass(frozen=True, slots=True)
class Task:
    """One task. `spec`: what its kind needs to know, JSON, never told to a page; `fraction`: 0 to 1.

    `detail` says in words how far it is, `error` why it failed, `result` what came out.
    """

    id: str
    kind: str
    title: str
    spec: Mapping[str, Any] = field(default_factory=dict, repr=False)
    state: TaskState = TaskState.WAITING
    fraction: float = 0.0
    detail: str = ""
    error: str = ""
    result: str = ""
    created: float = 0.0

    def message(self) -> dict[str, Any]:
        """Return the task as pages get it."""
        told = {name: getattr(self, name) for name in ("id", "kind", "title", "detail", "error", "result", "created")}
        return {**told, "state": str(self.state), "fraction": round(self.fraction, 4)}


def read_tasks(path: Path) -> list[Task]:
    """Return the tasks that the file holds; what cannot be read is left out, with a line in the log."""
    try:
        entries = list(json.loads(path.read_text(encoding="utf-8"))["tasks"])
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError, LookupError) as error:
        logger.warning("The tasks of the last run cannot be read (%s).", error)
        return []
    return [task for entry in entries if (task := _task(entry)) is not None]


def write_tasks(path: Path, tasks: Iterable[Task]) -> None:
    """Write the tasks beside the file's place, readable by nobody else, and rename it. Raises OSError."""
    content = json.dumps({"tasks": [asdict(task) for task in tasks]}, indent=1)
    write_whole(path, content, private=True)


def _task(entry: Any) -> Task | None:
    try:
        known = {each.name: entry[each.name] for each in fields(Task)}
        task = Task(**{**known, "state": TaskState(entry["state"]), "spec": dict(entry["spec"])})
    except (LookupError, TypeError, ValueError) as error:
        logger.warning("A task of the last run is left out: its entry is broken (%s).", error)
        return None
    return task

"""The board of background tasks: downloads, merges and the like, which run beside the queue of pictures.

Every kind of task is registered by name with the function that does it. Tasks are kept in a file, so that those that
a stopped or killed server left unfinished go on at the next start.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from modules.core.errors import EaselError, JobNotFound, JobStateConflict, TaskCancelled
from modules.jobs.task_file import ENDED_TASKS, Task, TaskState, read_tasks, write_tasks

logger = logging.getLogger(__name__)

TASKS_FILE = "tasks.json"
MOST_ENDED = 50
"""So many ended tasks are remembered."""
TELL_SECONDS = 0.25
"""At least so long lies between two messages of mere progress."""
GOODBYE_SECONDS = 10.0
"""How long `close` waits for the running tasks to stop."""

Message = dict[str, Any]
Listener = Callable[[Message], None]
Spec = Mapping[str, Any]
Report = Callable[[float, str], None]
"""Told the part that is done, 0 to 1, and in words how far that is."""
TaskFunction = Callable[[Spec, Report, Callable[[], bool]], str]
"""Does a task and returns its result in words; raises TaskCancelled soon after the last argument began to say so."""


@dataclass(frozen=True, slots=True)
class TaskKind:
    """How a kind of task is done: by `run`, so many `at_once`; `discard` clears away what an unfinished one left."""

    run: TaskFunction
    discard: Callable[[Spec], None]
    at_once: int = 1


class TaskBoard:
    """All background tasks. Safe to use from all threads; nothing here waits for a task but `close`."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Take the JSON file in which the tasks are kept; tasks begin after `begin`."""
        self._path = path
        self._clock = clock
        self._lock = threading.RLock()
        self._kinds: dict[str, TaskKind] = {}
        self._tasks = {task.id: _waiting_again(task) for task in read_tasks(path)}
        self._shown: dict[str, Task] = {}
        self._running: dict[str, tuple[threading.Thread, threading.Event]] = {}
        self._listeners: list[Listener] = []
        self._told = float("-inf")
        self._later: threading.Timer | None = None
        self._begun = False
        self._closing = False

    def register(
        self, kind: str, run: TaskFunction, discard: Callable[[Spec], None] = lambda spec: None, at_once: int = 1
    ) -> None:
        """Tell how tasks of a kind are done."""
        with self._lock:
            self._kinds[kind] = TaskKind(run, discard, at_once)
            self._fill()

    def begin(self) -> None:
        """Let the waiting tasks begin."""
        with self._lock:
            self._begun = True
            self._fill()

    def close(self) -> bool:
        """Stop the running tasks so that they go on at the next start; says whether all of them have stopped."""
        with self._lock:
            self._closing = True
            threads = [thread for thread, _ in self._running.values()]
        until = time.monotonic() + GOODBYE_SECONDS
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in threads)

    def start(self, kind: str, title: str, spec: Spec) -> Task:
        """Add a task; it begins as soon as its kind has a place free."""
        task = Task(secrets.token_hex(8), kind, title, dict(spec), created=time.time())
        with self._lock:
            self._tasks[task.id] = task
            self._drop_oldest()
            self._changed()
            self._fill()
        return task

    def get(self, task_id: str) -> Task:
        """Return one task. Raises JobNotFound."""
        with self._lock:
            if task_id not in self._tasks:
                raise JobNotFound(f"There is no task {task_id}; it may have been removed.")
            return self._tasks[task_id]

    def tasks(self) -> list[Task]:
        """Return all tasks in the order in which they were added, and what is only shown."""
        with self._lock:
            return [*self._tasks.values(), *self._shown.values()]

    def cancel(self, task_id: str) -> None:
        """Stop a task; what it has done so far is kept for `retry`. Raises JobNotFound, JobStateConflict."""
        with self._lock:
            task = self.get(task_id)
            if task_id in self._running:
                self._running[task_id][1].set()
            elif task.state is TaskState.WAITING:
                self._end(task_id, TaskState.CANCELLED)
            else:
                raise JobStateConflict(f"Only a task that waits or runs can be cancelled; this one is {task.state}.")

    def retry(self, task_id: str) -> None:
        """Let a failed or cancelled task go on. Raises JobNotFound, JobStateConflict."""
        with self._lock:
            task = self.get(task_id)
            if task.state not in (TaskState.FAILED, TaskState.CANCELLED):
                raise JobStateConflict(f"Only a failed or cancelled task can be tried again; this one is {task.state}.")
            self._tasks[task_id] = replace(task, state=TaskState.WAITING, error="")
            self._changed()
            self._fill()

    def dismiss(self, task_id: str) -> None:
        """Forget an ended task and what an unfinished one left on disk. Raises JobNotFound, JobStateConflict."""
        with self._lock:
            task = self.get(task_id)
            if task.state not in ENDED_TASKS:
                raise JobStateConflict(f"A task that is {task.state} cannot be removed; cancel it first.")
            del self._tasks[task_id]
            self._changed()
            kind = self._kinds.get(task.kind)
        if kind is not None and task.state is not TaskState.FINISHED:
            kind.discard(task.spec)

    def show(self, kind: str, title: str, fraction: float, detail: str) -> None:
        """Show the progress of something that is no task of its own, one per kind, until `remove`."""
        with self._lock:
            new = kind not in self._shown
            self._shown[kind] = Task(f"shown-{kind}", kind, title, {}, TaskState.SHOWN, fraction, detail)
            self._tell(now=new)

    def remove(self, kind: str) -> None:
        """Show it no longer."""
        with self._lock:
            if self._shown.pop(kind, None) is not None:
                self._tell()

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with each message, from any thread, until the returned function is called."""
        with self._lock:
            self._listeners.append(listener)

        def unsubscribe() -> None:
            with self._lock:
                if listener in self._listeners:
                    self._listeners.remove(listener)

        return unsubscribe

    def message(self) -> Message:
        """Return the message that tells of all tasks."""
        return {"type": "tasks", "tasks": [task.message() for task in self.tasks()]}

    def _fill(self) -> None:
        """Begin what waits, as far as its kind has places free."""
        if not self._begun or self._closing:
            return
        for task in [task for task in self._tasks.values() if task.state is TaskState.WAITING]:
            kind = self._kinds.get(task.kind)
            busy = sum(self._tasks[task_id].kind == task.kind for task_id in self._running)
            if kind is None or busy >= kind.at_once:
                continue
            stop = threading.Event()
            thread = threading.Thread(
                target=self._run, args=(task, kind, stop), name=f"task-{task.kind}", daemon=True
            )
            self._running[task.id] = (thread, stop)
            self._tasks[task.id] = replace(task, state=TaskState.RUNNING, detail="")
            self._changed()
            thread.start()

    def _run(self, task: Task, kind: TaskKind, stop: threading.Event) -> None:
        state, words = self._outcome(task, kind, stop)
        with self._lock:
            del self._running[task.id]
            if state is TaskState.FINISHED:
                self._tasks[task.id] = replace(self._tasks[task.id], fraction=1.0, detail="")
            self._end(task.id, state, words)
            self._fill()

    def _outcome(self, task: Task, kind: TaskKind, stop: threading.Event) -> tuple[TaskState, str]:
        """Do the task; whatever goes wrong ends this task alone. `waiting` means that the server is closing."""

        def report(fraction: float, detail: str) -> None:
            with self._lock:
                known = self._tasks[task.id]
                self._tasks[task.id] = replace(known, fraction=min(1.0, max(0.0, fraction)), detail=detail)
                self._tell(now=False)

        try:
            return TaskState.FINISHED, kind.run(task.spec, report, lambda: stop.is_set() or self._closing)
        except TaskCancelled:
            return (TaskState.CANCELLED if stop.is_set() else TaskState.WAITING), ""
        except EaselError as error:
            logger.warning("%s: %s", task.title, error)
            return TaskState.FAILED, str(error)
        except Exception as error:  # The border of the job runner: no task may end the server.
            logger.exception("The task %s failed in a way that nobody foresaw.", task.id)
            problem = type(error).__name__
            return TaskState.FAILED, f"Something unexpected went wrong ({problem}). The log has the details."

    def _end(self, task_id: str, state: TaskState, words: str = "") -> None:
        result, error = (words, "") if state is TaskState.FINISHED else ("", words)
        self._tasks[task_id] = replace(self._tasks[task_id], state=state, result=result, error=error)
        self._changed()

    def _drop_oldest(self) -> None:
        finished = [task.id for task in self._tasks.values() if task.state is TaskState.FINISHED]
        for task_id in finished[: max(0, len(finished) - MOST_ENDED)]:
            del self._tasks[task_id]

    def _changed(self) -> None:
        """Write the tasks down and tell everybody; a disk that refuses costs the memory of them, not the tasks."""
        try:
            write_tasks(self._path, self._tasks.values())
        except OSError as error:
            logger.warning("The list of tasks could not be written: %s", error.strerror or error)
        self._tell()

    def _tell(self, now: bool = True) -> None:
        """Tell everybody how the tasks stand; with `now` false a moment later, if it was told a moment ago."""
        wait = TELL_SECONDS - (self._clock() - self._told)
        if not now and wait > 0:
            if self._later is None:
                self._later = threading.Timer(wait, self._tell_late)
                self._later.daemon = True
                self._later.start()
            return
        self._told = self._clock()
        message = self.message()
        for listener in list(self._listeners):
            listener(message)

    def _tell_late(self) -> None:
        with self._lock:
            self._later = None
            self._tell()


def _waiting_again(task: Task) -> Task:
    return replace(task, state=TaskState.WAITING) if task.state is TaskState.RUNNING else task

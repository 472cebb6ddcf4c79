"""Which job a client's own task id means."""

from __future__ import annotations

import threading
from collections import OrderedDict

MOST_TASKS = 1000
LONGEST_TASK = 200


class Tasks:
    """Remembers the newest task ids and their jobs. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: OrderedDict[str, str] = OrderedDict()

    def remember(self, task: str | None, job_id: str) -> None:
        """Note that the client calls this job so; without a name nothing is noted."""
        if not task or len(task) > LONGEST_TASK:
            return
        with self._lock:
            self._jobs[task] = job_id
            self._jobs.move_to_end(task)
            while len(self._jobs) > MOST_TASKS:
                self._jobs.popitem(last=False)

    def job_of(self, task: str) -> str | None:
        """Return the job that a client calls so, though it may be gone by now; None for an unknown name."""
        with self._lock:
            return self._jobs.get(task)

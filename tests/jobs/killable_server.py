"""Run as a process of its own: works off a fixed queue, and kills itself at the moment that it is told."""

import os
import signal
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from modules.core.request import GenerationRequest
from modules.core.result import Place
from modules.gallery import saving
from modules.gallery.saving import PictureStore
from modules.jobs.model import Part
from modules.jobs.queue import JobQueue, open_queue
from modules.jobs.store import JobStore
from tests.fakes import FakeEngine, wait_until

MOMENTS: dict[str, tuple[Any, str, bool]] = {
    # moment: (owner, function, kill before it runs rather than after)
    "before a job is claimed": (JobStore, "claim_next", True),
    "after a job was claimed": (JobStore, "claim_next", False),
    "before a picture is claimed": (JobStore, "claim_picture", True),
    "between claim and writing": (JobStore, "claim_picture", False),
    "between writing and rename": (saving.os, "replace", True),
    "between rename and saved": (saving.os, "replace", False),
    "after saved": (JobStore, "confirm_picture", False),
    "before the end is written": (JobStore, "end", True),
    "after the end was written": (JobStore, "end", False),
}
REQUESTS = (
    {"prompt": "a red apple", "seed": 11, "batch_count": 2, "batch_size": 2},
    {"prompt": "two pizzas", "seed": 2**63 - 1, "batch_count": 2},
)
PARTS = (
    ({"prompt": "one pear", "seed": 31, "batch_count": 2}, Place("", "pear")),
    ({"prompt": "one plum", "seed": 41, "batch_size": 2}, Place("txt2img-images/plums", "plum")),
)
"""The requests of a third job."""


def open_fixed_queue(outputs: Path) -> JobQueue:
    """Open the queue with a date that does not change at midnight."""
    pictures = PictureStore(outputs, today=lambda: date(2026, 1, 31))
    queue = open_queue(outputs, pictures, FakeEngine)
    queue.recover()
    return queue


def work_off(queue: JobQueue) -> None:
    """Run until nothing waits or runs."""
    queue.start()
    wait_until(lambda: not queue.waiting() and queue.running() is None)
    queue.close()


def submit_all(queue: JobQueue) -> None:
    """Queue the same jobs every time."""
    for request in REQUESTS:
        queue.submit(small(request))
    queue.submit_parts([Part(small(request), place) for request, place in PARTS])


def small(values: dict[str, Any]) -> GenerationRequest:
    """Return a request that is quickly done."""
    return GenerationRequest.checked({"steps": 2, "width": 64, "height": 64} | values)


def kill_at(moment: str, number: int) -> None:
    """Arrange for SIGKILL around the call of that number (1 is the first) of the moment's function."""
    owner, name, before = MOMENTS[moment]
    original: Callable[..., Any] = getattr(owner, name)
    calls: list[None] = []

    def fatal(*arguments: Any, **named: Any) -> Any:
        calls.append(None)
        last = len(calls) == number
        if last and before:
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*arguments, **named)
        if last:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, fatal)


def serve_until_killed(outputs: Path, moment: str, number: int) -> None:
    """Submit the fixed jobs and work until the kill; ends by itself only when the moment never came."""
    queue = open_fixed_queue(outputs)
    submit_all(queue)
    kill_at(moment, number)
    work_off(queue)


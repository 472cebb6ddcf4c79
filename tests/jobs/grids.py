"""A plugin's part in jobs, without plugins: adds two pictures to each, or does what a test says instead.

Run as a process of its own it kills itself at the moment that it is told.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from modules.core.request import GenerationRequest
from modules.gallery.saving import PictureStore
from modules.hooks.job_hooks import AddedPicture, FinishedJob
from modules.jobs.model import Origin, Part
from modules.jobs.ports import JobRules
from modules.jobs.queue import JobQueue, open_queue
from tests.fakes import FakeEngine, wait_until


@dataclass
class Adder:
    """Adds pictures whose width is how many pictures the job has, and height which of those added they are."""

    hides: bool = True
    error: Exception | None = None
    drawn: list[int] = field(default_factory=list)
    jobs: list[FinishedJob] = field(default_factory=list)
    meanwhile: Callable[[int], None] = lambda number: None

    def __call__(self, plugin: str, job: FinishedJob) -> None:
        assert plugin == "adder"
        self.jobs.append(job)
        if self.error is not None:
            raise self.error
        pictures = sum(len(part.pictures) for part in job.parts)
        for number in (1, 2):
            draw = partial(self.draw, pictures, number)
            job.added.append(AddedPicture("grid", 7, f"grid {number}", draw))
        job.hides_parts = self.hides

    def draw(self, pictures: int, number: int) -> Image.Image:
        self.meanwhile(number)
        self.drawn.append(number)
        return Image.new("RGB", (pictures, number))


def asked() -> GenerationRequest:
    values: dict[str, Any] = {"prompt": "a pear", "steps": 2, "width": 64, "height": 64, "seed": 7}
    return GenerationRequest.checked(values | {"extras": {"adder": {"times": 2}}})


def parts() -> tuple[list[Part], list[Origin]]:
    """Return two parts of three pictures, and what they were made of."""
    plain = asked().model_copy(update={"extras": {}})
    more = plain.model_copy(update={"batch_count": 2, "seed": 20})
    return [Part(plain, name="one"), Part(more, name="two")], [Origin("adder", asked(), 0, 2)]


def open_with(
    outputs: Path, adder: Adder, rules: JobRules | None = None, engine: FakeEngine | None = None
) -> JobQueue:
    """Open a queue whose date does not change at midnight; it does not start by itself."""
    pictures = PictureStore(outputs, today=lambda: date(2026, 1, 31))
    queue = open_queue(outputs, pictures, lambda: engine or FakeEngine(), lambda: rules or JobRules(), adder)
    queue.recover()
    return queue


def work_off(queue: JobQueue) -> None:
    """Run until nothing waits or runs."""
    queue.start()
    wait_until(lambda: not queue.waiting() and queue.running() is None)
    queue.close()


def serve_until_killed(outputs: Path, moment: int) -> None:
    """Make the job, and be killed while the picture of that number is drawn; 0: before anything is added."""

    def die(number: int) -> None:
        if number == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    adder = Adder(meanwhile=die)

    def after_job(plugin: str, job: FinishedJob) -> None:
        die(0)
        adder(plugin, job)

    pictures = PictureStore(outputs, today=lambda: date(2026, 1, 31))
    queue = open_queue(outputs, pictures, FakeEngine, after_job=after_job)
    queue.submit_parts(*parts()[:1], origins=parts()[1])
    work_off(queue)

"""A queue on a temporary folder with the fake engine, closed at the end of each test."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from modules.core.request import GenerationRequest
from modules.gallery.saving import PictureStore
from modules.jobs.model import Job, JobState
from modules.jobs.ports import JobRules
from modules.jobs.queue import JobQueue, open_queue
from tests.fakes import FakeEngine, wait_until

QueueMaker = Callable[..., JobQueue]


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    return tmp_path / "outputs"


@pytest.fixture
def make_queue(outputs: Path) -> Iterator[QueueMaker]:
    opened: list[JobQueue] = []

    def make(engine: FakeEngine | None = None, rules: JobRules | None = None, start: bool = True) -> JobQueue:
        chosen = engine or FakeEngine()
        queue = open_queue(outputs, PictureStore(outputs), lambda: chosen, lambda: rules or JobRules())
        opened.append(queue)
        queue.recover()
        if start:
            queue.start()
        return queue

    yield make
    for queue in opened:
        queue.close()


def small(**values: object) -> GenerationRequest:
    return GenerationRequest.checked({"prompt": "a pear", "steps": 3, "width": 64, "height": 64, "seed": 7} | values)


def wait_ended(queue: JobQueue, job: Job) -> Job:
    wait_until(lambda: queue.get(job.id).state not in (JobState.WAITING, JobState.RUNNING))
    return queue.get(job.id)

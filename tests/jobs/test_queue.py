"""The queue as pages, API and commands see it."""

import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from modules.core.errors import JobNotFound, JobStateConflict
from modules.jobs.model import JobState
from modules.jobs.queue import JobQueue
from tests.fakes import FakeEngine, HoldAt, paint, wait_until
from tests.jobs.conftest import QueueMaker, small, wait_ended


def test_a_submitted_request_becomes_pictures(make_queue: QueueMaker, outputs: Path) -> None:
    queue = make_queue()
    job = wait_ended(queue, queue.submit(small(batch_count=2)))
    assert job.state is JobState.FINISHED
    assert [image.seed for image in job.images] == [7, 8]
    for image in job.images:
        with Image.open(image.path) as picture:
            assert picture.text["parameters"] == image.infotext
            assert picture.convert("RGB").tobytes() == paint(job.request, image.index).tobytes()
    assert job.images[0].path.is_relative_to(outputs)


def test_submitting_returns_before_the_job_runs_and_fixes_the_seed(make_queue: QueueMaker) -> None:
    queue = make_queue(start=False)
    started = time.perf_counter()
    job = queue.submit(small(seed=-1))
    assert time.perf_counter() - started < 0.5
    assert job.request.seed >= 0
    assert queue.get(job.id) == job


def test_jobs_run_in_the_order_of_the_queue(make_queue: QueueMaker) -> None:
    engine = FakeEngine()
    queue = make_queue(engine, start=False)
    first, second, third = (queue.submit(small(prompt=name)) for name in ("first", "second", "third"))
    queue.move(third.id, before=first.id)
    queue.move(first.id, before=None)
    assert [job.id for job in queue.waiting()] == [third.id, second.id, first.id]
    queue.start()
    wait_ended(queue, first)
    assert [request.prompt for request, _ in engine.runs] == ["third", "second", "first"]
    assert [job.id for job in queue.ended(10)] == [first.id, second.id, third.id]
    assert [job.id for job in queue.ended(1, offset=1)] == [second.id]


def test_interrupting_keeps_the_finished_pictures_and_retry_makes_the_missing_ones(make_queue: QueueMaker) -> None:
    gate = HoldAt(first_image=1, step=2)
    engine = FakeEngine(gate)
    queue = make_queue(engine)
    job = queue.submit(small(batch_count=3))
    gate.wait_reached()
    assert queue.interrupt()
    ended = wait_ended(queue, job)
    assert ended.state is JobState.INTERRUPTED
    assert [image.index for image in ended.images] == [0]
    gate.release()
    retried = queue.retry(job.id)
    assert retried.id == job.id
    again = wait_ended(queue, job)
    assert again.state is JobState.FINISHED
    assert [image.index for image in again.images] == [0, 1, 2]
    assert again.images[0] == ended.images[0]
    assert engine.runs[1][1] == {0}


def test_an_interrupt_that_names_another_job_changes_nothing(make_queue: QueueMaker) -> None:
    gate = HoldAt()
    queue = make_queue(FakeEngine(gate))
    job = queue.submit(small())
    gate.wait_reached()
    assert not queue.interrupt("another")
    gate.release()
    assert wait_ended(queue, job).state is JobState.FINISHED
    assert not queue.interrupt()


def test_skipping_goes_on_with_the_next_batch_and_says_which_pictures_are_missing(make_queue: QueueMaker) -> None:
    gate = HoldAt(first_image=2, step=2)
    queue = make_queue(FakeEngine(gate))
    job = queue.submit(small(batch_count=3, batch_size=2))
    gate.wait_reached()
    assert queue.skip()
    ended = wait_ended(queue, job)
    assert ended.state is JobState.FINISHED
    assert [image.index for image in ended.images] == [0, 1, 4, 5]
    assert ended.skipped == (2, 3)


def test_stopping_after_the_current_batch_keeps_it(make_queue: QueueMaker) -> None:
    gate = HoldAt(first_image=0, step=2)
    queue = make_queue(FakeEngine(gate))
    job = queue.submit(small(batch_count=3))
    gate.wait_reached()
    assert queue.stop_after_current()
    gate.release()
    ended = wait_ended(queue, job)
    assert ended.state is JobState.INTERRUPTED
    assert [image.index for image in ended.images] == [0]


def test_only_a_waiting_job_can_be_cancelled_and_only_an_ended_one_retried(make_queue: QueueMaker) -> None:
    gate = HoldAt()
    queue = make_queue(FakeEngine(gate))
    running, waiting = queue.submit(small()), queue.submit(small())
    gate.wait_reached()
    with pytest.raises(JobStateConflict, match="this one is running"):
        queue.cancel(running.id)
    with pytest.raises(JobStateConflict, match="this one is waiting"):
        queue.retry(waiting.id)
    with pytest.raises(JobStateConflict, match="interrupt it first"):
        queue.remove(running.id)
    with pytest.raises(JobStateConflict, match="Only waiting jobs can be moved"):
        queue.move(waiting.id, before=running.id)
    assert queue.cancel(waiting.id).state is JobState.CANCELLED
    queue.retry(waiting.id)
    gate.release()
    assert wait_ended(queue, waiting).state is JobState.FINISHED


def test_retrying_a_finished_job_makes_a_new_one_with_the_same_seed(make_queue: QueueMaker) -> None:
    queue = make_queue()
    job = wait_ended(queue, queue.submit(small(seed=-1)))
    again = wait_ended(queue, queue.retry(job.id))
    assert again.id != job.id
    assert again.request == job.request
    assert again.images[0].path.read_bytes() == job.images[0].path.read_bytes()


def test_unknown_jobs_are_reported_as_such(make_queue: QueueMaker) -> None:
    queue = make_queue(start=False)
    actions = (queue.get, queue.cancel, queue.retry, queue.remove, lambda name: queue.move(name, None))
    for action in actions:
        with pytest.raises(JobNotFound, match="no job nonsense"):
            action("nonsense")


def test_a_paused_queue_begins_no_job_until_it_is_resumed(make_queue: QueueMaker) -> None:
    gate = HoldAt(step=3)
    queue = make_queue(FakeEngine(gate))
    first = queue.submit(small())
    gate.wait_reached()
    queue.pause()
    second = queue.submit(small())
    gate.release()
    wait_ended(queue, first)
    assert queue.paused
    assert queue.get(second.id).state is JobState.WAITING
    queue.resume()
    assert wait_ended(queue, second).state is JobState.FINISHED


def test_a_removed_job_leaves_its_pictures(make_queue: QueueMaker) -> None:
    queue = make_queue()
    job = wait_ended(queue, queue.submit(small()))
    messages: list[dict[str, Any]] = []
    queue.subscribe(messages.append)
    queue.remove(job.id)
    assert job.images[0].path.exists()
    assert {"type": "removed", "id": job.id} in messages
    with pytest.raises(JobNotFound):
        queue.get(job.id)


def test_a_closed_queue_lets_the_running_job_go_on_at_the_next_start(make_queue: QueueMaker) -> None:
    gate = HoldAt(first_image=1, step=2)
    queue = make_queue(FakeEngine(gate))
    job, other = queue.submit(small(batch_count=2)), queue.submit(small())
    gate.wait_reached()
    queue.close()
    engine = FakeEngine()
    reopened = make_queue(engine, start=False)
    assert [waiting.id for waiting in reopened.waiting()] == [job.id, other.id]
    reopened.start()
    wait_ended(reopened, other)
    assert engine.runs[0][1] == {0}
    assert [image.index for image in reopened.get(job.id).images] == [0, 1]


def test_the_latest_job_is_the_running_one_else_the_last_with_something_to_show(make_queue: QueueMaker) -> None:
    gate = HoldAt(step=2)
    queue = make_queue(FakeEngine(gate))
    assert queue.latest() is None
    job = queue.submit(small())
    gate.wait_reached()
    assert latest_id(queue) == job.id
    gate.release()
    wait_ended(queue, job)
    queue.pause()
    queue.cancel(queue.submit(small()).id)
    assert latest_id(queue) == job.id


def test_a_checkpoint_is_preloaded_without_a_job(make_queue: QueueMaker) -> None:
    engine = FakeEngine(missing=frozenset({"gone"}))
    queue = make_queue(engine)
    assert queue.count_tokens("one two") is None
    queue.preload("starter")
    wait_until(lambda: queue.snapshot()["model"] == model("starter", "ready", 1.0, ""))
    assert queue.count_tokens("one two") == (2, 75)
    queue.preload("gone")
    wait_until(lambda: queue.snapshot()["model"] == model("gone", "failed", 0.0, "The model gone was not found."))


def model(title: str, state: str, fraction: float, stage: str) -> dict[str, object]:
    return {"title": title, "state": state, "fraction": fraction, "stage": stage}


def latest_id(queue: JobQueue) -> str:
    latest = queue.latest()
    assert latest is not None
    return latest.id

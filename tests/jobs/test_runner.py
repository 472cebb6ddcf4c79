"""Whatever goes wrong in one job ends that job alone, with words that a user understands."""

import errno
import logging
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from modules.core.errors import ModelUnavailable, OutOfMemory, StorageFailed
from modules.core.ports import Engine
from modules.gallery.saving import PictureStore
from modules.jobs.model import JobState
from modules.jobs.ports import JobRules
from modules.jobs.queue import open_queue
from modules.jobs.runner import JobRunner
from modules.jobs.store import JobStore
from tests.fakes import FakeEngine, HoldAt, wait_until
from tests.jobs.conftest import QueueMaker, small, wait_ended


def full_disk() -> StorageFailed:
    error = StorageFailed("The picture could not be saved to /pictures: No space left on device.")
    error.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    return error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (RuntimeError("a bolt came loose"), "Something unexpected went wrong (RuntimeError: a bolt came loose)."),
        (OutOfMemory("Too little memory; lower the size."), "Too little memory; lower the size."),
        (StorageFailed("The folder is read-only."), "The folder is read-only."),
        (ModelUnavailable("The model is gone."), "The model is gone."),
        (MemoryError(), "There is too little memory for this picture"),
    ],
)
def test_a_failing_job_says_why_and_the_next_job_runs(
    error: Exception, words: str, make_queue: QueueMaker, caplog: pytest.LogCaptureFixture
) -> None:
    queue = make_queue(FakeEngine(fail_at={1: error}))
    failing, following = queue.submit(small(batch_count=3)), queue.submit(small())
    assert wait_ended(queue, following).state is JobState.FINISHED
    failed = queue.get(failing.id)
    assert failed.state is JobState.FAILED
    assert failed.error is not None
    assert words in failed.error
    assert [image.index for image in failed.images] == [0]
    assert ("Traceback" in caplog.text) == (not isinstance(error, (OutOfMemory, StorageFailed, ModelUnavailable)))

    again = wait_ended(queue, queue.retry(failing.id))
    assert (again.id, again.state, again.error) == (failing.id, JobState.FINISHED, None)
    assert [image.index for image in again.images] == [0, 1, 2]


def test_a_full_disk_pauses_the_queue_so_that_not_every_job_fails(make_queue: QueueMaker) -> None:
    queue = make_queue(FakeEngine(fail_at={0: full_disk()}), start=False)
    failing, waiting = queue.submit(small()), queue.submit(small())
    queue.start()
    wait_ended(queue, failing)
    shown = queue.snapshot()["queue"]
    assert shown["paused"] is True
    assert "Free some space, then resume it." in shown["reason"]
    assert queue.get(waiting.id).state is JobState.WAITING
    queue.resume()
    assert wait_ended(queue, waiting).state is JobState.FINISHED


def test_retrying_after_a_full_disk_ends_the_pause_that_it_made(make_queue: QueueMaker) -> None:
    queue = make_queue(FakeEngine(fail_at={0: full_disk()}))
    job = wait_ended(queue, queue.submit(small()))
    assert queue.paused
    queue.retry(job.id)
    assert wait_ended(queue, job).state is JobState.FINISHED
    assert not queue.paused


def test_a_pause_by_the_user_outlives_a_new_job(make_queue: QueueMaker) -> None:
    queue = make_queue()
    queue.pause()
    queue.submit(small())
    assert queue.paused


def test_an_engine_that_cannot_be_built_fails_the_job_and_is_built_anew_for_the_next(outputs: Path) -> None:
    attempts: list[None] = []

    def factory() -> Engine:
        attempts.append(None)
        if len(attempts) == 1:
            raise ImportError("no module named torch")
        return FakeEngine()

    queue = open_queue(outputs, PictureStore(outputs), factory)
    states: list[str] = []
    queue.subscribe(lambda message: states.append(message["state"]) if message["type"] == "engine" else None)
    first, second = queue.submit(small()), queue.submit(small())
    queue.start()
    wait_ended(queue, second)
    assert "no module named torch" in (queue.get(first.id).error or "")
    assert queue.get(second.id).state is JobState.FINISHED
    assert states == ["starting", "failed", "starting", "ready"]
    queue.close()


def test_a_job_end_that_cannot_be_written_is_written_as_soon_as_it_can(
    make_queue: QueueMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modules.jobs.runner.WRITE_AGAIN_SECONDS", 0.01)
    original = JobStore.end
    failures = [sqlite3.OperationalError("database or disk is full"), sqlite3.OperationalError("disk I/O error")]

    def failing_end(store: JobStore, *arguments: Any) -> Any:
        if failures:
            raise StorageFailed("The queue cannot be used.") from failures.pop()
        return original(store, *arguments)

    monkeypatch.setattr(JobStore, "end", failing_end)
    queue = make_queue()
    job = wait_ended(queue, queue.submit(small()))
    assert job.state is JobState.FINISHED
    assert not failures
    assert queue.paused


def test_a_queue_that_cannot_be_read_pauses_instead_of_spinning(
    make_queue: QueueMaker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: JobStore) -> None:
        raise StorageFailed("The queue cannot be used: disk I/O error.")

    queue = make_queue(start=False)
    with monkeypatch.context() as patch, caplog.at_level(logging.ERROR):
        patch.setattr(JobStore, "claim_next", broken)
        queue.start()
        wait_until(lambda: queue.paused)
    assert "disk I/O error" in caplog.text
    assert wait_ended(queue, queue.submit(small())).state is JobState.FINISHED


def test_more_ended_jobs_than_wished_are_forgotten(make_queue: QueueMaker) -> None:
    queue = make_queue(rules=JobRules(keep_ended=2))
    jobs = [queue.submit(small()) for _ in range(4)]
    wait_ended(queue, jobs[-1])
    wait_until(lambda: [job.id for job in queue.ended(10)] == [jobs[3].id, jobs[2].id])
    assert queue.latest() == queue.get(jobs[3].id)


def test_closing_does_not_wait_for_an_engine_that_hangs(
    make_queue: QueueMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modules.jobs.runner.LONGEST_GOODBYE_SECONDS", 0.05)
    gate = HoldAt()
    engine = FakeEngine(gate)
    monkeypatch.setattr(engine, "_wait", lambda first, step, _: stubborn(gate, first, step))
    queue = make_queue(engine)
    job = queue.submit(small())
    gate.wait_reached()
    queue.close()
    gate.release()
    reopened = make_queue()
    assert wait_ended(reopened, job).state is JobState.FINISHED


def stubborn(gate: HoldAt, first: int, step: int) -> None:
    wait_until(lambda: gate.is_open(first, step))


def test_the_runner_starts_once_and_not_after_it_was_closed(make_queue: QueueMaker) -> None:
    queue = make_queue()
    queue.start()
    runner: JobRunner = queue._runner
    queue.close()
    queue.start()
    assert not runner._thread.is_alive()

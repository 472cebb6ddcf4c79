import json
import stat
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from modules.core.errors import DownloadFailed, JobNotFound, JobStateConflict, TaskCancelled
from modules.jobs.task_file import TaskState
from modules.jobs.tasks import MOST_ENDED, TaskBoard
from tests.fakes import wait_until


class Worker:
    """Does tasks that stand until they are let go or told to stop."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.discarded: list[str] = []
        self.go = threading.Event()
        self.error: Exception | None = None

    def run(self, spec: Mapping[str, Any], report: Callable[[float, str], None], cancelled: Callable[[], bool]) -> str:
        self.begun.append(spec["name"])
        report(0.5, "half of it")
        while not self.go.wait(0.005):
            if cancelled():
                raise TaskCancelled("stopped")
        if self.error is not None:
            raise self.error
        return f"{spec['name']} is done"

    def discard(self, spec: Mapping[str, Any]) -> None:
        self.discarded.append(spec["name"])


@pytest.fixture
def worker() -> Worker:
    return Worker()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tasks.json"


def board_of(path: Path, worker: Worker, at_once: int = 1) -> TaskBoard:
    board = TaskBoard(path)
    board.register("copy", worker.run, worker.discard, at_once)
    board.begin()
    return board


def wait_state(board: TaskBoard, task_id: str, state: TaskState) -> None:
    wait_until(lambda: board.get(task_id).state is state)


def test_a_task_runs_to_its_end_and_keeps_its_result(path: Path, worker: Worker) -> None:
    board = board_of(path, worker)
    worker.go.set()
    task = board.start("copy", "Copy a", {"name": "a"})
    wait_state(board, task.id, TaskState.FINISHED)
    done = board.get(task.id)
    assert (done.result, done.fraction, done.error) == ("a is done", 1.0, "")


def test_tasks_of_a_kind_take_turns(path: Path, worker: Worker) -> None:
    board = board_of(path, worker, at_once=2)
    tasks = [board.start("copy", name, {"name": name}) for name in "abc"]
    wait_until(lambda: len(worker.begun) == 2)
    assert [board.get(task.id).state for task in tasks] == [TaskState.RUNNING, TaskState.RUNNING, TaskState.WAITING]
    worker.go.set()
    for task in tasks:
        wait_state(board, task.id, TaskState.FINISHED)
    assert sorted(worker.begun) == ["a", "b", "c"]


def test_listeners_hear_of_progress_and_of_the_end_but_never_of_the_spec(path: Path, worker: Worker) -> None:
    board = board_of(path, worker)
    heard: list[dict[str, Any]] = []
    unsubscribe = board.subscribe(heard.append)
    task = board.start("copy", "Copy", {"name": "a", "address": "https://example.org/?secret=1"})
    wait_state(board, task.id, TaskState.RUNNING)
    worker.go.set()
    wait_state(board, task.id, TaskState.FINISHED)
    states = [message["tasks"][0]["state"] for message in heard]
    assert states[0] == "waiting"
    assert states[-1] == "finished"
    assert "running" in states
    assert "secret" not in json.dumps(heard)
    unsubscribe()
    count = len(heard)
    board.dismiss(task.id)
    assert len(heard) == count


def test_progress_is_told_in_fractions_and_words(path: Path, worker: Worker) -> None:
    board = board_of(path, worker)
    task = board.start("copy", "Copy", {"name": "a"})
    wait_until(lambda: board.get(task.id).detail == "half of it")
    told = board.message()["tasks"][0]
    assert (told["fraction"], told["detail"], told["kind"], told["title"]) == (0.5, "half of it", "copy", "Copy")
    worker.go.set()
    wait_state(board, task.id, TaskState.FINISHED)


def test_the_last_of_many_reports_is_told_even_when_nothing_follows(path: Path) -> None:
    board, stand = TaskBoard(path), threading.Event()
    heard: list[dict[str, Any]] = []
    board.subscribe(heard.append)

    def run(spec: Mapping[str, Any], report: Callable[[float, str], None], cancelled: Callable[[], bool]) -> str:
        for number in range(100):
            report(number / 200, str(number))
        stand.wait(10)
        return ""

    board.register("burst", run)
    board.begin()
    board.start("burst", "Burst", {})
    wait_until(lambda: bool(heard) and heard[-1]["tasks"][0]["detail"] == "99")
    assert len(heard) < 20
    stand.set()


def test_a_cancelled_task_can_be_tried_again(path: Path, worker: Worker) -> None:
    board = board_of(path, worker)
    task = board.start("copy", "Copy", {"name": "a"})
    wait_until(lambda: bool(worker.begun))
    board.cancel(task.id)
    wait_state(board, task.id, TaskState.CANCELLED)
    assert worker.discarded == []
    worker.go.set()
    board.retry(task.id)
    wait_state(board, task.id, TaskState.FINISHED)


def test_a_waiting_task_is_cancelled_without_having_run(path: Path, worker: Worker) -> None:
    board = board_of(path, worker)
    board.start("copy", "first", {"name": "a"})
    wait_until(lambda: bool(worker.begun))
    second = board.start("copy", "second", {"name": "b"})
    board.cancel(second.id)
    assert board.get(second.id).state is TaskState.CANCELLED
    worker.go.set()
    wait_until(lambda: all(task.state is not TaskState.RUNNING for task in board.tasks()))
    assert worker.begun == ["a"]


def test_dismissing_an_unfinished_task_clears_away_what_it_left(path: Path, worker: Worker) -> None:
    board = board_of(path, worker)
    task = board.start("copy", "Copy", {"name": "a"})
    wait_until(lambda: bool(worker.begun))
    with pytest.raises(JobStateConflict):
        board.dismiss(task.id)
    board.cancel(task.id)
    wait_state(board, task.id, TaskState.CANCELLED)
    board.dismiss(task.id)
    assert worker.discarded == ["a"]
    with pytest.raises(JobNotFound):
        board.get(task.id)


def test_dismissing_a_finished_task_leaves_its_work_alone(path: Path, worker: Worker) -> None:
    board = board_of(path, worker)
    worker.go.set()
    task = board.start("copy", "Copy", {"name": "a"})
    wait_state(board, task.id, TaskState.FINISHED)
    board.dismiss(task.id)
    assert worker.discarded == []
    assert board.tasks() == []


@pytest.mark.parametrize(
    ("error", "words"),
    [(DownloadFailed("The server said no."), "The server said no."), (RuntimeError("secret"), "unexpected")],
)
def test_a_task_that_fails_says_why_and_lets_the_next_one_run(
    path: Path, worker: Worker, error: Exception, words: str
) -> None:
    board = board_of(path, worker)
    worker.error = error
    worker.go.set()
    failed = board.start("copy", "bad", {"name": "a"})
    wait_state(board, failed.id, TaskState.FAILED)
    assert words in board.get(failed.id).error
    assert "secret" not in board.get(failed.id).error
    worker.error = None
    good = board.start("copy", "good", {"name": "b"})
    wait_state(board, good.id, TaskState.FINISHED)


def test_a_server_that_stops_leaves_its_tasks_to_the_next_one(path: Path, worker: Worker) -> None:
    board = board_of(path, worker)
    task = board.start("copy", "Copy", {"name": "a"})
    wait_until(lambda: bool(worker.begun))
    assert board.close()
    assert board.get(task.id).state is TaskState.WAITING
    later = Worker()
    later.go.set()
    wait_state(board_of(path, later), task.id, TaskState.FINISHED)
    assert later.begun == ["a"]


def test_a_task_of_a_killed_server_goes_on_at_the_next_start(path: Path, worker: Worker) -> None:
    board = board_of(path, worker)
    task = board.start("copy", "Copy", {"name": "a"})
    wait_state(board, task.id, TaskState.RUNNING)
    # Nothing of the first board is told that it ends, as with kill -9.
    later = Worker()
    later.go.set()
    wait_state(board_of(path, later), task.id, TaskState.FINISHED)
    worker.go.set()
    wait_state(board, task.id, TaskState.FINISHED)


def test_nothing_begins_before_the_board_does(path: Path, worker: Worker) -> None:
    board = TaskBoard(path)
    board.register("copy", worker.run)
    worker.go.set()
    task = board.start("copy", "Copy", {"name": "a"})
    assert board.get(task.id).state is TaskState.WAITING
    board.begin()
    wait_state(board, task.id, TaskState.FINISHED)


def test_only_the_owner_may_read_the_file(path: Path, worker: Worker) -> None:
    board_of(path, worker).start("copy", "Copy", {"name": "a"})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    worker.go.set()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"tasks": [{"id": 1}, 7]}', '{"tasks": 3}'])
def test_a_broken_file_costs_the_memory_of_the_tasks_alone(path: Path, worker: Worker, content: str) -> None:
    path.write_text(content, encoding="utf-8")
    worker.go.set()
    board = board_of(path, worker)
    assert board.tasks() == []
    wait_state(board, board.start("copy", "Copy", {"name": "a"}).id, TaskState.FINISHED)


def test_old_finished_tasks_are_forgotten(path: Path, worker: Worker) -> None:
    board = board_of(path, worker)
    worker.go.set()
    for number in range(MOST_ENDED + 3):
        wait_state(board, board.start("copy", str(number), {"name": str(number)}).id, TaskState.FINISHED)
    assert len(board.tasks()) == MOST_ENDED + 1
    assert board.tasks()[0].title == "2"


def test_what_is_no_task_can_be_shown_too(path: Path, worker: Worker) -> None:
    board = board_of(path, worker)
    heard: list[dict[str, Any]] = []
    board.subscribe(heard.append)
    board.show("hashing", "Hashing", 0.25, "3 of 12 files")
    assert heard[-1]["tasks"][0] | {"id": ""} == {
        "id": "", "kind": "hashing", "title": "Hashing", "state": "shown", "fraction": 0.25,
        "detail": "3 of 12 files", "error": "", "result": "", "created": 0.0,
    }  # fmt: skip
    board.remove("hashing")
    assert heard[-1]["tasks"] == []
    assert TaskBoard(path).tasks() == []

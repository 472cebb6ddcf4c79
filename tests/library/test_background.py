"""The hash worker: what is asked for comes first, the rest fills in when nothing else goes on, and it stops at once."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from modules.library.background import HashProgress, HashWorker, Stopped
from modules.library.hashing import HashCache
from tests.fakes import wait_until

SECONDS = 20


@pytest.fixture
def hashes(tmp_path: Path) -> HashCache:
    return HashCache(tmp_path / "cache" / "hashes.json")


@pytest.fixture
def start(hashes: HashCache) -> Iterator[Callable[..., HashWorker]]:
    workers: list[HashWorker] = []

    def make(**wishes: object) -> HashWorker:
        workers.append(HashWorker(hashes, **wishes))  # type: ignore[arg-type]
        return workers[-1]

    yield make
    for worker in workers:
        worker.close()


def files(folder: Path, count: int, size: int = 10) -> list[Path]:
    paths = [folder / f"m{number}.safetensors" for number in range(count)]
    for number, path in enumerate(paths):
        path.write_bytes(bytes([number]) * size)
    return paths


class Gate:
    """Says that the machine is busy until it is opened."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.open = threading.Event()

    def __call__(self) -> bool:
        self.asked.set()
        return not self.open.is_set()


def test_a_hash_that_is_asked_for_comes_and_is_kept(
    start: Callable[..., HashWorker], hashes: HashCache, tmp_path: Path
) -> None:
    (path,) = files(tmp_path, 1)
    worker = start()
    expected = hashlib.sha256(path.read_bytes()).hexdigest()
    assert worker.ask(path).result(SECONDS) == expected
    assert worker.ask(path).done(), "a known hash needs no waiting"
    worker.close()
    assert HashCache(hashes.path).known(path) == expected


def test_an_unreadable_file_fails_whoever_asked_and_nobody_else(
    start: Callable[..., HashWorker], tmp_path: Path
) -> None:
    (path,) = files(tmp_path, 1)
    worker = start()
    missing = worker.ask(tmp_path / "gone.safetensors")
    assert worker.ask(path).result(SECONDS)
    with pytest.raises(OSError, match="gone"):
        missing.result(SECONDS)


def test_unknown_hashes_fill_in_and_progress_is_told(
    start: Callable[..., HashWorker], hashes: HashCache, tmp_path: Path
) -> None:
    paths = files(tmp_path, 3)
    told: list[HashProgress | None] = []
    worker = start()
    worker.listen(told.append)
    worker.fill((path, "file") for path in [*paths, tmp_path / "gone.safetensors"])
    wait_until(lambda: told and told[-1] is None)
    assert told[0] == HashProgress(0, 4)
    assert all(hashes.known(path) for path in paths)
    assert worker.progress() is None


def test_filling_waits_while_the_machine_is_busy_and_what_is_asked_for_does_not(
    start: Callable[..., HashWorker], hashes: HashCache, tmp_path: Path
) -> None:
    first, second, wanted = files(tmp_path, 3)
    gate = Gate()
    worker = start(busy=gate)
    worker.fill([(first, "file"), (second, "file")])
    assert gate.asked.wait(SECONDS)
    assert worker.ask(wanted).result(SECONDS)
    assert hashes.known(first) is None
    gate.open.set()
    wait_until(lambda: hashes.known(second))


def test_the_file_that_is_being_filled_in_is_not_read_twice_when_it_becomes_urgent(
    start: Callable[..., HashWorker], tmp_path: Path
) -> None:
    (path,) = files(tmp_path, 1)
    gate = Gate()
    worker = start(busy=gate)
    worker.fill([(path, "file")])
    assert gate.asked.wait(SECONDS)
    assert worker.ask(path).result(SECONDS) == hashlib.sha256(path.read_bytes()).hexdigest()
    assert not gate.open.is_set(), "it went on although the machine was busy"


def test_closing_ends_the_thread_and_turns_everybody_away(start: Callable[..., HashWorker], tmp_path: Path) -> None:
    first, second = files(tmp_path, 2)
    gate = Gate()
    worker = start(busy=gate)
    worker.fill([(first, "file")])
    assert gate.asked.wait(SECONDS)
    worker.close()
    assert "hashes" not in {thread.name for thread in threading.enumerate()}
    with pytest.raises(Stopped, match="m1"):
        worker.ask(second).result(SECONDS)


def test_a_worker_that_fills_nothing_in_still_answers(start: Callable[..., HashWorker], tmp_path: Path) -> None:
    first, second = files(tmp_path, 2)
    worker = start(fills=False)
    worker.fill([(first, "file")])
    assert worker.progress() is None
    assert worker.ask(second).result(SECONDS)


def test_nobody_waits_for_ever_when_the_thread_fails_and_the_next_wish_is_served(
    start: Callable[..., HashWorker], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = files(tmp_path, 2)
    failures: list[object] = []
    monkeypatch.setattr(threading, "excepthook", failures.append)
    asked = threading.Event()
    fail = threading.Event()

    def busy() -> bool:
        asked.set()
        if fail.is_set():
            raise RuntimeError("the clock fell down")
        return True

    worker = start(busy=busy)
    worker.fill([(first, "file")])
    assert asked.wait(SECONDS)
    fail.set()
    wait_until(lambda: failures)
    assert worker.ask(second).result(SECONDS)

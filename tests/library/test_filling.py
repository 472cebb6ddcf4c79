"""The library is read ahead in one thread, which waits while the machine is busy and stops at once."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from modules.library.background import HashWorker
from modules.library.catalog import CheckpointCatalog
from modules.library.files import ModelFiles
from modules.library.filling import LibraryFiller
from modules.library.hashing import HashCache
from modules.library.shelves import ModelLibrary, Query
from tests.fakes import wait_until
from tests.library.test_background import SECONDS, Gate
from tests.library.test_network_files import folder as lora_folder
from tests.library.test_network_files import network

LONG = 3600.0


class Parts:
    def __init__(self, folder: Path, busy: Callable[[], bool]) -> None:
        hashes = HashCache(folder / "hashes.json")
        loras = lora_folder(folder / "loras")
        self.library = ModelLibrary(ModelFiles(CheckpointCatalog([folder], hashes), loras=loras), folder / "cache")
        self.worker = HashWorker(loras.hashes)
        self.filler = LibraryFiller(self.library, self.worker, busy)

    def unread(self) -> int:
        return self.library.page("lora", Query()).unread

    def hashed(self) -> bool:
        return all(self.library.hash_of(model) for model in self.library.models("lora"))


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Parts]]:
    made: list[Parts] = []

    def build(busy: Callable[[], bool] = lambda: False) -> Parts:
        for number in range(5):
            network(tmp_path / "loras" / f"m{number}.safetensors", data=bytes([number]))
        made.append(Parts(tmp_path, busy))
        return made[-1]

    yield build
    for parts in made:
        parts.filler.close()
        parts.worker.close()


def test_everything_is_read_and_hashed(make: Callable[..., Parts]) -> None:
    parts = make()
    assert parts.unread() == 5
    parts.filler.start()
    wait_until(lambda: parts.unread() == 0)
    wait_until(parts.hashed)


def test_it_begins_late_but_at_once_when_somebody_looks(make: Callable[..., Parts]) -> None:
    parts = make()
    parts.filler.start(after=LONG)
    assert parts.unread() == 5
    parts.filler.hurry()
    wait_until(lambda: parts.unread() == 0)


def test_it_waits_while_the_machine_is_busy_and_ends_when_it_is_closed(make: Callable[..., Parts]) -> None:
    gate = Gate()
    parts = make(gate)
    parts.filler.start()
    assert gate.asked.wait(SECONDS)
    assert parts.unread() == 5
    parts.filler.close()
    assert "library" not in {thread.name for thread in threading.enumerate()}


def test_new_files_are_read_when_it_is_to_look_again(make: Callable[..., Parts], tmp_path: Path) -> None:
    parts = make()
    parts.filler.start()
    wait_until(lambda: parts.unread() == 0)
    network(tmp_path / "loras" / "new.safetensors", alias="newest")
    parts.library.refresh("lora")
    parts.filler.again()
    wait_until(lambda: parts.library.page("lora", Query("newest")).total == 1)

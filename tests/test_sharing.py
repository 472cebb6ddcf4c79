"""The tests are shared so that no core is idle for long, and no process lacks memory."""

from pathlib import Path

import pytest

from tests.sharing import DEAR, memory_bytes, place, worker_count


@pytest.mark.parametrize(
    ("cores", "gibibytes", "processes"), [(1, 16, 1), (2, 16, 2), (4, 7, 2), (2, 1, 1), (64, 256, 4)]
)
def test_there_are_as_many_processes_as_cores_and_memory_suffice_for(
    cores: int, gibibytes: int, processes: int
) -> None:
    assert worker_count(cores, gibibytes * 2**30) == processes


def test_this_machine_has_memory_for_one_at_least() -> None:
    assert memory_bytes() > 2**30


def test_what_takes_longest_goes_first(repo_root: Path) -> None:
    files = [Path("core/test_parameters.py"), Path("browser/test_queue.py"), Path("test_linters.py")]
    assert sorted(files, key=place) == files[::-1]
    assert all((repo_root / "tests" / name).exists() for name in DEAR)

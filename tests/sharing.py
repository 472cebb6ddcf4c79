"""How the tests are shared among several processes: how many there are, and what goes first."""

from __future__ import annotations

import os
from pathlib import Path

MOST_WORKERS = 4
WORKER_BYTES = 3 * 2**30
"""Main memory that a process may need, with its browser and the servers that it starts."""
DEAR = (
    "test_linters.py", "test_vectors.py", "engine", "browser", "starter", "plugins", "a1111", "web", "builtin",
    "library", "test_app.py",
)  # fmt: skip
"""What takes longest below tests/: at the end of the run no process is to be alone with one of these."""


def worker_count(cores: int, memory: int) -> int:
    """How many processes share the tests: one for each core; servers under test that have none answer too late."""
    return max(1, min(cores, MOST_WORKERS, memory // WORKER_BYTES))


def memory_bytes() -> int:
    """How much main memory there is; where the system does not tell, enough for the tests."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return MOST_WORKERS * WORKER_BYTES


def place(test: Path) -> int:
    """When a file is given out, by its path below tests/: a file of a lower place comes first."""
    return DEAR.index(test.parts[0]) if test.parts[0] in DEAR else len(DEAR)

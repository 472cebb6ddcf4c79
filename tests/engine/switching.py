"""Switches between two checkpoints 50 times and writes the resident memory after each switch, in MB, to stdout.

Run by test_switching.py in a process of its own: python -m tests.engine.switching FOLDER CHECKPOINTS_KEPT
"""

from __future__ import annotations

import gc
import json
import sys
from pathlib import Path

from modules.engine.memory import DeviceWishes
from modules.engine.models import ShelfRules
from modules.engine.service import DiffusionEngine, EngineSettings
from modules.library.catalog import CheckpointCatalog
from modules.library.files import ModelFiles
from modules.library.hashing import HashCache
from tests.engine.conftest import Watcher

SWITCHES = 50
_PAGE = 4096


def resident() -> float:
    """Return the process's resident memory in MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE / 1e6


def main(folder: Path, kept: int) -> None:
    catalog = CheckpointCatalog([folder], HashCache(folder / "hashes.json"))
    engine = DiffusionEngine(
        ModelFiles(catalog), EngineSettings(DeviceWishes(use_cpu=True), shelf=ShelfRules(keep=lambda: kept))
    )
    # As the program does when it has made its engine.
    gc.freeze()
    found = []
    for number in range(SWITCHES + 2):
        engine.preload(f"model{number % 2}", Watcher())
        found.append(resident())
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))

"""Many switches between checkpoints leave nothing behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from modules.cli import REPO_ROOT
from modules.core.events import ModelLoading
from modules.engine.service import DiffusionEngine, EngineSettings
from tests.engine.conftest import Watcher
from tests.engine.test_families import TINY, engine_for, write_tiny


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="resident memory is read as Linux tells it")
def test_fifty_switches_between_two_checkpoints_leave_the_memory_where_it_was(tmp_path: Path) -> None:
    for number in (0, 1):
        write_tiny(tmp_path / f"model{number}.safetensors", "sdxl", TINY["sdxl"])
    command = [sys.executable, "-m", "tests.engine.switching", str(tmp_path), "1"]
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    output = subprocess.run(command, cwd=REPO_ROOT, env=environment, check=True, capture_output=True, text=True).stdout
    _, second, *later = json.loads(output.splitlines()[-1])
    assert len(later) == 50
    assert max(later) < 1.05 * second


def test_switching_between_two_kept_checkpoints_reads_nothing(tmp_path: Path) -> None:
    for number in (0, 1):
        write_tiny(tmp_path / f"model{number}.safetensors", "sd1", TINY["sd1"])
    engine = engine_for(tmp_path)
    engine = DiffusionEngine(engine.shelf.files, EngineSettings(engine.settings.wishes, keep_models=lambda: 2))
    watcher = Watcher()
    for number in (0, 1, 0, 1):
        engine.preload(f"model{number}", watcher)
    stages = [event.title for event in watcher.events if isinstance(event, ModelLoading) and event.fraction == 1.0]
    assert [title.split(".")[0] for title in stages] == ["model0", "model1"]

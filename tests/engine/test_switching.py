"""Many switches between checkpoints leave nothing behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import Future
from pathlib import Path

import pytest

from modules.cli import REPO_ROOT
from modules.core.events import ModelLoading, ModelReady
from modules.engine.memory import DeviceWishes
from modules.engine.models import ShelfRules
from modules.engine.service import DiffusionEngine, EngineSettings
from tests.engine.conftest import MakeRequest, Watcher
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
    engine = DiffusionEngine(
        engine.shelf.files, EngineSettings(engine.settings.wishes, shelf=ShelfRules(keep=lambda: 2))
    )
    watcher = Watcher()
    for number in (0, 1, 0, 1):
        engine.preload(f"model{number}", watcher)
    stages = [event.title for event in watcher.events if isinstance(event, ModelLoading) and event.fraction == 1.0]
    assert [title.split(".")[0] for title in stages] == ["model0", "model1"]


def test_a_checkpoint_is_ready_before_its_hash_is_known_and_only_the_infotext_waits_for_it(
    tmp_path: Path, request_of: MakeRequest
) -> None:
    write_tiny(tmp_path / "model.safetensors", "sd1", TINY["sd1"])
    files = engine_for(tmp_path).shelf.files
    answer: Future[str] = Future()
    asked: list[Path] = []

    def hash_soon(path: Path) -> Future[str]:
        asked.append(path)
        return answer

    rules = ShelfRules(hash_soon=hash_soon)
    engine = DiffusionEngine(files, EngineSettings(DeviceWishes(use_cpu=True), rules))
    watcher = Watcher()
    engine.preload("model", watcher)
    assert [event.title for event in watcher.events if isinstance(event, ModelReady)] == ["model.safetensors"]
    assert asked == [tmp_path / "model.safetensors"]
    assert files.checkpoints.entries()[0].sha256 is None
    answer.set_result(files.checkpoints.hashes.sha256(asked[0]))
    entry = files.checkpoints.entries()[0]
    assert entry.short_hash is not None
    engine.generate(request_of(checkpoint="model", steps=1), watcher, watcher)
    assert f"Model hash: {entry.short_hash}, Model: model," in watcher.images[0].infotext


def test_a_hash_that_cannot_be_computed_costs_no_picture(tmp_path: Path, request_of: MakeRequest) -> None:
    write_tiny(tmp_path / "model.safetensors", "sd1", TINY["sd1"])
    files = engine_for(tmp_path).shelf.files
    answer: Future[str] = Future()
    answer.set_exception(OSError("the disk is gone"))
    rules = ShelfRules(hash_soon=lambda path: answer)
    engine = DiffusionEngine(files, EngineSettings(DeviceWishes(use_cpu=True), rules))
    watcher = Watcher()
    engine.generate(request_of(checkpoint="model", steps=1), watcher, watcher)
    assert "Model: model" in watcher.images[0].infotext
    assert "Model hash" not in watcher.images[0].infotext

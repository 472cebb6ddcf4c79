"""The adapter connected to a queue with the real engine and the starter model, with sample extensions loaded."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from modules.a1111 import _adapter, _gradio3
from modules.a1111._host import HOST, Connection, Host
from modules.a1111._loader import LOADED
from modules.cli import parse_arguments
from modules.core.request import GenerationRequest
from modules.engine.memory import DeviceWishes
from modules.engine.service import DiffusionEngine, EngineSettings
from modules.gallery.inputs import InputStore
from modules.gallery.saving import PictureStore
from modules.hooks.registry import HookRegistry
from modules.jobs.model import ENDED_STATES, Job
from modules.jobs.queue import open_queue
from modules.library.catalog import CheckpointCatalog
from modules.library.files import ModelFiles
from modules.library.hashing import HashCache
from modules.plugins.discovery import Extensions, Switches
from modules.plugins.reports import Reports
from modules.plugins.safety import Safety
from modules.prompts.styles import StyleBook
from modules.settings.store import SettingsStore
from tests.fakes import wait_until

SAMPLES = Path(__file__).resolve().parents[1] / "extensions"
SMALL = {"prompt": "a red apple", "seed": 5, "steps": 2, "width": 64, "height": 64, "sampler": "Euler", "cfg_scale": 3}


@dataclass
class Easel:
    """A running Easel with the adapter."""

    services: Any
    reports: Reports
    hooks: HookRegistry
    modules: dict[str, ModuleType] = field(default_factory=dict)

    def run(self, extras: dict[str, Any] | None = None, **values: Any) -> Job:
        given = {**SMALL, "checkpoint": "starter", **values}
        if extras is not None:
            given["extras"] = {"a1111": extras}
        job = self.services.jobs.submit(GenerationRequest.checked(given))
        wait_until(lambda: self.services.jobs.get(job.id).state in ENDED_STATES, patience=100)
        return self.services.jobs.get(job.id)

    def module(self, name: str) -> Any:
        return next(module for path, module in LOADED.modules.items() if Path(path).stem == name)


Start = Callable[..., Easel]


@pytest.fixture(scope="session")
def engine_files(starter_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[ModelFiles, DiffusionEngine]:
    own = tmp_path_factory.mktemp("models")
    files = ModelFiles(CheckpointCatalog([starter_model.parent, own], HashCache(own / "hashes.json")))
    return files, DiffusionEngine(files, EngineSettings(DeviceWishes(use_cpu=True)))


@pytest.fixture
def start(tmp_path: Path, engine_files: tuple[ModelFiles, DiffusionEngine]) -> Iterator[Start]:
    """Starts Easel with some of the sample extensions; all is undone afterwards."""
    before, paths, begun = {name: getattr(HOST, name) for name in Host.__slots__}, list(sys.path), []
    HOST.own_state = {}

    def make(*names: str, plugins: tuple[Any, ...] = (), folder: Path | None = None) -> Easel:
        for name in names:
            shutil.copytree((folder or SAMPLES) / name, tmp_path / "extensions" / name)
        services = _services(tmp_path, engine_files, plugins)
        begun.append(services)
        safety = Safety(tmp_path / "safety.json")
        extensions = Extensions(tmp_path / "extensions", Switches, safety)
        reports = Reports()
        connection = Connection(services.hooks, reports, extensions.enabled(), safety)
        _adapter.start(services, connection)
        services.jobs.start()
        return Easel(services, reports, services.hooks)

    yield make
    _adapter.stop()
    _gradio3.shim().remove()
    LOADED.scripts.clear()
    LOADED.postprocessing.clear()
    LOADED.modules.clear()
    for services in begun:
        services.jobs.close()
    for name, value in before.items():
        setattr(HOST, name, value)
    sys.path[:] = paths
    for name in [name for name in sys.modules if name == "helpers" or name.split(".")[0] == "scripts"]:
        del sys.modules[name]


def _services(folder: Path, engine_files: tuple[ModelFiles, DiffusionEngine], plugins: tuple[Any, ...]) -> Any:
    files, engine = engine_files
    config = parse_arguments(["--data-dir", str(folder), "--use-cpu"], {})
    inputs, hooks = InputStore(folder / "inputs"), HookRegistry(plugins)
    engine.settings = EngineSettings(DeviceWishes(use_cpu=True), pictures=inputs.load, hooks=hooks)
    outputs = folder / "outputs"
    jobs = open_queue(outputs, PictureStore(outputs), lambda: engine, after_job=hooks.after_job)
    return SimpleNamespace(
        jobs=jobs, settings=SettingsStore(config.settings_file), files=files, styles=StyleBook(config.styles_files),
        inputs=inputs, outputs=outputs, config=config, hooks=hooks,
    )  # fmt: skip

"""Our own plugins around a run that paints one colour, and around a real engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from modules.builtin import builtin_plugins
from modules.core.events import ImageDone, StepDone
from modules.core.request import GenerationRequest
from modules.core.result import GeneratedImage, GenerationResult
from modules.engine.memory import DeviceWishes
from modules.engine.service import DiffusionEngine, EngineSettings
from modules.hooks.registry import HookRegistry
from modules.hooks.spec import Generation
from modules.library.catalog import CheckpointCatalog
from modules.library.files import ModelFiles
from modules.library.hashing import HashCache
from tests.engine.conftest import Watcher


@dataclass
class Pass:
    """What one inner run was asked for: its request, and the pictures that the request names."""

    request: GenerationRequest
    picture: Image.Image
    mask: Image.Image
    latent_mask: Image.Image


@dataclass
class Painter:
    """Plays the engine for scripts: every inner run paints what is masked in red."""

    pictures: dict[str, Image.Image] = field(default_factory=dict)
    passes: list[Pass] = field(default_factory=list)
    hooks: HookRegistry = field(default_factory=lambda: HookRegistry(builtin_plugins(), strict=True))

    def run(self, watcher: Watcher, done: frozenset[int] = frozenset(), **values: Any) -> GenerationResult:
        request = GenerationRequest.checked({"seed": 10, "steps": 2, "init_image": "start", **values})
        request = request.model_copy(update={"extras": self.hooks.plugins.checked(request.extras)})
        generation = Generation(request, watcher, watcher, self.pictures.__getitem__, self.nested, done)
        return self.hooks.listen(request, print).around_generate(generation, self.nested)

    def nested(self, generation: Generation) -> GenerationResult:
        request, sink = generation.request, generation.sink
        names = request.init_image, request.mask_image, request.latent_mask
        one = Pass(request, *(generation.pictures(name) for name in names))
        self.passes.append(one)
        sink.publish(StepDone(0, 1, 2, 2))
        painted = one.picture.copy()
        painted.paste((255, 0, 0), mask=one.mask)
        told = (generation.described or request).width
        sink.save(GeneratedImage(0, request.seed, painted, f"told of {told}", over_picture=True))
        sink.publish(ImageDone(0))
        return GenerationResult((0,))


@pytest.fixture
def painter() -> Painter:
    return Painter({"start": Image.new("RGB", (128, 128), "green")})


@pytest.fixture
def watcher() -> Watcher:
    return Watcher()


EnginePictures = dict[str, Image.Image]
Make = Callable[..., Watcher]


@pytest.fixture(scope="session")
def engine_pictures() -> EnginePictures:
    return {}


@pytest.fixture(scope="session")
def builtin_engine(
    starter_model: Path, engine_pictures: EnginePictures, tmp_path_factory: pytest.TempPathFactory
) -> DiffusionEngine:
    own = tmp_path_factory.mktemp("builtin")
    catalog = CheckpointCatalog([starter_model.parent], HashCache(own / "hashes.json"))
    hooks = HookRegistry(builtin_plugins(), strict=True)
    settings = EngineSettings(DeviceWishes(use_cpu=True), pictures=engine_pictures.__getitem__)
    return DiffusionEngine(ModelFiles(catalog), replace(settings, hooks=hooks))


@pytest.fixture
def make(builtin_engine: DiffusionEngine) -> Make:
    """Makes pictures on the starter model with all of our own plugins."""

    def go(**values: Any) -> Watcher:
        small = {"prompt": "a red apple", "seed": 5, "steps": 4, "width": 64, "height": 64, "sampler": "Euler",
                 "checkpoint": "starter"}  # fmt: skip
        watcher = Watcher()
        builtin_engine.generate(GenerationRequest.checked(small | values), watcher, watcher)
        return watcher

    return go

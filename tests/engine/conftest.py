"""One engine with the starter model for all tests of the engine, and a sink that keeps what it is told."""

from collections.abc import Callable
from pathlib import Path

import pytest

from modules.core.events import Event
from modules.core.request import GenerationRequest
from modules.core.result import GeneratedImage
from modules.engine.memory import DeviceWishes
from modules.engine.service import DiffusionEngine, EngineSettings
from modules.library.catalog import CheckpointCatalog
from modules.library.files import ModelFiles
from modules.library.hashing import HashCache

MakeRequest = Callable[..., GenerationRequest]


class Watcher:
    """Sink and cancel token in one: keeps events and pictures, and may stop the run when it sees an event."""

    def __init__(self, previews: bool = False) -> None:
        self.events: list[Event] = []
        self.images: list[GeneratedImage] = []
        self.previews = previews
        self.on_event: Callable[[Event], None] = lambda event: None
        self.stop = self.skip = self.stop_after = False

    def publish(self, event: Event) -> None:
        self.events.append(event)
        self.on_event(event)

    def wants_preview(self, step: int) -> bool:
        return self.previews

    def save(self, image: GeneratedImage) -> None:
        self.images.append(image)

    def interrupted(self) -> bool:
        return self.stop

    def stopping_after_current(self) -> bool:
        return self.stop_after

    def take_skip(self) -> bool:
        skip, self.skip = self.skip, False
        return skip


@pytest.fixture(scope="session")
def catalog(starter_model: Path, tmp_path_factory: pytest.TempPathFactory) -> CheckpointCatalog:
    own = tmp_path_factory.mktemp("models")
    return CheckpointCatalog([starter_model.parent, own], HashCache(own / "hashes.json"))


@pytest.fixture(scope="session")
def engine(catalog: CheckpointCatalog) -> DiffusionEngine:
    return DiffusionEngine(ModelFiles(catalog), EngineSettings(DeviceWishes(use_cpu=True)))


@pytest.fixture
def watcher() -> Watcher:
    return Watcher()


@pytest.fixture(scope="session")
def request_of() -> MakeRequest:
    """A request for small pictures of few steps; values may be given."""

    def make(**values: object) -> GenerationRequest:
        small = {
            "prompt": "a red apple", "seed": 5, "steps": 3, "width": 64, "height": 64, "sampler": "Euler",
            "checkpoint": "starter",
        }  # fmt: skip
        return GenerationRequest.checked(small | values)

    return make

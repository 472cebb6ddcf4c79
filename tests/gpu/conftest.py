"""Engines with the starter model on a CUDA device; where there is none, all of these tests are skipped."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from modules.core.request import GenerationRequest
from modules.engine.memory import DeviceWishes
from modules.engine.service import DiffusionEngine, EngineSettings
from modules.library.catalog import CheckpointCatalog
from modules.library.choices import LORA_ENDINGS
from modules.library.files import ModelFiles
from modules.library.hashing import HashCache
from modules.library.network_files import NetworkFolder
from tests.fakes import Collector

LORA_LAYER = "down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k"
EngineOf = Callable[..., DiffusionEngine]
Pictures = Callable[..., np.ndarray]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is marked `gpu` where there is no CUDA device."""
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker("gpu") is not None:
            item.add_marker(pytest.mark.skip(reason="there is no CUDA device"))


@pytest.fixture(scope="module")
def lora_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the LoRA "strange", which changes one layer of the starter model."""
    folder = tmp_path_factory.mktemp("loras")
    generator = torch.Generator().manual_seed(1)
    save_file(
        {
            f"lora_unet_{LORA_LAYER}.lora_up.weight": torch.randn(64, 2, generator=generator),
            f"lora_unet_{LORA_LAYER}.lora_down.weight": torch.randn(2, 80, generator=generator),
            f"lora_unet_{LORA_LAYER}.alpha": torch.tensor(2.0),
        },
        folder / "strange.safetensors",
    )
    return folder


@pytest.fixture(scope="module")
def engine_of(starter_model: Path, lora_folder: Path) -> Iterator[EngineOf]:
    """Returns the engine of some wishes, the same one for the same wishes."""
    hashes = HashCache(lora_folder / "hashes.json")
    loras = NetworkFolder([lora_folder], LORA_ENDINGS, hashes, hash_kind="tensors")
    files = ModelFiles(CheckpointCatalog([starter_model.parent], hashes), loras=loras)
    engines: dict[DeviceWishes, DiffusionEngine] = {}

    def engine(**wishes: object) -> DiffusionEngine:
        wanted = DeviceWishes(**wishes)
        if wanted not in engines:
            engines[wanted] = DiffusionEngine(files, EngineSettings(wanted))
        return engines[wanted]

    yield engine
    engines.clear()
    torch.cuda.empty_cache()


@pytest.fixture
def pictures() -> Pictures:
    """Makes small pictures with an engine: (pictures, rows, columns, 3) from 0 to 255."""

    def make(engine: DiffusionEngine, **values: object) -> np.ndarray:
        small = {
            "prompt": "a red apple", "seed": 5, "steps": 6, "width": 64, "height": 64, "sampler": "Euler",
            "checkpoint": "starter", "noise_source": "CPU",
        }  # fmt: skip
        collector = Collector()
        engine.generate(GenerationRequest.checked(small | values), collector, collector)
        return np.stack([np.asarray(image.pixels).astype(int) for image in collector.images])

    return make

"""The modules `networks` and `lora`: what extensions change in networks is what the engine uses."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from modules.engine.memory import DeviceWishes
from modules.engine.service import DiffusionEngine, EngineSettings
from modules.jobs.model import JobState
from modules.library.catalog import CheckpointCatalog
from modules.library.choices import LORA_ENDINGS
from modules.library.files import ModelFiles
from modules.library.hashing import HashCache
from modules.library.network_files import NetworkFolder
from tests.a1111.conftest import Start
from tests.a1111.test_runs import pixels
from tests.engine.test_families import TINY, WIDTH, write_tiny

LAYERS = (
    "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k",
    "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q",
    "lora_te_text_model_encoder_layers_0_mlp_fc2",
)
PROMPT = "a red apple <lora:marble:0.5:0.8>"
Action = Callable[[Any], None]


@pytest.fixture(scope="module")
def engine_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[ModelFiles, DiffusionEngine]:
    folder = tmp_path_factory.mktemp("networks")
    write_tiny(folder / "sd1.safetensors", "sd1", TINY["sd1"])
    (folder / "loras").mkdir()
    for number, name in enumerate(("marble", "granite")):
        generator = torch.Generator().manual_seed(number)
        tensors = {}
        for layer in LAYERS:
            inside = WIDTH * 4 if layer.endswith("fc2") else WIDTH
            tensors[f"{layer}.lora_up.weight"] = torch.randn(WIDTH, 2, generator=generator)
            tensors[f"{layer}.lora_down.weight"] = torch.randn(2, inside, generator=generator)
        save_file(tensors, folder / "loras" / f"{name}.safetensors", {"ss_output_name": f"{name}-by-maker"})
    hashes = HashCache(folder / "hashes.json")
    loras = NetworkFolder([folder / "loras"], LORA_ENDINGS, hashes, hash_kind="tensors")
    files = ModelFiles(CheckpointCatalog([folder], hashes), loras=loras)
    return files, DiffusionEngine(files, EngineSettings(DeviceWishes(use_cpu=True)))


@pytest.fixture
def runs(start: Start) -> Callable[..., np.ndarray]:
    """Makes pictures while the sample extension does something once the networks of a batch are known."""
    easel = start("sample-inside")
    module = easel.module("sample_inside")

    def make(*actions: Action, prompt: str = PROMPT, **values: Any) -> np.ndarray:
        module.BATCH[:] = actions
        try:
            job = easel.run(checkpoint="sd1", prompt=prompt, **values)
        finally:
            module.BATCH.clear()
        assert job.state is JobState.FINISHED, job.error
        assert not easel.reports.of("sample-inside").failures
        return pixels(job)

    return make


def networks() -> Any:
    return importlib.import_module("networks")


def test_the_loaded_networks_are_those_of_the_prompt(runs: Any) -> None:
    plain = runs()
    seen: list[Any] = []

    def look(_p: Any) -> None:
        net = networks().loaded_networks[0]
        seen.append((net.name, net.te_multiplier, net.unet_multiplier, net.network_on_disk.alias))
        seen.append({name: type(module).__name__ for name, module in net.modules.items()})

    networks()
    assert (runs(look) == plain).all()
    assert seen[0] == ("marble", 0.5, 0.8, "marble-by-maker")
    assert seen[1] == {
        "diffusion_model_input_blocks_1_1_transformer_blocks_0_attn2_to_k": "NetworkModuleLora",
        "diffusion_model_input_blocks_1_1_transformer_blocks_0_attn1_to_q": "NetworkModuleLora",
        "transformer_text_model_encoder_layers_0_mlp_fc2": "NetworkModuleLora",
    }
    assert importlib.import_module("lora").loaded_loras is networks().loaded_networks
    assert sorted(networks().available_networks) == ["granite", "marble"]
    assert networks().available_network_aliases["marble-by-maker"].name == "marble"


def test_changed_strengths_count(runs: Any) -> None:
    def weaker(_p: Any) -> None:
        for net in networks().loaded_networks:
            net.te_multiplier, net.unet_multiplier = 0.25, 0.5

    assert (runs(weaker) == runs(prompt="a red apple <lora:marble:0.25:0.5>")).all()
    assert not (runs() == runs(weaker)).all()


def test_block_weights_count_and_last_for_their_run(runs: Any) -> None:
    plain, without = runs(), runs(prompt="a red apple")

    def only(part: str) -> Action:
        def scale(_p: Any) -> None:
            net = networks().loaded_networks[0]
            for name, module in net.modules.items():
                factor = 1.0 if part in name else 0.0
                module.up_model.weight = torch.nn.Parameter(module.up_model.weight * factor)

        return scale

    made = {part: runs(only(part)).tobytes() for part in ("attn2", "attn1", "transformer_text", "nothing")}
    assert len(set(made.values())) == 4
    assert made["nothing"] == without.tobytes()
    assert (runs(only("_")) == plain).all()
    assert (runs() == plain).all()


def test_a_plain_product_has_what_a1111_s_has(runs: Any) -> None:
    seen: list[Any] = []
    networks()
    runs(lambda _p: seen.extend(networks().loaded_networks[0].modules.values()))
    assert seen
    for module in seen:
        assert module.mid_model is None
        assert module.alpha / module.dim == pytest.approx(module.calc_scale())


def test_tensors_that_are_written_to_count_and_the_file_s_stay(runs: Any) -> None:
    plain = runs()

    def double(_p: Any) -> None:
        for module in networks().loaded_networks[0].modules.values():
            module.up_model.weight.mul_(2)

    assert (runs(double) == runs(prompt="a red apple <lora:marble:1:1.6>")).all()
    assert (runs() == plain).all()


def test_networks_are_taken_out_and_added(runs: Any) -> None:
    without = runs(prompt="a red apple")
    assert (runs(lambda _p: networks().loaded_networks.clear()) == without).all()
    added = runs(lambda _p: networks().load_networks(["granite"], [0.5], [0.8]), prompt="a red apple")
    assert (added == runs(prompt="a red apple <lora:granite:0.5:0.8>")).all()
    assert not (added == without).all()


def test_a_module_computes_what_it_adds(runs: Any, engine_files: Any) -> None:
    seen: list[Any] = []

    def compute(p: Any) -> None:
        net = networks().loaded_networks[0]
        name, module = next(iter(net.modules.items()))
        layer = p.sd_model.network_layer_mapping[name]
        x = torch.randn(3, layer.in_features)
        plain = torch.nn.functional.linear(x, layer.weight)
        delta, bias = module.calc_updown(layer.weight)
        seen.append((module.forward(x, plain), torch.nn.functional.linear(x, layer.weight + delta), bias))

    runs(compute)
    (by_models, by_weight, bias) = seen[0]
    assert torch.allclose(by_models, by_weight, atol=1e-4)
    assert bias is None


def test_without_networks_that_were_named_nothing_is_there(runs: Any, tmp_path: Path) -> None:
    seen: list[int] = []
    runs(lambda _p: seen.append(len(networks().loaded_networks)), prompt="a red apple")
    assert seen == [0]

"""Networks are built without memory and without first numbers, and nobody else notices."""

import json
import threading

import pytest
import torch
from accelerate import init_empty_weights
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModelWithProjection

from modules.engine.building import WithoutWeights
from modules.engine.families import FAMILIES


def build(part: str) -> torch.nn.Module:
    config = json.loads((FAMILIES["sdxl"].configs / f"{part}.json").read_text(encoding="utf-8"))
    if part == "text_encoder_2":
        return CLIPTextModelWithProjection(CLIPTextConfig(**config))
    network: torch.nn.Module = {"unet": UNet2DConditionModel, "vae": AutoencoderKL}[part].from_config(config)
    return network


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder_2"])
def test_a_real_network_has_all_its_parameters_without_memory_and_its_buffers_with_numbers(part: str) -> None:
    with WithoutWeights():
        found = build(part)
    with init_empty_weights(include_buffers=False):
        wanted = build(part)
    assert {name: (it.shape, it.dtype) for name, it in found.state_dict().items()} == {
        name: (it.shape, it.dtype) for name, it in wanted.state_dict().items()
    }
    assert {it.device.type for it in found.parameters()} == {"meta"}
    buffers = dict(wanted.named_buffers())
    assert {name for name, _ in found.named_buffers()} == set(buffers)
    assert all((it == buffers[name]).all() for name, it in found.named_buffers())


def test_nothing_is_drawn_from_the_generator_of_all() -> None:
    before = torch.get_rng_state()
    with WithoutWeights():
        torch.nn.Linear(4, 4)
        torch.nn.Embedding(4, 4)
    assert (torch.get_rng_state() == before).all()


def test_another_thread_makes_real_networks_meanwhile() -> None:
    made: list[torch.nn.Linear] = []
    with WithoutWeights():
        thread = threading.Thread(target=lambda: made.append(torch.nn.Linear(64, 64)))
        thread.start()
        thread.join()
    assert made[0].weight.device.type == "cpu"
    assert made[0].weight.std() > 0.01


def test_real_tensors_keep_their_numbers_and_may_be_filled() -> None:
    with WithoutWeights():
        assert torch.zeros(3).fill_(2).tolist() == [2, 2, 2]
        filled = torch.nn.init.constant_(torch.ones(2), 5)
    assert filled.tolist() == [5, 5]
    assert torch.empty(1).device.type == "cpu"

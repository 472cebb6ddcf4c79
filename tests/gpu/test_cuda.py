"""What holds on a CUDA device: nearness to the CPU, noise, memory modes, second passes and networks in float16."""

import numpy as np
import pytest
import torch

from modules.sampling.noise import PhiloxGenerator
from tests.fakes import Collector
from tests.gpu.conftest import EngineOf, Pictures

pytestmark = pytest.mark.gpu

CLOSE_MEAN = 3.0
"""How far float16 may be from float32 on average, in steps of 255; another seed is further away by tens."""


@pytest.mark.parametrize("sampler", ["Euler", "Euler a", "DPM++ 2M", "DPM++ 2M SDE", "DDIM", "UniPC"])
@pytest.mark.parametrize("source", ["CPU", "NV"])
def test_a_picture_in_half_precision_is_close_to_that_of_the_cpu(
    engine_of: EngineOf, pictures: Pictures, sampler: str, source: str
) -> None:
    values = {"sampler": sampler, "noise_source": source}
    ours, theirs = pictures(engine_of(), **values), pictures(engine_of(use_cpu=True), **values)
    other = pictures(engine_of(), **values, seed=99)
    assert np.abs(ours - theirs).mean() < CLOSE_MEAN < np.abs(ours - other).mean()


def test_the_engine_computes_in_half_precision_on_the_device(engine_of: EngineOf) -> None:
    plan = engine_of().plan
    assert (plan.device.type, plan.dtype) == ("cuda", torch.float16)
    unet = engine_of().shelf.get("starter", Collector()).bundle.unet
    assert {(weight.device.type, weight.dtype) for weight in unet.parameters()} == {("cuda", torch.float16)}


@pytest.mark.parametrize("seed", [0, 1234, 2**32 - 1, 2**40 + 5])
def test_nv_noise_is_that_of_a_cuda_generator(seed: int) -> None:
    generator, ours = torch.Generator("cuda").manual_seed(seed), PhiloxGenerator(seed)
    for shape in ((4, 64, 64), (4, 8, 8)):
        theirs = torch.randn(shape, generator=generator, device="cuda").cpu()
        assert torch.allclose(ours.randn(shape), theirs, atol=1e-4)


def test_nv_and_gpu_noise_give_nearly_the_same_picture(engine_of: EngineOf, pictures: Pictures) -> None:
    for sampler in ("Euler a", "DPM++ 2M SDE"):
        nv, gpu = (pictures(engine_of(), sampler=sampler, noise_source=source) for source in ("NV", "GPU"))
        assert np.abs(nv - gpu).mean() < CLOSE_MEAN


@pytest.mark.parametrize("mode", ["medium", "low"])
def test_a_mode_that_saves_memory_makes_the_same_pictures(engine_of: EngineOf, pictures: Pictures, mode: str) -> None:
    for values in ({}, {"enable_hr": True, "hr_scale": 2.0, "steps": 3}):
        off = np.abs(pictures(engine_of(mode=mode), **values) - pictures(engine_of(), **values))
        assert off.max() <= 1


def test_medium_leaves_the_unet_in_main_memory_while_the_vae_works(engine_of: EngineOf, pictures: Pictures) -> None:
    engine = engine_of(mode="medium")
    pictures(engine)
    bundle = engine.shelf.get("starter", Collector()).bundle
    assert {weight.device.type for weight in bundle.unet.parameters()} == {"cpu"}
    assert {weight.device.type for weight in bundle.vae.parameters()} == {"cuda"}


@pytest.mark.parametrize("upscaler", ["Latent", "Lanczos"])
def test_hires_fix_in_half_precision_is_close_to_that_of_the_cpu(
    engine_of: EngineOf, pictures: Pictures, upscaler: str
) -> None:
    values = {"enable_hr": True, "hr_scale": 2.0, "denoising_strength": 0.5, "hr_upscaler": upscaler}
    ours, theirs = pictures(engine_of(), **values), pictures(engine_of(use_cpu=True), **values)
    assert ours.shape == (1, 128, 128, 3)
    assert np.abs(ours - theirs).mean() < CLOSE_MEAN


def test_a_lora_changes_half_precision_weights_and_leaves_no_bit_behind(
    engine_of: EngineOf, pictures: Pictures
) -> None:
    engine = engine_of()
    plain = pictures(engine)
    unet = engine.shelf.get("starter", Collector()).bundle.unet
    before = {name: weight.clone() for name, weight in unet.state_dict().items()}
    changed = pictures(engine, prompt="a red apple <lora:strange:1>")
    patched = [name for name, weight in unet.state_dict().items() if not torch.equal(weight, before[name])]
    again = pictures(engine)
    assert len(patched) == 1
    assert np.abs(changed - plain).mean() > 0.1
    assert all(torch.equal(weight, before[name]) for name, weight in unet.state_dict().items())
    assert np.array_equal(again, plain)


def test_the_same_request_gives_the_same_bytes_on_the_device(engine_of: EngineOf, pictures: Pictures) -> None:
    first, second = (pictures(engine_of(), sampler="Euler a", batch_size=2) for _ in range(2))
    assert np.array_equal(first, second)

"""The VAE in strips gives what it gives in one go."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from PIL import Image

from modules.engine.latents import decode, encode
from modules.engine.service import DiffusionEngine
from modules.engine.strips import StripVae
from modules.engine.tiling import set_seamless
from tests.engine.conftest import Watcher

SIZES = [3_000, 40_000, 10**9]


@pytest.fixture(scope="module")
def vae(starter_model: Path) -> AutoencoderKL:
    loaded: AutoencoderKL = AutoencoderKL.from_pretrained(starter_model / "vae", local_files_only=True).eval()
    return loaded


@pytest.mark.parametrize("elements", SIZES)
@pytest.mark.parametrize("seamless", [False, True])
@torch.inference_mode()
def test_strips_of_any_height_decode_to_the_same_numbers(vae: AutoencoderKL, elements: int, seamless: bool) -> None:
    set_seamless(vae, seamless)
    latents = torch.randn(1, 4, 24, 17, generator=torch.Generator().manual_seed(1))
    whole = vae.decode(latents, return_dict=False)[0]
    assert torch.allclose(StripVae(vae, elements).decode(latents), whole, atol=1e-5)
    set_seamless(vae, False)


@pytest.mark.parametrize("elements", SIZES)
@pytest.mark.parametrize("seamless", [False, True])
@torch.inference_mode()
def test_strips_of_any_height_encode_to_the_same_numbers(vae: AutoencoderKL, elements: int, seamless: bool) -> None:
    set_seamless(vae, seamless)
    pixels = torch.rand(1, 3, 192, 136, generator=torch.Generator().manual_seed(1)) * 2 - 1
    whole = vae.encode(pixels).latent_dist.parameters
    assert torch.allclose(StripVae(vae, elements).encode(pixels), whole, atol=1e-4)
    set_seamless(vae, False)


@torch.inference_mode()
def test_fewer_numbers_are_at_work_at_once(vae: AutoencoderKL, monkeypatch: pytest.MonkeyPatch) -> None:
    largest = []
    plain = torch.nn.functional.conv2d

    def counting(strip: torch.Tensor, *rest: object) -> torch.Tensor:
        largest.append(strip.numel())
        return plain(strip, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr("modules.engine.strips.F.conv2d", counting)
    StripVae(vae, 50_000).decode(torch.randn(1, 4, 32, 32))
    # The halo's rows and the edges come on top of a strip.
    assert max(largest) < 2 * 50_000


def test_a_picture_made_with_the_option_is_the_same(engine: DiffusionEngine, watcher: Watcher) -> None:
    bundle = engine.shelf.get("starter", watcher).bundle
    latents = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        whole = np.asarray(decode(bundle, latents), dtype=int)
        bundle.relief.begin(lambda text: None, in_strips=True)
        strips = np.asarray(decode(bundle, latents), dtype=int)
        back = encode(bundle, Image.fromarray(strips.astype(np.uint8)))
        bundle.relief.reset()
        wanted = encode(bundle, Image.fromarray(strips.astype(np.uint8)))
    assert np.abs(strips - whole).max() <= 1
    assert torch.allclose(back, wanted, atol=1e-4)
    assert not bundle.relief.in_strips

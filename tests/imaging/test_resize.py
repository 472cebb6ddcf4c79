"""Upscalers bring a picture to exactly the size that was asked for."""

import numpy as np
import pytest
from PIL import Image

from modules.imaging.resize import LATENT_UPSCALERS, PIXEL_UPSCALERS, UPSCALERS, upscaled


def picture() -> Image.Image:
    return Image.fromarray(np.random.default_rng(1).integers(0, 255, (16, 24, 3), dtype=np.uint8), "RGB")


@pytest.mark.parametrize("upscaler", PIXEL_UPSCALERS)
@pytest.mark.parametrize("size", [(48, 32), (50, 31), (100, 33), (24, 16), (12, 8), (7, 90)])
def test_the_result_has_the_size_that_was_asked_for(upscaler: str, size: tuple[int, int]) -> None:
    assert upscaled(picture(), *size, upscaler).size == size


def test_nearest_keeps_every_pixel_and_lanczos_does_not() -> None:
    nearest, lanczos = (np.asarray(upscaled(picture(), 48, 32, name)) for name in ("Nearest", "Lanczos"))
    assert (nearest[::2, ::2] == np.asarray(picture())).all()
    assert (lanczos[::2, ::2] != np.asarray(picture())).any()


def test_the_list_has_a1111_s_names_in_its_order() -> None:
    assert list(UPSCALERS) == [*LATENT_UPSCALERS, "None", "Lanczos", "Nearest"]
    assert list(LATENT_UPSCALERS)[:2] == ["Latent", "Latent (antialiased)"]



"""Soft inpainting: its mixture of latents, and what it does to pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from modules.builtin.soft_inpainting import DESCRIPTION, SoftInpainting, mixed
from modules.core.extras import FrozenMapping
from modules.core.request import GenerationRequest
from modules.hooks.registry import RunStart
from modules.hooks.spec import MaskBlend
from tests.builtin.conftest import EnginePictures, Make

SIZE = 128


def random_latents(seed: int) -> torch.Tensor:
    return torch.randn(2, 4, 3, 3, generator=torch.Generator().manual_seed(seed))


OLD, NEW = random_latents(1), random_latents(2)


def share(value: float) -> torch.Tensor:
    return torch.full((1, 1, 3, 3), value)


def lengths(latents: torch.Tensor) -> torch.Tensor:
    return latents.norm(dim=1)


def test_none_or_all_of_the_new_is_old_or_new() -> None:
    torch.testing.assert_close(mixed(OLD, NEW, share(0), 4), OLD, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(mixed(OLD, NEW, share(1), 4), NEW, rtol=1e-3, atol=1e-4)


def test_the_mixture_has_the_direction_of_the_mean_and_the_length_of_the_powered_mean() -> None:
    found, plain = mixed(OLD, NEW, share(0.3), 4), OLD * 0.7 + NEW * 0.3
    cosine = torch.nn.functional.cosine_similarity(found, plain, dim=1)
    torch.testing.assert_close(cosine, torch.ones_like(cosine))
    wanted = (lengths(OLD) ** 4 * 0.7 + lengths(NEW) ** 4 * 0.3) ** 0.25
    torch.testing.assert_close(lengths(found), wanted, rtol=1e-3, atol=1e-4)


def test_much_boost_gives_nearly_the_larger_length() -> None:
    found = lengths(mixed(OLD, NEW, share(0.5), 32))
    larger = torch.maximum(lengths(OLD), lengths(NEW))
    assert ((found / larger) > 0.95).all()
    assert found.isfinite().all()


def blended(level: float | None, painted: float, **values: float) -> torch.Tensor:
    checked = DESCRIPTION.checked(values)
    listener = SoftInpainting().listen(RunStart(GenerationRequest(), checked, print))
    there = None if level is None else torch.tensor(level)
    blend = MaskBlend(NEW, OLD, share(painted), there, OLD)
    listener.on_mask_blend(blend)
    return blend.blended


def test_at_the_end_nothing_of_the_original_is_mixed_in() -> None:
    assert blended(None, 0.5) is NEW


def test_a_half_masked_place_is_old_in_much_noise_and_new_in_little() -> None:
    torch.testing.assert_close(blended(80.0, 0.5), OLD, rtol=1e-2, atol=1e-2)
    early, late = (blended(level, 0.5) for level in (4.0, 0.1))
    assert (early - NEW).norm() > (late - NEW).norm()


def test_the_strength_of_preservation_is_the_power_of_the_mask() -> None:
    expected = mixed(OLD, NEW, share(0.5) ** (3.0**2 * 0.75), 4)
    torch.testing.assert_close(blended(3.0, 0.5, schedule_bias=2, preservation_strength=0.75), expected)


@pytest.fixture
def original(engine_pictures: EnginePictures, make: Make) -> Image.Image:
    engine_pictures["original"] = make(prompt="a green leaf", width=SIZE, height=SIZE).images[0].pixels
    mask = Image.new("L", (SIZE, SIZE))
    mask.paste(128, (48, 48, 96, 96))
    engine_pictures["half"] = mask
    alpha = Image.new("RGBA", (SIZE, SIZE))
    alpha.putalpha(mask)
    engine_pictures["alpha"] = alpha
    return engine_pictures["original"]


INPAINT = {"init_image": "original", "mask_blur_x": 0, "mask_blur_y": 0, "denoising_strength": 0.9, "width": SIZE,
           "height": SIZE}  # fmt: skip


def pixels(make: Make, **values: object) -> np.ndarray:
    return np.asarray(make(**INPAINT, **values).images[0].pixels, dtype=int)


@pytest.mark.parametrize("area", ["Whole picture", "Only masked"])
@pytest.mark.parametrize("mask", ["half", "alpha"])
def test_a_half_masked_place_is_painted_and_the_rest_hardly_changes(
    area: str, mask: str, original: Image.Image, make: Make
) -> None:
    start = np.asarray(original, dtype=int)
    found = pixels(make, mask_image=mask, extras={"soft_inpainting": {}}, inpaint_area=area, masked_padding=0)
    change = np.abs(found - start).mean(axis=2)
    assert change[56:88, 56:88].mean() > 8
    assert change[:16].max() <= 1
    assert change[:, :16].max() <= 1


def test_more_preservation_leaves_more_of_the_original(original: Image.Image, make: Make) -> None:
    start = np.asarray(original, dtype=int)
    changes = [
        np.abs(pixels(make, mask_image="half", extras={"soft_inpainting": {"preservation_strength": value}}) - start)
        for value in (0.5, 8.0)
    ]
    assert changes[1].mean() < 0.7 * changes[0].mean()


def test_its_values_are_in_the_infotext_only_where_there_is_a_mask(original: Image.Image, make: Make) -> None:
    values = {"soft_inpainting": {"schedule_bias": 1.5}}
    with_mask = make(**INPAINT, mask_image="half", extras=values).images[0].infotext
    assert (
        "Soft inpainting enabled: True, Soft inpainting schedule bias: 1.5,"
        " Soft inpainting preservation strength: 0.5, Soft inpainting transition contrast boost: 4.0,"
        " Soft inpainting mask influence: 0.0, Soft inpainting difference threshold: 0.5,"
        " Soft inpainting difference contrast: 2.0"
    ) in with_mask
    assert "Soft inpainting" not in make(**INPAINT, extras=values).images[0].infotext


def test_every_value_may_be_at_its_edge(original: Image.Image, make: Make) -> None:
    for edge in ("minimum", "maximum"):
        values = {parameter.name: getattr(parameter, edge) for parameter in DESCRIPTION.valued()}
        found = pixels(make, mask_image="half", extras={"soft_inpainting": FrozenMapping(values)})
        assert found.shape == (SIZE, SIZE, 3)

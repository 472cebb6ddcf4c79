import pytest
import torch
from diffusers import LatentConsistencyModelPipeline

from modules.sampling.guidance import (
    classifier_free,
    guidance_embedding,
    rescaled,
    rescaled_x0,
    skips_unconditional,
)


def pictures(seed: int) -> torch.Tensor:
    return torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(seed))


def test_guidance_adds_the_weighted_differences() -> None:
    first, second, unconditional = pictures(1), pictures(2), pictures(3)
    guided = classifier_free([first, second], [1.0, -0.5], unconditional, 4.0)
    assert torch.allclose(guided, unconditional + 4 * (first - unconditional) - 2 * (second - unconditional), atol=1e-5)


def test_a_scale_of_one_is_the_conditional_itself() -> None:
    assert torch.allclose(classifier_free([pictures(1)], [1.0], pictures(2), 1.0), pictures(1), atol=1e-6)


def test_rescaling_in_full_restores_each_picture_s_spread() -> None:
    guided, conditional = 7 * pictures(1), pictures(2) * torch.tensor([1.0, 2.0]).view(2, 1, 1, 1)
    restored = rescaled(guided, conditional, 1.0)
    assert torch.allclose(restored.std(dim=(1, 2, 3)), conditional.std(dim=(1, 2, 3)), rtol=1e-5)
    assert torch.equal(rescaled(guided, conditional, 0.0), guided)


def test_half_of_the_rescaling_is_half_way() -> None:
    guided, conditional = 7 * pictures(1), pictures(2)
    middle = (guided + rescaled(guided, conditional, 1.0)) / 2
    assert torch.allclose(rescaled(guided, conditional, 0.5), middle, atol=1e-5)


def test_rescaling_x0_is_rescaling_the_noise_that_was_predicted() -> None:
    x, sigma, guided, conditional = pictures(1), 3.0, 5 * pictures(2), pictures(3)
    epsilon, plain = (x - guided) / sigma, (x - conditional) / sigma
    assert torch.allclose(
        rescaled_x0(guided, conditional, 0.7, x), x - sigma * rescaled(epsilon, plain, 0.7), atol=1e-5
    )


def test_rescaling_x0_is_rescaling_the_velocity_that_was_predicted() -> None:
    x, sigma, guided, conditional = pictures(1), 3.0, 5 * pictures(2), pictures(3)
    anchor, factor = x / (sigma**2 + 1), sigma / (sigma**2 + 1) ** 0.5
    velocity, plain = (anchor - guided) / factor, (anchor - conditional) / factor
    assert torch.allclose(
        rescaled_x0(guided, conditional, 0.7, anchor), anchor - factor * rescaled(velocity, plain, 0.7), atol=1e-5
    )


def test_a_prediction_without_spread_stays_finite() -> None:
    assert rescaled(torch.zeros(1, 4, 2, 2), torch.zeros(1, 4, 2, 2), 1.0).isfinite().all()


@pytest.mark.parametrize(
    ("call", "sigma", "skip_early", "ngms", "ngms_all", "skipped"),
    [
        (0, 14.0, 0.0, 0.0, False, False),
        (0, 14.0, 0.1, 0.0, False, True),
        (2, 14.0, 0.1, 0.0, False, True),
        (3, 14.0, 0.1, 0.0, False, False),
        (3, 2.0, 0.0, 4.0, False, True),
        (4, 2.0, 0.0, 4.0, False, False),
        (4, 2.0, 0.0, 4.0, True, True),
        (3, 4.0, 0.0, 4.0, True, False),
        (3, 2.0, 0.1, 4.0, False, True),
    ],
)
def test_the_negative_prompt_is_left_out_early_or_at_low_noise(
    call: int, sigma: float, skip_early: float, ngms: float, ngms_all: bool, skipped: bool
) -> None:
    assert skips_unconditional(call, 20, sigma, skip_early, ngms, ngms_all) is skipped


@pytest.mark.parametrize("width", [256, 7])
def test_a_told_cfg_scale_is_written_as_diffusers_writes_it(width: int) -> None:
    theirs = LatentConsistencyModelPipeline.get_guidance_scale_embedding(None, torch.tensor([3.5 - 1]), width)
    assert torch.allclose(guidance_embedding(3.5, width), theirs, atol=1e-6)

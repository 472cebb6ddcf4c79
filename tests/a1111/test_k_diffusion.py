"""k_diffusion's names over Easel's samplers, as extensions call them by themselves."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from modules.a1111 import _k_external, _k_sampling, _k_utils
from modules.sampling.denoisers import NoiseLevels
from modules.sampling.schedules import ScheduleOptions, exponential, karras, polyexponential

LEVELS = NoiseLevels.scaled_linear()
NOISE = torch.full((2, 4, 3, 3), 0.5)


class Predictor:
    """A model whose picture is all zeros: it answers with the noise, or with v, that its input then holds."""

    alphas_cumprod = LEVELS.alphas_cumprod

    def __init__(self, predicts_v: bool = False) -> None:
        self.predicts_v = predicts_v
        self.asked: list[Any] = []

    def apply_model(self, x: Tensor, t: Tensor, cond: Any = None) -> Tensor:
        self.asked.append(cond)
        alphas = self.alphas_cumprod[t.round().long()].view(-1, 1, 1, 1)
        noise = x / (1 - alphas).sqrt()
        return noise * alphas.sqrt() if self.predicts_v else noise


@pytest.mark.parametrize("predicts_v", [False, True])
def test_a_wrapped_model_answers_with_the_clean_picture(predicts_v: bool) -> None:
    kind = _k_external.CompVisVDenoiser if predicts_v else _k_external.CompVisDenoiser
    model = Predictor(predicts_v)
    wrapped = kind(model)
    sigma = wrapped.sigmas[[100, 700]]
    clean = wrapped(NOISE * sigma.view(-1, 1, 1, 1), sigma, cond="told")
    assert clean.abs().max() < 1e-3
    assert model.asked == ["told"]


def test_noise_levels_and_timesteps_belong_to_one_another() -> None:
    wrapped = _k_external.CompVisDenoiser(Predictor())
    steps = torch.tensor([0.0, 12.5, 999.0])
    assert torch.allclose(wrapped.sigma_to_t(wrapped.t_to_sigma(steps)), steps, atol=1e-2)
    assert float(wrapped.sigma_max) == pytest.approx(LEVELS.sigma_max, rel=1e-5)
    sigmas = wrapped.get_sigmas(5)
    assert len(sigmas) == 6
    assert sigmas[-1] == 0
    assert (sigmas[:-1] > sigmas[1:]).all()


def test_schedules_are_easels() -> None:
    span = (0.1, 10.0)
    options = ScheduleOptions(*span)
    for theirs, ours in (
        (_k_sampling.get_sigmas_karras, karras),
        (_k_sampling.get_sigmas_exponential, exponential),
        (_k_sampling.get_sigmas_polyexponential, polyexponential),
    ):
        assert torch.allclose(theirs(7, *span), ours(LEVELS, 7, options), rtol=1e-5)


@pytest.mark.parametrize("name", sorted(_k_sampling.LABELS))
def test_every_sampling_function_walks_to_the_picture(name: str) -> None:
    seen: list[dict[str, Any]] = []
    picture = torch.full((1, 4, 4, 4), 0.3)

    def model(x: Tensor, sigma: Tensor, told: str) -> Tensor:
        assert told == "told"
        return picture

    sigmas = LEVELS.sigmas[[999, 600, 300, 1]] if name in ("ddim", "ddim_cfgpp", "plms", "unipc") else None
    walk = _k_sampling.get_sigmas_karras(6, LEVELS.sigma_min, LEVELS.sigma_max) if sigmas is None else sigmas
    torch.manual_seed(1)
    start = torch.randn(1, 4, 4, 4) * walk[0]
    end = getattr(_k_sampling, name)(model, start, walk, extra_args={"told": "told"}, callback=seen.append)
    assert (end - picture).abs().max() < 0.2
    assert [told["i"] for told in seen] == sorted(told["i"] for told in seen)
    assert seen[0]["x"].shape == seen[0]["denoised"].shape == start.shape


def test_shapes_and_steps() -> None:
    assert _k_utils.append_dims(torch.ones(2), 4).shape == (2, 1, 1, 1)
    with pytest.raises(ValueError, match="less"):
        _k_utils.append_dims(torch.ones(2, 2), 1)
    assert _k_sampling.get_ancestral_step(2.0, 1.0, 0.0) == (1.0, 0.0)
    down, up = _k_sampling.get_ancestral_step(torch.tensor(2.0), torch.tensor(1.0))
    assert float(down**2 + up**2) == pytest.approx(1.0)
    slope = _k_sampling.to_d(torch.ones(1, 1, 1, 1), torch.tensor([2.0]), torch.zeros(1, 1, 1, 1))
    assert float(slope) == 0.5


def test_brownian_noise_of_a_seed_is_the_same_again() -> None:
    x = torch.zeros(2, 4, 4, 4)
    one, other = (_k_sampling.BrownianTreeNoiseSampler(x, 0.1, 10.0, seed=[1, 2])(5.0, 3.0) for _ in range(2))
    assert torch.equal(one, other)
    assert not torch.equal(one[0], one[1])


def test_a_model_that_tells_nothing_has_stable_diffusions_levels() -> None:
    assert torch.equal(_k_external.alphas_of(SimpleNamespace()), LEVELS.alphas_cumprod)

"""A model whose answers are known: for Gaussian data the exact denoiser and the exact solution have closed forms."""

from typing import Any

import torch
from torch import Tensor

from modules.sampling import registry
from modules.sampling.denoisers import LcmLevels, NoiseLevels
from modules.sampling.noise import BatchNoise, BrownianNoise, NoiseSeeds
from modules.sampling.passes import PassPlan

DEVIATION = 0.5
CPU = torch.device("cpu")
LEVELS = NoiseLevels.scaled_linear()


class GaussianDenoiser:
    """The posterior mean for data of mean 0 and deviation 0.5, number by number; its guidance changes nothing."""

    def __init__(self) -> None:
        self.inputs: list[Tensor] = []
        self.unconditional = torch.zeros(0)

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        assert sigma.shape == (x.shape[0],)
        self.inputs.append(x)
        variance = sigma.view(-1, 1, 1, 1) ** 2
        self.unconditional = x * DEVIATION**2 / (DEVIATION**2 + variance)
        return self.unconditional


def exact_solution(x: Tensor, sigma: float, sigma_end: float) -> Tensor:
    """The probability flow between two noise levels scales x by the ratio of the deviations there."""
    return x * ((DEVIATION**2 + sigma_end**2) / (DEVIATION**2 + sigma**2)) ** 0.5


def levels_of(sampler: registry.Sampler) -> NoiseLevels:
    return LcmLevels(LEVELS) if sampler.consistency else LEVELS


def sampler_of(label: str) -> registry.Sampler:
    sampler = registry.find_sampler(label)
    assert sampler is not None
    return sampler


def schedule_of(label: str) -> registry.Schedule:
    schedule = registry.find_schedule(label)
    assert schedule is not None
    return schedule


def run_plan(
    plan: PassPlan, sampler: registry.Sampler, seeds: NoiseSeeds, latents: Tensor | None = None, **options: Any
) -> Tensor:
    """Do what an engine does with a plan: small pictures, noise of the CPU."""
    drawn = BatchNoise(seeds, (4, 6, 8), "CPU", CPU)
    start = plan.begin(drawn.draw(), latents)
    brownian = BrownianNoise(seeds.seeds, start, *plan.span, source="CPU")
    sampled: Tensor = sampler.function()(
        GaussianDenoiser(),
        start,
        plan.sigmas,
        noise=brownian if sampler.brownian else lambda sigma, sigma_next: drawn.draw(),
        **options,
    )
    return sampled

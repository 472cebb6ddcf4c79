"""UniPC (Zhao et al. 2023, arXiv:2302.04867): a predictor and a corrector of any order from one model call a step.

Written for x / sqrt(alpha) with lambda = -log(sigma), in the data prediction form with B(h) = h ("bh1").
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from modules.sampling.denoisers import Denoiser
from modules.sampling.solvers.common import Noise, OnStep, ignore_step, per_image
from modules.sampling.solvers.ddim import unit_variance

ORDER = 3


def sample_unipc(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    noise: Noise,
    on_step: OnStep = ignore_step,
) -> Tensor:
    """Algorithm 5 and 8 (multistep), order 3, lower at both ends; the last step has no corrector.

    Deterministic, so `noise` is not drawn from.
    """
    levels = sigmas.tolist()
    steps = len(levels) - 1
    past: list[tuple[float, Tensor]] = []
    correct: _Step | None = None
    for index, sigma in enumerate(levels[:-1]):
        denoised = denoise(x, per_image(sigma, x))
        on_step(index, x, denoised)
        if correct is not None:
            x = correct.corrected(denoised)
        past = [(sigma, denoised), *past[: ORDER - 1]]
        order = min(len(past), steps - index)
        correct = _Step(x, levels[index + 1], past[:order])
        x = correct.predicted()
    return unit_variance(x, levels[-1])


class _Step:
    """One step from the newest of `past` to `sigma_next`; its order is the number of past predictions."""

    def __init__(self, x: Tensor, sigma_next: float, past: Sequence[tuple[float, Tensor]]) -> None:
        """Take the x0 of the last steps with their sigmas, newest first."""
        sigma, self.newest = past[0]
        self.h = math.log(sigma / sigma_next)
        ratios = [math.log(sigma / older) / self.h for older, _ in past[1:]]
        self.differences = [
            (older - self.newest) / ratio for (_, older), ratio in zip(past[1:], ratios, strict=True)
        ]
        self.nodes = [*ratios, 1.0]
        self.base = sigma_next / sigma * x - math.expm1(-self.h) * self.newest

    def predicted(self) -> Tensor:
        """Return x at the next level from the past alone."""
        # With one past difference any weight keeps the order; the authors take 1/2.
        weights = [0.5] if len(self.nodes) == 2 else self._weights(len(self.nodes) - 1)
        return self.base + self.h * self._sum(weights)

    def corrected(self, denoised_next: Tensor) -> Tensor:
        """Return x at the next level, now that the model's x0 there is known."""
        weights = [0.5] if len(self.nodes) == 1 else self._weights(len(self.nodes))
        last = weights[-1] * (denoised_next - self.newest)
        return self.base + self.h * (self._sum(weights[:-1]) + last)

    def _sum(self, weights: Sequence[float]) -> Tensor:
        terms = (weight * difference for weight, difference in zip(weights, self.differences, strict=True))
        return sum(terms, start=torch.zeros_like(self.newest))

    def _weights(self, count: int) -> list[float]:
        """Solve equation 7 of the paper for the first `count` nodes: sum of a_m r_m^(k-1) = b_k."""
        if count == 0:
            return []
        powers = torch.tensor([[node**power for node in self.nodes[:count]] for power in range(count)])
        moments, phi, factorial = [], math.expm1(-self.h) / -self.h - 1, 1
        for power in range(1, count + 1):
            moments.append(phi * factorial / -self.h)
            factorial *= power + 1
            phi = phi / -self.h - 1 / factorial
        solution: list[float] = torch.linalg.solve(powers.double(), torch.tensor(moments).double()).tolist()
        return solution

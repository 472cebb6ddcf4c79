"""Euler's method, plain and ancestral."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor

from modules.sampling.denoisers import Denoiser
from modules.sampling.solvers.common import Noise, OnStep, ancestral_split, derivative, ignore_step, per_image


@dataclass(frozen=True, slots=True)
class Churn:
    """How much noise is added back before a step, between which sigmas, and its strength.

    S_churn, S_tmin, S_tmax and S_noise of Karras et al. 2022 (arXiv:2206.00364), algorithm 2.
    """

    amount: float = 0.0
    sigma_from: float = 0.0
    sigma_to: float = math.inf
    strength: float = 1.0

    def gamma(self, sigma: float, steps: int) -> float:
        """Return by which share the noise level is raised at `sigma` in a run of `steps` steps."""
        if not self.sigma_from <= sigma <= self.sigma_to:
            return 0.0
        return min(self.amount / steps, math.sqrt(2) - 1)


NO_CHURN = Churn()


def sample_euler(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    noise: Noise,
    churn: Churn = NO_CHURN,
    on_step: OnStep = ignore_step,
) -> Tensor:
    """Karras et al. 2022 (arXiv:2206.00364), algorithm 2 without its second-order correction."""
    levels = sigmas.tolist()
    for index, (sigma, sigma_next) in enumerate(pairwise(levels)):
        # The noise is drawn even when it is not used: so does the reference, and later draws depend on it.
        fresh = noise()
        gamma = churn.gamma(sigma, len(levels) - 1)
        raised = sigma * (gamma + 1)
        if gamma > 0:
            x = x + fresh * churn.strength * (raised**2 - sigma**2) ** 0.5
        denoised = denoise(x, per_image(raised, x))
        on_step(index, x, denoised)
        x = x + derivative(x, raised, denoised) * (sigma_next - raised)
    return x


def sample_euler_ancestral(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    noise: Noise,
    eta: float = 1.0,
    noise_strength: float = 1.0,
    on_step: OnStep = ignore_step,
) -> Tensor:
    """Euler steps down to sigma_down, each followed by fresh noise up to the next level."""
    levels = sigmas.tolist()
    for index, (sigma, sigma_next) in enumerate(pairwise(levels)):
        denoised = denoise(x, per_image(sigma, x))
        on_step(index, x, denoised)
        sigma_down, sigma_up = ancestral_split(sigma, sigma_next, eta)
        x = x + derivative(x, sigma, denoised) * (sigma_down - sigma)
        if sigma_next > 0:
            x = x + noise() * noise_strength * sigma_up
    return x

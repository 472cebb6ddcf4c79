"""DDIM and PLMS, which walk the model's own timesteps and stop at the second one instead of at sigma = 0.

In the papers x has unit variance at all times; here it is x / sqrt(alpha) as everywhere, which makes their update
x_next = x0 + sigma_next * epsilon. What is returned has the papers' scale again, which is that of clean latents.
"""

from __future__ import annotations

import math
from itertools import pairwise

from torch import Tensor

from modules.sampling.denoisers import Denoiser, GuidedCall
from modules.sampling.solvers.common import ADAMS, UNWATCHED, Noise, Watch, derivative, per_image


def unit_variance(x: Tensor, sigma: float) -> Tensor:
    """Return x in the variance-preserving scale."""
    scale: float = (1 + sigma**2) ** 0.5
    return x / scale


def sample_ddim(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    noise: Noise,
    eta: float = 0.0,
    watch: Watch = UNWATCHED,
) -> Tensor:
    """Song et al. 2020 (arXiv:2010.02502), equations 12 and 16; eta = 1 is DDPM, eta = 0 adds no noise."""
    levels = sigmas.tolist()
    for index, (sigma, sigma_next) in enumerate(pairwise(levels)):
        x = watch.begin(index, x, sigma)
        denoised = denoise(x, per_image(sigma, x))
        watch.tell(index, x, denoised)
        epsilon = derivative(x, sigma, denoised)
        x = denoised + _renoised(epsilon, (sigma, sigma_next), noise, eta)
    return unit_variance(x, levels[-1])


def sample_ddim_cfg_pp(
    denoise: GuidedCall,
    x: Tensor,
    sigmas: Tensor,
    *,
    noise: Noise,
    eta: float = 0.0,
    watch: Watch = UNWATCHED,
) -> Tensor:
    """CFG++ (Chung et al. 2024, arXiv:2406.08070, algorithm 2): to the guided x0, back along the unguided noise."""
    levels = sigmas.tolist()
    for index, (sigma, sigma_next) in enumerate(pairwise(levels)):
        x = watch.begin(index, x, sigma)
        denoised = denoise(x, per_image(sigma, x))
        watch.tell(index, x, denoised)
        epsilon = derivative(x, sigma, denoise.unconditional)
        x = denoised + _renoised(epsilon, (sigma, sigma_next), noise, eta)
    return unit_variance(x, levels[-1])


def _renoised(epsilon: Tensor, step: tuple[float, float], noise: Noise, eta: float) -> Tensor:
    """Return the noise at the end of a step: a share of the predicted noise, and a share of fresh noise.

    With an eta the noise is drawn even where none is added: so does the reference, and later draws depend on it.
    """
    if not eta:
        return math.sqrt(step[1] ** 2) * epsilon
    fresh = noise(*step)
    added = eta * _posterior_deviation(*step)
    # Above eta = 1 the fresh noise alone may exceed what the next level holds.
    kept = math.sqrt(max(step[1] ** 2 - added**2, 0.0))
    return kept * epsilon + added * fresh


def _posterior_deviation(sigma: float, sigma_next: float) -> float:
    """Return the deviation of DDPM's step noise (equation 16 with eta = 1), in the scale of x / sqrt(alpha)."""
    alpha, alpha_next = 1 / (1 + sigma**2), 1 / (1 + sigma_next**2)
    variance = (1 - alpha_next) / (1 - alpha) * (1 - alpha / alpha_next)
    return float((variance / alpha_next) ** 0.5)


def sample_plms(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    noise: Noise,
    watch: Watch = UNWATCHED,
) -> Tensor:
    """Liu et al. 2022 (arXiv:2202.09778): DDIM steps along a linear multistep noise prediction.

    The first step looks ahead once, so that it is of second order; deterministic, so `noise` is not drawn from.
    """
    levels = sigmas.tolist()
    history: list[Tensor] = []
    for index, (sigma, sigma_next) in enumerate(pairwise(levels)):
        x = watch.begin(index, x, sigma)
        denoised = denoise(x, per_image(sigma, x))
        watch.tell(index, x, denoised)
        epsilon = derivative(x, sigma, denoised)
        if history:
            history = [epsilon, *history[:3]]
            weighted = zip(ADAMS[len(history) - 1], history, strict=True)
            direction = sum((weight * past for weight, past in weighted), start=epsilon * 0)
        else:
            history = [epsilon]
            ahead = x + (sigma_next - sigma) * epsilon
            direction = (epsilon + derivative(ahead, sigma_next, denoise(ahead, per_image(sigma_next, x)))) / 2
        x = x + (sigma_next - sigma) * direction
    return unit_variance(x, levels[-1])

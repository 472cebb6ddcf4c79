"""Euler's method, plain and ancestral."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor

from modules.sampling.denoisers import Denoiser
from modules.sampling.solvers.common import (
    NO_CHURN,
    UNWATCHED,
    Churn,
    Noise,
    Watch,
    ancestral_split,
    derivative,
    per_image,
)


def sample_euler(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    noise: Noise,
    churn: Churn = NO_CHURN,
    watch: Watch = UNWATCHED,
) -> Tensor:
    """Karras et al. 2022 (arXiv:2206.00364), algorithm 2 without its second-order correction."""
    levels = sigmas.tolist()
    for index, (sigma, sigma_next) in enumerate(pairwise(levels)):
        x = watch.begin(index, x, sigma)
        x, sigma = churn.raised(x, sigma, len(levels) - 1, noise)
        denoised = denoise(x, per_image(sigma, x))
        watch.tell(index, x, denoised)
        x = x + derivative(x, sigma, denoised) * (sigma_next - sigma)
    return x


def sample_euler_ancestral(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    noise: Noise,
    eta: float = 1.0,
    watch: Watch = UNWATCHED,
) -> Tensor:
    """Euler steps down to sigma_down, each followed by fresh noise up to the next level."""
    levels = sigmas.tolist()
    for index, (sigma, sigma_next) in enumerate(pairwise(levels)):
        x = watch.begin(index, x, sigma)
        denoised = denoise(x, per_image(sigma, x))
        watch.tell(index, x, denoised)
        sigma_down, sigma_up = ancestral_split(sigma, sigma_next, eta)
        x = x + derivative(x, sigma, denoised) * (sigma_down - sigma)
        if sigma_next > 0:
            x = x + noise(sigma, sigma_next) * sigma_up
    return x

"""Sampling from a latent consistency model (Luo et al. 2023, arXiv:2310.04378)."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor

from modules.sampling.denoisers import Denoiser
from modules.sampling.solvers.common import UNWATCHED, Noise, Watch, per_image


def sample_lcm(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    noise: Noise,
    watch: Watch = UNWATCHED,
) -> Tensor:
    """Multistep consistency sampling (Song et al. 2023, arXiv:2303.01469, algorithm 1): to x0, then noise anew."""
    for index, (sigma, sigma_next) in enumerate(pairwise(sigmas.tolist())):
        x = watch.begin(index, x, sigma)
        denoised = denoise(x, per_image(sigma, x))
        watch.tell(index, x, denoised)
        x = denoised
        if sigma_next > 0:
            x = x + noise(sigma, sigma_next) * sigma_next
    return x

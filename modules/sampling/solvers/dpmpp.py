"""DPM-Solver++ (Lu et al. 2022, arXiv:2211.01095), in its data prediction form."""

from __future__ import annotations

import math
from itertools import pairwise

from torch import Tensor

from modules.sampling.denoisers import Denoiser
from modules.sampling.solvers.common import Noise, OnStep, ignore_step, per_image


def sample_dpmpp_2m(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    noise: Noise,
    on_step: OnStep = ignore_step,
) -> Tensor:
    """The second-order multistep solver, algorithm 2; deterministic, so `noise` is not drawn from.

    lambda = -log(sigma) is the paper's half log signal-to-noise ratio; the first step and the one to sigma = 0 are of
    first order.
    """
    levels = sigmas.tolist()
    previous: Tensor | None = None
    previous_h = 0.0
    for index, (sigma, sigma_next) in enumerate(pairwise(levels)):
        denoised = denoise(x, per_image(sigma, x))
        on_step(index, x, denoised)
        if sigma_next == 0:
            return denoised
        h = math.log(sigma / sigma_next)
        direction = denoised
        if previous is not None:
            r = previous_h / h
            direction = (1 + 1 / (2 * r)) * denoised - (1 / (2 * r)) * previous
        x = (sigma_next / sigma) * x - math.expm1(-h) * direction
        previous, previous_h = denoised, h
    return x

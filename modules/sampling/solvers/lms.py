"""The linear multistep method (Adams-Bashforth) over sigma."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.polynomial import Polynomial
from torch import Tensor

from modules.sampling.denoisers import Denoiser
from modules.sampling.solvers.common import UNWATCHED, Noise, Watch, derivative, per_image

ORDER = 4


def sample_lms(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    noise: Noise,
    watch: Watch = UNWATCHED,
) -> Tensor:
    """Integrate the polynomial through the last four derivatives; deterministic, so `noise` is not drawn from."""
    levels = sigmas.tolist()
    slopes: list[Tensor] = []
    for index, sigma in enumerate(levels[:-1]):
        x = watch.begin(index, x, sigma)
        denoised = denoise(x, per_image(sigma, x))
        watch.tell(index, x, denoised)
        slopes = [derivative(x, sigma, denoised), *slopes[: ORDER - 1]]
        weights = _adams_weights([levels[index - back] for back in range(len(slopes))], sigma, levels[index + 1])
        x = x + sum(weight * slope for weight, slope in zip(weights, slopes, strict=True))
    return x


def _adams_weights(nodes: Sequence[float], start: float, end: float) -> list[float]:
    """Return the integral from `start` to `end` of each Lagrange polynomial over `nodes`."""
    weights = []
    for node in nodes:
        others = [other for other in nodes if other != node]
        scale = np.prod([node - other for other in others])
        integral = (Polynomial.fromroots(others) / scale).integ() if others else Polynomial([0, 1])
        weights.append(float(integral(end) - integral(start)))
    return weights

"""DEIS (Zhang and Chen 2022, arXiv:2204.13902): the exponential integrator over a polynomial in the diffusion time.

In the scale of x / sqrt(alpha) the exponential integrator is Adams-Bashforth over sigma, the last slopes being
interpolated not in sigma but in the time t of the linear variance-preserving process ("tAB-DEIS", equation 15).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from torch import Tensor

from modules.sampling.denoisers import Denoiser
from modules.sampling.solvers.common import UNWATCHED, Noise, Watch, derivative, per_image

ORDER = 3
POINTS = 10_000
"""In how many points a step is summed up; the sum, not the integral, is what others' pictures were made with."""

# The process whose sigma is 0.002 at t = 0.001 and 80 at t = 1 (Karras et al. 2022, arXiv:2206.00364, table 1).
_EARLIEST, _SMALLEST, _LARGEST = 1e-3, 0.002, 80.0
_BETA_RANGE = 2 * (math.log1p(_SMALLEST**2) / _EARLIEST - math.log1p(_LARGEST**2)) / (_EARLIEST - 1)
_BETA_START = math.log1p(_LARGEST**2) - _BETA_RANGE / 2


def sample_deis(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    noise: Noise,
    watch: Watch = UNWATCHED,
) -> Tensor:
    """Order 3, lower in the first steps, 1 in a step to sigma = 0; deterministic, so `noise` is not drawn from."""
    levels = sigmas.tolist()
    slopes: list[Tensor] = []
    for index, sigma in enumerate(levels[:-1]):
        x = watch.begin(index, x, sigma)
        denoised = denoise(x, per_image(sigma, x))
        watch.tell(index, x, denoised)
        slopes = [derivative(x, sigma, denoised), *slopes[: ORDER - 1]]
        if levels[index + 1] == 0 or len(slopes) == 1:
            x = x + (levels[index + 1] - sigma) * slopes[0]
            continue
        nodes = [levels[index - back] for back in range(len(slopes))]
        weights = step_weights(nodes, levels[index + 1])
        x = x + sum(weight * slope for weight, slope in zip(weights, slopes, strict=True))
    return x


def step_weights(nodes: Sequence[float], sigma_next: float) -> list[float]:
    """Return the weight of the slope at each of `nodes`, sigmas with the newest first, in the step to `sigma_next`."""
    times = [_time(node) for node in nodes]
    end = _time(sigma_next)
    places = np.linspace(times[0], end, POINTS)
    change = _sigma_change(places) * (end - times[0]) / POINTS
    return [float((change * _lagrange(times, place, places)).sum()) for place in range(len(times))]


def _time(sigma: float) -> float:
    """Return when the process has reached `sigma`."""
    return (math.sqrt(_BETA_START**2 + 2 * _BETA_RANGE * math.log1p(sigma**2)) - _BETA_START) / _BETA_RANGE


def _sigma_change(time: np.ndarray) -> np.ndarray:
    """Return dsigma/dt, from sigma² = exp(beta_start t + beta_range t² / 2) - 1."""
    grown = np.exp(_BETA_START * time + _BETA_RANGE * time**2 / 2)
    change: np.ndarray = (_BETA_START + _BETA_RANGE * time) * grown / (2 * np.sqrt(grown - 1))
    return change


def _lagrange(nodes: Sequence[float], place: int, points: np.ndarray) -> np.ndarray:
    """Return the polynomial that is 1 at `nodes[place]` and 0 at the others."""
    value = np.ones_like(points)
    for index, node in enumerate(nodes):
        if index != place:
            value = value * (points - node) / (nodes[place] - node)
    return value

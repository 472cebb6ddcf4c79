"""DPM-Solver++ (Lu et al. 2022, arXiv:2211.01095) in its data prediction form, and its SDE variants.

lambda = -log(sigma) is the paper's half log signal-to-noise ratio, h a step in it; every step to sigma = 0 is of first
order. The SDE variants follow the paper's SDE-DPM-Solver++, with eta scaling the noise.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

from modules.sampling.denoisers import Denoiser
from modules.sampling.solvers.common import UNWATCHED, Noise, Watch, ancestral_split, per_image


def _towards(x: Tensor, denoised: Tensor, sigma: float, sigma_next: float) -> Tensor:
    """Return x moved from one noise level to another by the first-order solution for this x0."""
    return (sigma_next / sigma) * x - math.expm1(math.log(sigma_next / sigma)) * denoised


def sample_dpmpp_2m(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    noise: Noise,
    watch: Watch = UNWATCHED,
) -> Tensor:
    """The second-order multistep solver, algorithm 2; deterministic, so `noise` is not drawn from."""
    previous: Tensor | None = None
    previous_h = 0.0
    for index, (sigma, sigma_next) in enumerate(pairwise(sigmas.tolist())):
        x = watch.begin(index, x, sigma)
        denoised = denoise(x, per_image(sigma, x))
        watch.tell(index, x, denoised)
        if sigma_next == 0:
            return denoised
        h = math.log(sigma / sigma_next)
        direction = denoised
        if previous is not None:
            r = previous_h / h
            direction = (1 + 1 / (2 * r)) * denoised - (1 / (2 * r)) * previous
        x = _towards(x, direction, sigma, sigma_next)
        previous, previous_h = denoised, h
    return x


def sample_dpmpp_2s_ancestral(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    noise: Noise,
    eta: float = 1.0,
    noise_strength: float = 1.0,
    watch: Watch = UNWATCHED,
) -> Tensor:
    """The second-order singlestep solver, algorithm 1 with r = 1/2, down to sigma_down, then fresh noise."""
    for index, (sigma, sigma_next) in enumerate(pairwise(sigmas.tolist())):
        x = watch.begin(index, x, sigma)
        denoised = denoise(x, per_image(sigma, x))
        watch.tell(index, x, denoised)
        sigma_down, sigma_up = ancestral_split(sigma, sigma_next, eta)
        if sigma_down == 0:
            x = denoised
        else:
            middle = math.sqrt(sigma * sigma_down)
            halfway = _towards(x, denoised, sigma, middle)
            x = _towards(x, denoise(halfway, per_image(middle, x)), sigma, sigma_down)
        if sigma_next > 0:
            x = x + noise(sigma, sigma_next) * noise_strength * sigma_up
    return x


def sample_dpmpp_sde(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    noise: Noise,
    eta: float = 1.0,
    noise_strength: float = 1.0,
    watch: Watch = UNWATCHED,
) -> Tensor:
    """The singlestep SDE solver: noise is added at the midpoint too, before the second call of the model."""
    for index, (sigma, sigma_next) in enumerate(pairwise(sigmas.tolist())):
        x = watch.begin(index, x, sigma)
        denoised = denoise(x, per_image(sigma, x))
        watch.tell(index, x, denoised)
        if sigma_next == 0:
            x = denoised
            continue
        middle = _middle(sigma, sigma_next)
        sigma_down, sigma_up = ancestral_split(sigma, middle, eta)
        halfway = _towards(x, denoised, sigma, sigma_down) + noise(sigma, middle) * noise_strength * sigma_up
        there = denoise(halfway, per_image(middle, x))
        sigma_down, sigma_up = ancestral_split(sigma, sigma_next, eta)
        x = _towards(x, there, sigma, sigma_down) + noise(sigma, sigma_next) * noise_strength * sigma_up
    return x


def _middle(sigma: float, sigma_next: float) -> float:
    """Return the sigma midway in lambda, rounded at each operation as float32 arithmetic does.

    A Brownian path is so rough that the last bit of its time shows in the picture, and the recorded ones were made so.
    """
    start, end = (-torch.tensor(level).log() for level in (sigma, sigma_next))
    return float((-(start + (end - start) * 0.5)).exp())


def sample_dpmpp_2m_sde(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    noise: Noise,
    eta: float = 1.0,
    noise_strength: float = 1.0,
    watch: Watch = UNWATCHED,
) -> Tensor:
    """The second-order multistep SDE solver, its correction by the midpoint rule."""
    return _two_m_sde(denoise, x, sigmas, _Sde(noise, eta, noise_strength, "midpoint"), watch)


def sample_dpmpp_2m_sde_heun(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    noise: Noise,
    eta: float = 1.0,
    noise_strength: float = 1.0,
    watch: Watch = UNWATCHED,
) -> Tensor:
    """The second-order multistep SDE solver, its correction by Heun's rule."""
    return _two_m_sde(denoise, x, sigmas, _Sde(noise, eta, noise_strength, "heun"), watch)


class _Sde:
    """The noise of an SDE solver's steps, and the rule of its correction."""

    def __init__(self, noise: Noise, eta: float, strength: float, rule: Literal["midpoint", "heun"]) -> None:
        self.noise, self.eta, self.strength, self.rule = noise, eta, strength, rule

    def added(self, sigma: float, sigma_next: float, h: float) -> Tensor | float:
        """Return the noise that a step of length h adds at its end."""
        if not self.eta:
            return 0.0
        deviation = sigma_next * math.sqrt(-math.expm1(-2 * self.eta * h))
        return self.noise(sigma, sigma_next) * deviation * self.strength

    def correction(self, length: float) -> float:
        """Return the weight of the first difference in a step of length (1 + eta) h."""
        if self.rule == "midpoint":
            return -0.5 * math.expm1(-length)
        return 1 + math.expm1(-length) / length


def _two_m_sde(denoise: Denoiser, x: Tensor, sigmas: Tensor, sde: _Sde, watch: Watch) -> Tensor:
    previous: Tensor | None = None
    previous_h = 0.0
    for index, (sigma, sigma_next) in enumerate(pairwise(sigmas.tolist())):
        x = watch.begin(index, x, sigma)
        denoised = denoise(x, per_image(sigma, x))
        watch.tell(index, x, denoised)
        if sigma_next == 0:
            return denoised
        h = math.log(sigma / sigma_next)
        length = h * (1 + sde.eta)
        x = math.exp(-length) * x - math.expm1(-length) * denoised
        if previous is not None:
            x = x + sde.correction(length) * (h / previous_h) * (denoised - previous)
        x = x + sde.added(sigma, sigma_next, h)
        previous, previous_h = denoised, h
    return x


def sample_dpmpp_3m_sde(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    noise: Noise,
    eta: float = 1.0,
    noise_strength: float = 1.0,
    watch: Watch = UNWATCHED,
) -> Tensor:
    """The third-order multistep SDE solver: divided differences of the last three x0, weighted by phi functions."""
    sde = _Sde(noise, eta, noise_strength, "heun")
    before: list[tuple[Tensor, float]] = []
    for index, (sigma, sigma_next) in enumerate(pairwise(sigmas.tolist())):
        x = watch.begin(index, x, sigma)
        denoised = denoise(x, per_image(sigma, x))
        watch.tell(index, x, denoised)
        if sigma_next == 0:
            return denoised
        h = math.log(sigma / sigma_next)
        length = h * (1 + eta)
        x = math.exp(-length) * x - math.expm1(-length) * denoised + _third_order(denoised, before, h, length)
        x = x + sde.added(sigma, sigma_next, h)
        before = [(denoised, h), *before[:1]]
    return x


def _third_order(denoised: Tensor, before: list[tuple[Tensor, float]], h: float, length: float) -> Tensor | float:
    """Return what the last one or two x0, each with the step that followed it, add to a first-order step."""
    if not before:
        return 0.0
    phi_2 = math.expm1(-length) / length + 1
    last, last_h = before[0]
    r0 = last_h / h
    slope = (denoised - last) / r0
    if len(before) == 1:
        return phi_2 * slope
    older, older_h = before[1]
    r1 = older_h / h
    slope_before = (last - older) / r1
    bend = (slope - slope_before) / (r0 + r1)
    return phi_2 * (slope + bend * r0) - (phi_2 / length - 0.5) * bend

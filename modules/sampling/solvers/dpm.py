"""DPM2 of k-diffusion's kind, and the DPM-Solvers of Lu et al. 2022 (arXiv:2206.00927) with fixed and adaptive steps.

In the latter t = -log(sigma), so that x(t) + noise has the exact solution that the paper's exponential integrator has.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise

import torch
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


def sample_dpm_2(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    noise: Noise,
    churn: Churn = NO_CHURN,
    watch: Watch = UNWATCHED,
) -> Tensor:
    """The midpoint method with the midpoint between the logarithms of the sigmas (DPM-Solver-2 in sigma's terms)."""
    levels = sigmas.tolist()
    for index, (sigma, sigma_next) in enumerate(pairwise(levels)):
        x = watch.begin(index, x, sigma)
        x, sigma = churn.raised(x, sigma, len(levels) - 1, noise)
        denoised = denoise(x, per_image(sigma, x))
        watch.tell(index, x, denoised)
        x = _midpoint_step(denoise, x, (sigma, sigma_next), denoised)
    return x


def sample_dpm_2_ancestral(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    noise: Noise,
    eta: float = 1.0,
    noise_strength: float = 1.0,
    watch: Watch = UNWATCHED,
) -> Tensor:
    """DPM2 steps down to sigma_down, each followed by fresh noise up to the next level."""
    for index, (sigma, sigma_next) in enumerate(pairwise(sigmas.tolist())):
        x = watch.begin(index, x, sigma)
        denoised = denoise(x, per_image(sigma, x))
        watch.tell(index, x, denoised)
        sigma_down, sigma_up = ancestral_split(sigma, sigma_next, eta)
        x = _midpoint_step(denoise, x, (sigma, sigma_down), denoised)
        if sigma_down > 0:
            x = x + noise(sigma, sigma_next) * noise_strength * sigma_up
    return x


def _midpoint_step(denoise: Denoiser, x: Tensor, step: tuple[float, float], denoised: Tensor) -> Tensor:
    """Return x after the step from `step[0]` to `step[1]`; one to 0 is an Euler step."""
    sigma, sigma_next = step
    slope = derivative(x, sigma, denoised)
    if sigma_next == 0:
        return x + slope * (sigma_next - sigma)
    middle = math.sqrt(sigma * sigma_next)
    halfway = x + slope * (middle - sigma)
    slope_there = derivative(halfway, middle, denoise(halfway, per_image(middle, x)))
    return x + slope_there * (sigma_next - sigma)


@dataclass(slots=True)
class _Step:
    """One step of DPM-Solver from time t to t_next; the noise predictions at t and t + share * h are kept."""

    denoise: Denoiser
    x: Tensor
    t: float
    t_next: float
    epsilon: Tensor
    kept: dict[float, Tensor] = field(default_factory=dict)

    @property
    def h(self) -> float:
        return self.t_next - self.t

    def first_order(self) -> Tensor:
        """Return x after a step of DPM-Solver-1."""
        return self.x - math.exp(-self.t_next) * math.expm1(self.h) * self.epsilon

    def second_order(self, share: float = 1 / 2) -> Tensor:
        """Return x after a step of DPM-Solver-2; the intermediate time lies at `share` of the step."""
        change = (self._epsilon_at(share) - self.epsilon) / (2 * share)
        return self.first_order() - math.exp(-self.t_next) * math.expm1(self.h) * change

    def third_order(self, share: float = 1 / 3, further: float = 2 / 3) -> Tensor:
        """Return x after a step of DPM-Solver-3."""
        middle = self.t + further * self.h
        span = further * self.h
        change = self._epsilon_at(share) - self.epsilon
        weight = math.exp(-middle) * further / share * (math.expm1(span) / span - 1)
        there = self.x - math.exp(-middle) * math.expm1(span) * self.epsilon - weight * change
        change_there = predicted_noise(self.denoise, there, middle) - self.epsilon
        weight = math.exp(-self.t_next) / further * (math.expm1(self.h) / self.h - 1)
        return self.first_order() - weight * change_there

    def _epsilon_at(self, share: float) -> Tensor:
        if share not in self.kept:
            time = self.t + share * self.h
            there = self.x - math.exp(-time) * math.expm1(share * self.h) * self.epsilon
            self.kept[share] = predicted_noise(self.denoise, there, time)
        return self.kept[share]


def predicted_noise(denoise: Denoiser, x: Tensor, t: float) -> Tensor:
    """Return epsilon at time t = -log(sigma)."""
    sigma = math.exp(-t)
    return (x - denoise(x, per_image(sigma, x))) / sigma


@dataclass(frozen=True, slots=True)
class _Target:
    """Where an ancestral step in time goes: down to `t`, then up by noise of deviation `sigma_up`."""

    t: float
    sigma_up: float


def _target(t: float, t_next: float, t_end: float, eta: float) -> _Target:
    if not eta:
        return _Target(t_next, 0.0)
    sigma_down, _ = ancestral_split(math.exp(-t), math.exp(-t_next), eta)
    down = min(t_end, -math.log(sigma_down)) if sigma_down > 0 else t_end
    return _Target(down, max(0.0, math.exp(-2 * t_next) - math.exp(-2 * down)) ** 0.5)


def sample_dpm_fast(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    noise: Noise,
    eta: float = 0.0,
    noise_strength: float = 1.0,
    watch: Watch = UNWATCHED,
) -> Tensor:
    """DPM-Solver-fast: third-order steps evenly spaced in log(sigma), as many model calls as `sigmas` has steps.

    Only the ends of `sigmas` count: the largest and the smallest positive one.
    """
    calls = len(sigmas) - 1
    if not calls:
        return x
    t_start, t_end = -math.log(float(sigmas[0])), -math.log(float(sigmas[-2]))
    blocks = calls // 3 + 1
    orders = [3] * (blocks - 2) + [2, 1] if calls % 3 == 0 else [3] * (blocks - 1) + [calls % 3]
    times = torch.linspace(t_start, t_end, blocks + 1, dtype=torch.float64).tolist()
    done = 0
    for order, (t, t_next) in zip(orders, pairwise(times), strict=True):
        target = _target(t, t_next, t_end, eta)
        done += order
        x = watch.begin(done - 1, x, math.exp(-t))
        epsilon = predicted_noise(denoise, x, t)
        watch.tell(done - 1, x, x - math.exp(-t) * epsilon)
        step = _Step(denoise, x, t, target.t, epsilon)
        x = (step.first_order, step.second_order, step.third_order)[order - 1]()
        if target.sigma_up:
            x = x + noise(math.exp(-t), math.exp(-t_next)) * noise_strength * target.sigma_up
    return x


@dataclass(slots=True)
class _StepSize:
    """A PI controller of the step size h (Söderlind 2003, doi:10.1145/641876.641877) with limited change."""

    h: float
    order: float
    accept_from: float = 0.81
    errors: list[float] = field(default_factory=list)

    def propose(self, error: float) -> bool:
        """Take the last step's relative error; set the next h, and say whether the step may stand."""
        inverse = 1 / (error + 1e-8)
        factor = 1 + math.atan(inverse ** (1 / self.order) - 1)
        self.h *= factor
        return factor >= self.accept_from


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How exact the adaptive solver is, and its first step in log(sigma)."""

    relative: float = 0.05
    absolute: float = 0.0078
    first_step: float = 0.05


def sample_dpm_adaptive(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    noise: Noise,
    eta: float = 0.0,
    watch: Watch = UNWATCHED,
) -> Tensor:
    """DPM-Solver-12's scheme at orders 2 and 3: steps as long as both agree; how many `sigmas` has does not count."""
    if len(sigmas) < 2:
        return x
    tolerance = Tolerance()
    t, t_end = -math.log(float(sigmas[0])), -math.log(float(sigmas[-2]))
    size = _StepSize(tolerance.first_step, order=1.5 if eta else 3)
    previous, index = x, 0
    while t < t_end - 1e-5:
        t_next = min(t_end, t + size.h)
        target = _target(t, t_next, t_end, eta)
        x = watch.begin(index, x, math.exp(-t))
        epsilon = predicted_noise(denoise, x, t)
        watch.tell(index, x, x - math.exp(-t) * epsilon)
        index += 1
        step = _Step(denoise, x, t, target.t, epsilon)
        low, high = step.second_order(share=1 / 3), step.third_order()
        if size.propose(_relative_error(low, high, previous, tolerance)):
            previous, t, x = low, t_next, high
            if target.sigma_up:
                x = x + noise(math.exp(-step.t), math.exp(-t_next)) * target.sigma_up
    return x


def _relative_error(low: Tensor, high: Tensor, previous: Tensor, tolerance: Tolerance) -> float:
    """Return the root mean square of the difference of both orders, in units of the tolerance."""
    scale = torch.maximum(low.abs(), previous.abs()) * tolerance.relative
    scale = scale.clamp(min=tolerance.absolute)
    return float(torch.linalg.norm((low - high) / scale) / low.numel() ** 0.5)


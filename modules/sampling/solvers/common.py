"""What the solvers share: their types, the derivative, and the split of an ancestral step."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Noise = Callable[[float, float], Tensor]
"""Returns unit noise shaped like x for a step between two sigmas; only Brownian noise looks at them."""

BeforeStep = Callable[[int, Tensor, float], Tensor]
"""Returns the latents that the i-th step begins with, given those that stand at its sigma."""

OnStep = Callable[[int, Tensor, Tensor], None]

ADAMS = ((1.0,), (3 / 2, -1 / 2), (23 / 12, -16 / 12, 5 / 12), (55 / 24, -59 / 24, 37 / 24, -9 / 24))
"""Adams-Bashforth weights of the last one to four slopes of equal steps, newest first."""


def unchanged(index: int, x: Tensor, sigma: float) -> Tensor:
    """Return x: the beginning of a step whose latents nobody changes."""
    return x


def ignore_step(index: int, x: Tensor, denoised: Tensor) -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Who watches a walk.

    `begin(i, x, sigma)` returns the latents that the i-th step begins with; `tell(i, x, denoised)` is called in it,
    with the latents as the model saw them in its first call there.
    """

    begin: BeforeStep = unchanged
    tell: OnStep = ignore_step


UNWATCHED = Watch()


def per_image(sigma: float, x: Tensor) -> Tensor:
    """Return `sigma` once per picture of the batch: (batch,), on the CPU, where timesteps are looked up unawaited."""
    return torch.full((x.shape[0],), sigma, dtype=x.dtype)


def derivative(x: Tensor, sigma: float, denoised: Tensor) -> Tensor:
    """Return dx/dsigma = (x - x0) / sigma (Karras et al. 2022, arXiv:2206.00364, equation 1 with s = 1)."""
    return (x - denoised) / sigma


def ancestral_split(sigma: float, sigma_next: float, eta: float = 1.0) -> tuple[float, float]:
    """Return (sigma_down, sigma_up): step down to the first, then add noise of the second to stand at `sigma_next`.

    eta = 0 adds no noise; eta = 1 is the ancestral sampling of Ho et al. 2020 (arXiv:2006.11239) in sigma's terms.
    """
    if not eta:
        return sigma_next, 0.0
    variance = sigma_next**2 * (sigma**2 - sigma_next**2) / sigma**2
    sigma_up = min(sigma_next, eta * variance**0.5)
    return (sigma_next**2 - sigma_up**2) ** 0.5, sigma_up


@dataclass(frozen=True, slots=True)
class Churn:
    """How much noise is added back before a step, between which sigmas, and its strength.

    S_churn, S_tmin, S_tmax and S_noise of Karras et al. 2022 (arXiv:2206.00364), algorithm 2.
    """

    amount: float = 0.0
    sigma_from: float = 0.0
    sigma_to: float = math.inf
    strength: float = 1.0

    def raised(self, x: Tensor, sigma: float, steps: int, noise: Noise) -> tuple[Tensor, float]:
        """Return x and sigma with the churn of one step of `steps` added.

        With an amount the noise is drawn even where none is added: so does the reference, and later draws depend on it.
        """
        if not self.amount:
            return x, sigma
        fresh = noise(sigma, sigma)
        gamma = self.gamma(sigma, steps)
        if gamma == 0:
            return x, sigma
        higher = sigma * (gamma + 1)
        return x + fresh * self.strength * (higher**2 - sigma**2) ** 0.5, higher

    def gamma(self, sigma: float, steps: int) -> float:
        """Return by which share the noise level is raised at `sigma` in a run of `steps` steps."""
        if not self.sigma_from <= sigma <= self.sigma_to:
            return 0.0
        return min(self.amount / steps, math.sqrt(2) - 1)


NO_CHURN = Churn()

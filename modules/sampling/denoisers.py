"""From what a network predicts to the clean latents, and between noise levels and timesteps.

x = x0 + sigma * noise throughout (the variance-exploding form of Karras et al. 2022, arXiv:2206.00364); a network
trained in the variance-preserving form sees x / sqrt(sigma² + 1).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

TRAINING_STEPS = 1000


class Denoiser(Protocol):
    """Estimates the clean latents x0 from noisy ones."""

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        """Return x0, shaped like `x`: (batch, channels, height, width); `sigma`: (batch,) noise standard deviation."""


class NoiseLevels:
    """The noise levels that a model was trained on: `sigmas[t]` for the timesteps t = 0 … 999, ascending.

    Between integer timesteps log(sigma) is interpolated linearly.
    """

    def __init__(self, alphas_cumprod: Tensor) -> None:
        """Take the cumulated alphas (Ho et al. 2020, arXiv:2006.11239): (timesteps,), falling from near 1 to near 0."""
        self.alphas_cumprod = alphas_cumprod.to(device="cpu", dtype=torch.float32)
        self.sigmas = ((1 - self.alphas_cumprod) / self.alphas_cumprod).sqrt()
        self.log_sigmas = self.sigmas.log()
        self.sigma_min = float(self.sigmas[0])
        self.sigma_max = float(self.sigmas[-1])

    @classmethod
    def scaled_linear(cls, start: float = 0.00085, end: float = 0.012, steps: int = TRAINING_STEPS) -> NoiseLevels:
        """Return Stable Diffusion's own levels: betas whose square roots are linear from `start` to `end`."""
        betas = torch.linspace(start**0.5, end**0.5, steps, dtype=torch.float64) ** 2
        return cls(torch.cumprod(1 - betas, dim=0))

    def sigma_at(self, timestep: Tensor) -> Tensor:
        """Return the sigma of each timestep (fractions allowed, 0 to 999), on the CPU."""
        lower = timestep.floor().clamp(0, len(self.sigmas) - 1).long()
        upper = timestep.ceil().clamp(0, len(self.sigmas) - 1).long()
        share = timestep - lower
        return ((1 - share) * self.log_sigmas[lower] + share * self.log_sigmas[upper]).exp()

    def timestep_at(self, sigma: Tensor) -> Tensor:
        """Return the timestep, with its fraction, at which the model expects the noise level `sigma`."""
        log_sigma = sigma.to(device="cpu", dtype=torch.float32).log()
        upper = torch.searchsorted(self.log_sigmas, log_sigma.contiguous(), right=True).clamp(1, len(self.sigmas) - 1)
        lower = upper - 1
        low, high = self.log_sigmas[lower], self.log_sigmas[upper]
        share = ((log_sigma - low) / (high - low)).clamp(0, 1)
        return lower + share


class EpsilonDenoiser:
    """Wraps a network that predicts the noise: x0 = x - sigma * epsilon.

    `network(scaled_x, timestep)` returns epsilon, shaped like x; `timestep`: (batch,) float32 on x's device.
    """

    def __init__(self, network: Callable[[Tensor, Tensor], Tensor], levels: NoiseLevels) -> None:
        self.network = network
        self.levels = levels

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        """Return x0 for `x` at noise level `sigma`."""
        timestep = self.levels.timestep_at(sigma).to(x.device)
        spread = sigma.to(x.device).view(-1, 1, 1, 1)
        epsilon = self.network(x / (spread**2 + 1).sqrt(), timestep)
        return x - spread * epsilon

"""From what a network predicts to the clean latents, and between noise levels and timesteps.

x = x0 + sigma * noise throughout (the variance-exploding form of Karras et al. 2022, arXiv:2206.00364); a network
trained in the variance-preserving form sees x / sqrt(sigma² + 1). Rectified flows have a form of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

TRAINING_STEPS = 1000
CONSISTENCY_STEPS = 50
"""How many timesteps a latent consistency model is distilled on."""

LAST_ALPHA = 4.8973451890853435e-08
"""What a cumulated alpha of 0 is taken for: with 0 itself the last sigma would be infinite."""

CONSISTENCY_DATA = 0.5
CONSISTENCY_TIME_SCALE = 10.0

Network = Callable[[Tensor, Tensor], Tensor]
"""`network(x, timestep)` returns its prediction, shaped like x; `timestep`: (batch,) float32 on x's device."""


class Denoiser(Protocol):
    """Estimates the clean latents x0 from noisy ones."""

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        """Return x0, shaped like `x`: (batch, channels, height, width); `sigma`: (batch,) noise standard deviation."""


class GuidedCall(Denoiser, Protocol):
    """A denoiser with guidance that keeps the x0 that its last call had without."""

    @property
    def unconditional(self) -> Tensor:
        """The unconditional x0 of the last call, shaped like its x."""


class Levels(Protocol):
    """The noise levels that a model knows, with a timestep for each."""

    sigmas: Tensor
    """The trained levels, ascending."""
    sigma_min: float
    sigma_max: float
    first_timestep: float
    """Where schedules over timesteps end: that of `sigma_min`."""
    last_timestep: float
    """Where schedules over timesteps begin: that of `sigma_max`."""

    def sigma_at(self, timestep: Tensor) -> Tensor:
        """Return the sigma of each timestep, fractions allowed, on the CPU."""

    def timestep_at(self, sigma: Tensor, quantize: bool = False) -> Tensor:
        """Return what the network takes for the noise level `sigma`; rounded to a trained one if `quantize`."""

    def noised(self, latents: Tensor, noise: Tensor, sigma: float) -> Tensor:
        """Return clean latents with noise up to the level `sigma`."""


class NoiseLevels:
    """The noise levels that a model was trained on: `sigmas[t]` for the timesteps t = 0 … 999, ascending.

    Between integer timesteps log(sigma) is interpolated linearly.
    """

    def __init__(self, alphas_cumprod: Tensor) -> None:
        """Take the cumulated alphas (Ho et al. 2020, arXiv:2006.11239): (timesteps,), falling from near 1 to near 0.

        From float16 the sigmas are computed in float16 too, which is what "downcasting" them means elsewhere, as far
        as they fit into it.
        """
        self.alphas_cumprod = alphas_cumprod.to(device="cpu", dtype=torch.float32)
        self.sigmas = _sigmas(self.alphas_cumprod)
        self.log_sigmas = self.sigmas.log()
        if alphas_cumprod.dtype == torch.float16:
            coarse = _sigmas(alphas_cumprod.cpu())
            fits = coarse.isfinite()
            self.sigmas = torch.where(fits, coarse.float(), self.sigmas)
            self.log_sigmas = torch.where(fits, coarse.log().float(), self.log_sigmas)
        self.sigma_min = float(self.sigmas[0])
        self.sigma_max = float(self.sigmas[-1])
        self.first_timestep = 0.0
        self.last_timestep = float(len(self.sigmas) - 1)

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

    def timestep_at(self, sigma: Tensor, quantize: bool = False) -> Tensor:
        """Return the timestep, with its fraction, at which the model expects the noise level `sigma`.

        With `quantize` it is the trained one whose log(sigma) is nearest.
        """
        if quantize:
            return self._nearest(sigma).float()
        log_sigma = sigma.to(device="cpu", dtype=torch.float32).log()
        upper = torch.searchsorted(self.log_sigmas, log_sigma.contiguous(), right=True).clamp(1, len(self.sigmas) - 1)
        lower = upper - 1
        # take() and not [], which costs twice as much for a few numbers.
        low, high = self.log_sigmas.take(lower), self.log_sigmas.take(upper)
        share = ((log_sigma - low) / (high - low)).clamp(0, 1)
        return lower + share

    def noised(self, latents: Tensor, noise: Tensor, sigma: float) -> Tensor:
        """Return latents + sigma * noise."""
        return latents + noise * sigma

    def _nearest(self, sigma: Tensor) -> Tensor:
        """Return the place in the table whose log(sigma) is nearest to each of `sigma`: (n,)."""
        log_sigma = sigma.to(device="cpu", dtype=torch.float32).log()
        return (log_sigma - self.log_sigmas.unsqueeze(1)).abs().argmin(dim=0)


class LcmLevels(NoiseLevels):
    """The levels of a latent consistency model: every 20th, the last one included; sigmas take the nearest one."""

    def __init__(self, levels: NoiseLevels) -> None:
        """Take the levels of the model that was distilled."""
        self.distance = len(levels.alphas_cumprod) // CONSISTENCY_STEPS
        super().__init__(levels.alphas_cumprod[self.distance - 1 :: self.distance])
        self.first_timestep = float(self.distance - 1)
        self.last_timestep = float(len(levels.alphas_cumprod) - 1)

    def sigma_at(self, timestep: Tensor) -> Tensor:
        """Return the sigma of each timestep (fractions allowed, 19 to 999), on the CPU."""
        place = (timestep - self.first_timestep) / self.distance
        return super().sigma_at(place.clamp(0, len(self.sigmas) - 1))

    def timestep_at(self, sigma: Tensor, quantize: bool = True) -> Tensor:
        """Return the distilled timestep whose log(sigma) is nearest; there are none between, whatever `quantize`."""
        return self._nearest(sigma) * float(self.distance) + self.first_timestep


class FlowLevels:
    """The levels of a rectified flow (Liu et al. 2022, arXiv:2209.03003): x = (1 - sigma) x0 + sigma * noise.

    A `shift` over 1 moves the schedules towards noise, for larger pictures (Esser et al. 2024, arXiv:2403.03206,
    equation 23). It acts on the way from time to sigma only: the network takes sigma itself, times 1000.
    """

    def __init__(self, shift: float = 1.0, steps: int = TRAINING_STEPS) -> None:
        self.shift = shift
        self.steps = steps
        self.first_timestep = 1.0
        self.last_timestep = float(steps)
        self.sigmas = self.sigma_at(torch.arange(1, steps + 1, dtype=torch.float32))
        self.sigma_min = float(self.sigmas[0])
        self.sigma_max = float(self.sigmas[-1])

    def sigma_at(self, timestep: Tensor) -> Tensor:
        """Return the shifted sigma of each time (fractions allowed, 1 to 1000), on the CPU."""
        share = timestep / self.steps
        return self.shift * share / (1 + (self.shift - 1) * share)

    def timestep_at(self, sigma: Tensor, quantize: bool = False) -> Tensor:
        """Return sigma * 1000, which is what the network takes; rounded to a whole number if `quantize`."""
        timestep = sigma.to(device="cpu", dtype=torch.float32) * self.steps
        return timestep.round() if quantize else timestep

    def noised(self, latents: Tensor, noise: Tensor, sigma: float) -> Tensor:
        """Return (1 - sigma) * latents + sigma * noise."""
        return latents * (1 - sigma) + noise * sigma


class _NetworkDenoiser:
    """A network and the levels that it was trained on; `quantize` gives it whole timesteps only."""

    def __init__(self, network: Network, levels: Levels, quantize: bool = False) -> None:
        self.network = network
        self.levels = levels
        self.quantize = quantize

    def _timestep(self, x: Tensor, sigma: Tensor) -> Tensor:
        return _sent(self.levels.timestep_at(sigma, self.quantize), x)


class EpsilonDenoiser(_NetworkDenoiser):
    """Wraps a network that predicts the noise: x0 = x - sigma * epsilon."""

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        """Return x0 for `x` at noise level `sigma`."""
        spread = _spread(x, sigma)
        epsilon = self.network(x / (spread**2 + 1).sqrt(), self._timestep(x, sigma))
        return x - spread * epsilon


class VelocityDenoiser(_NetworkDenoiser):
    """Wraps a network that predicts v = alpha * epsilon - sigma' * x0 (Salimans and Ho 2022, arXiv:2202.00512,
    appendix D), where alpha and sigma' are the variance-preserving 1 and sigma, over sqrt(sigma² + 1).
    """

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        """Return x0 for `x` at noise level `sigma`: alpha * (alpha * x) - sigma' * v."""
        spread = _spread(x, sigma)
        scale = (spread**2 + 1).sqrt()
        velocity = self.network(x / scale, self._timestep(x, sigma))
        return x / scale**2 - velocity * spread / scale


class FlowDenoiser(_NetworkDenoiser):
    """Wraps a network that predicts noise - x0, for the levels of a rectified flow: x0 = x - sigma * prediction."""

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        """Return x0 for `x` at noise level `sigma`, 0 to 1."""
        return x - _spread(x, sigma) * self.network(x, self._timestep(x, sigma))


class LcmDenoiser:
    """A latent consistency model (Luo et al. 2023, arXiv:2310.04378, equation 9): c_skip * x + c_out * x0.

    It wraps the denoiser with guidance, which is the same as guiding the wrapped ones: guidance is linear, and the
    weights of its terms add up to 1.
    """

    def __init__(self, denoise: Denoiser, levels: Levels) -> None:
        """Take the denoiser, whose network is asked at `levels`, those of the consistency model."""
        self.denoise = denoise
        self.levels = levels

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        """Return the consistency function of `x` at noise level `sigma`."""
        time = _spread(x, self.levels.timestep_at(sigma)) * CONSISTENCY_TIME_SCALE
        total = time**2 + CONSISTENCY_DATA**2
        return self.denoise(x, sigma) * (time / total.sqrt()) + x * (CONSISTENCY_DATA**2 / total)


def zero_terminal_snr(alphas_cumprod: Tensor) -> Tensor:
    """Return cumulated alphas that end in pure noise (Lin et al. 2023, arXiv:2305.08891, algorithm 1), in float32.

    Their roots are shifted and stretched, so that the first stays and the last is 0, or almost.
    """
    roots = alphas_cumprod.float().sqrt()
    stretched = (roots - roots[-1]) * (roots[0] / (roots[0] - roots[-1]))
    rescaled = stretched**2
    rescaled[-1] = LAST_ALPHA
    return rescaled


def downcasted(alphas_cumprod: Tensor) -> Tensor:
    """Return the cumulated alphas in float16, as models that were trained with such rounding expect them."""
    return alphas_cumprod.half()


def _sigmas(alphas_cumprod: Tensor) -> Tensor:
    return ((1 - alphas_cumprod) / alphas_cumprod).sqrt()


def _spread(x: Tensor, sigma: Tensor) -> Tensor:
    """Return one value per picture, (batch,), so that it applies to x: (batch, 1, 1, 1), on its device."""
    return _sent(sigma, x).view(-1, *[1] * (x.ndim - 1))


def _sent(values: Tensor, x: Tensor) -> Tensor:
    """Return `values` on x's device, without waiting for a CUDA device that still works on the step before."""
    return values.to(x.device, non_blocking=x.device.type == "cuda")

"""k_diffusion.external over Easel's noise levels: a network that predicts noise or v, as one that gives x0."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from modules.a1111._k_utils import append_dims, append_zero
from modules.sampling.denoisers import NoiseLevels


class DiscreteSchedule(nn.Module):
    """Noise levels with a timestep for each; `sigmas` ascend."""

    sigmas: Tensor
    log_sigmas: Tensor

    def __init__(self, sigmas: Tensor, quantize: bool) -> None:
        super().__init__()
        self.register_buffer("sigmas", sigmas)
        self.register_buffer("log_sigmas", sigmas.log())
        self.quantize = quantize
        self._levels = NoiseLevels(1 / (sigmas.double() ** 2 + 1))

    @property
    def sigma_min(self) -> Tensor:
        """The smallest level."""
        return self.sigmas[0]

    @property
    def sigma_max(self) -> Tensor:
        """The largest level."""
        return self.sigmas[-1]

    def get_sigmas(self, n: int | None = None) -> Tensor:
        """Return `n` falling levels, evenly spaced in timesteps, and 0; all of them without a number."""
        if n is None:
            return append_zero(self.sigmas.flip(0))
        steps = torch.linspace(len(self.sigmas) - 1, 0, n, device=self.sigmas.device)
        return append_zero(self.t_to_sigma(steps))

    def sigma_to_t(self, sigma: Tensor, quantize: bool | None = None) -> Tensor:
        """Return the timestep of each level."""
        wanted = self.quantize if quantize is None else quantize
        found = self._levels.timestep_at(sigma.flatten().float(), quantize=bool(wanted)).view(sigma.shape)
        return found.to(sigma.device)

    def t_to_sigma(self, t: Tensor) -> Tensor:
        """Return the level of each timestep, fractions allowed."""
        found: Tensor = self._levels.sigma_at(t.float().cpu()).to(self.sigmas.device)
        return found


class DiscreteEpsDDPMDenoiser(DiscreteSchedule):
    """Wraps a network that predicts the noise."""

    def __init__(self, model: Any, alphas_cumprod: Tensor, quantize: bool) -> None:
        super().__init__(((1 - alphas_cumprod) / alphas_cumprod) ** 0.5, quantize)
        self.inner_model = model
        self.sigma_data = 1.0

    def get_scalings(self, sigma: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the network's answer and its input are multiplied by."""
        return -sigma, 1 / (sigma**2 + self.sigma_data**2) ** 0.5

    def get_eps(self, *args: Any, **kwargs: Any) -> Tensor:
        """Return the network's answer: the noise."""
        answer: Tensor = self.inner_model(*args, **kwargs)
        return answer

    def forward(self, input: Tensor, sigma: Tensor, **kwargs: Any) -> Tensor:  # noqa: A002 (k-diffusion's name)
        """Return x0 for noisy latents; `sigma`: (batch,)."""
        out, scale = (append_dims(each, input.ndim) for each in self.get_scalings(sigma))
        return input + self.get_eps(input * scale, self.sigma_to_t(sigma), **kwargs) * out


class CompVisDenoiser(DiscreteEpsDDPMDenoiser):
    """The same over a model with `apply_model` and `alphas_cumprod`."""

    def __init__(self, model: Any, quantize: bool = False, device: Any = "cpu") -> None:
        super().__init__(model, alphas_of(model).to(device), quantize=quantize)

    def get_eps(self, *args: Any, **kwargs: Any) -> Tensor:
        """Return what the model answers."""
        answer: Tensor = self.inner_model.apply_model(*args, **kwargs)
        return answer


class DiscreteVDDPMDenoiser(DiscreteSchedule):
    """Wraps a network that predicts v."""

    def __init__(self, model: Any, alphas_cumprod: Tensor, quantize: bool) -> None:
        super().__init__(((1 - alphas_cumprod) / alphas_cumprod) ** 0.5, quantize)
        self.inner_model = model
        self.sigma_data = 1.0

    def get_scalings(self, sigma: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return what the latents, the network's answer and its input are multiplied by."""
        variance = sigma**2 + self.sigma_data**2
        return self.sigma_data**2 / variance, -sigma * self.sigma_data / variance**0.5, 1 / variance**0.5

    def get_v(self, *args: Any, **kwargs: Any) -> Tensor:
        """Return the network's answer: v."""
        answer: Tensor = self.inner_model(*args, **kwargs)
        return answer

    def forward(self, input: Tensor, sigma: Tensor, **kwargs: Any) -> Tensor:  # noqa: A002 (k-diffusion's name)
        """Return x0 for noisy latents; `sigma`: (batch,)."""
        skip, out, scale = (append_dims(each, input.ndim) for each in self.get_scalings(sigma))
        return self.get_v(input * scale, self.sigma_to_t(sigma), **kwargs) * out + input * skip


class CompVisVDenoiser(DiscreteVDDPMDenoiser):
    """The same over a model with `apply_model` and `alphas_cumprod`."""

    def __init__(self, model: Any, quantize: bool = False, device: Any = "cpu") -> None:
        super().__init__(model, alphas_of(model).to(device), quantize=quantize)

    def get_v(self, x: Tensor, t: Tensor, cond: Any = None, **kwargs: Any) -> Tensor:
        """Return what the model answers."""
        answer: Tensor = self.inner_model.apply_model(x, t, cond, **kwargs)
        return answer


def alphas_of(model: Any) -> Tensor:
    """Return a model's cumulated alphas; Stable Diffusion's own where it does not tell."""
    found = getattr(model, "alphas_cumprod", None)
    return found.float() if isinstance(found, Tensor) else NoiseLevels.scaled_linear().alphas_cumprod

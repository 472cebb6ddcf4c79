"""k_diffusion.sampling: Easel's solvers and schedules under k-diffusion's names and signatures."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from modules.a1111._k_utils import append_dims, append_zero
from modules.sampling import registry
from modules.sampling.noise import BrownianNoise
from modules.sampling.solvers.common import Churn, Watch, ancestral_split

__all__ = ["append_dims", "append_zero"]

RHO = 7.0
"""The bend of Karras's schedule."""


def get_sigmas_karras(
    n: int, sigma_min: float, sigma_max: float, rho: float = RHO, device: Any = "cpu"
) -> Tensor:
    """Return n falling levels and 0 (Karras et al. 2022, arXiv:2206.00364, equation 5)."""
    ramp = torch.linspace(0, 1, n)
    low, high = float(sigma_min) ** (1 / rho), float(sigma_max) ** (1 / rho)
    return append_zero((high + ramp * (low - high)) ** rho).to(device)


def get_sigmas_exponential(n: int, sigma_min: float, sigma_max: float, device: Any = "cpu") -> Tensor:
    """Return n levels that fall evenly in their logarithm, and 0."""
    return append_zero(torch.linspace(math.log(sigma_max), math.log(sigma_min), n).exp()).to(device)


def get_sigmas_polyexponential(
    n: int, sigma_min: float, sigma_max: float, rho: float = 1.0, device: Any = "cpu"
) -> Tensor:
    """Return n levels whose logarithm falls as a power, and 0."""
    ramp = torch.linspace(1, 0, n) ** rho
    return append_zero((ramp * (math.log(sigma_max) - math.log(sigma_min)) + math.log(sigma_min)).exp()).to(device)


def get_sigmas_vp(
    n: int, beta_d: float = 19.9, beta_min: float = 0.1, eps_s: float = 1e-3, device: Any = "cpu"
) -> Tensor:
    """Return n levels of a variance-preserving process in continuous time (arXiv:2011.13456), and 0."""
    t = torch.linspace(1, eps_s, n)
    return append_zero((torch.exp(beta_d * t**2 / 2 + beta_min * t) - 1) ** 0.5).to(device)


def to_d(x: Tensor, sigma: Any, denoised: Tensor) -> Tensor:
    """Return dx/dsigma."""
    return (x - denoised) / append_dims(torch.as_tensor(sigma, device=x.device), x.ndim)


def get_ancestral_step(sigma_from: Any, sigma_to: Any, eta: float = 1.0) -> tuple[Any, Any]:
    """Return the level to step down to, and that of the noise which is added then."""
    down, up = ancestral_split(float(sigma_from), float(sigma_to), float(eta))
    if isinstance(sigma_from, Tensor):
        return torch.as_tensor(down).to(sigma_from), torch.as_tensor(up).to(sigma_from)
    return down, up


def default_noise_sampler(x: Tensor) -> Callable[[Any, Any], Tensor]:
    """Return what draws unit noise like `x`."""
    return lambda sigma, sigma_next: torch.randn_like(x)


class BrownianTreeNoiseSampler:
    """Noise of a Brownian path, so that a step's noise does not depend on how it is divided."""

    def __init__(
        self, x: Tensor, sigma_min: Any, sigma_max: Any, seed: Any = None,
        transform: Callable[[Any], Any] = lambda x: x, cpu: bool = False,
    ) -> None:  # fmt: skip
        seeds = [seed] * x.shape[0] if seed is None or isinstance(seed, int) else list(seed)
        drawn = [int(torch.randint(0, 2**63 - 1, [])) if each is None else int(each) for each in seeds]
        self._transform = transform
        self._noise = BrownianNoise(drawn, x, float(transform(sigma_min)), float(transform(sigma_max)), "CPU")

    def __call__(self, sigma: Any, sigma_next: Any) -> Tensor:
        """Return the unit noise between two levels."""
        return self._noise(float(self._transform(sigma)), float(self._transform(sigma_next)))


def label_of(function: Any) -> str:
    """Return the label of Easel's sampler that a function here stands for; "" for a function of somebody else."""
    return str(getattr(function, "easel_sampler", ""))


class _Asked:
    """A model as Easel's solvers call it. `unconditional`: its answer without guidance; its last where it has none."""

    def __init__(self, model: Any, given: dict[str, Any]) -> None:
        self._model = model
        self._given = given
        self.unconditional: Any = None

    def __call__(self, latents: Tensor, sigma: Tensor) -> Tensor:
        """Return x0."""
        answer: Tensor = self._model(latents, sigma.to(latents.device), **self._given)
        self.unconditional = getattr(self._model, "unconditional", answer)
        return answer


def _solver(label: str, name: str) -> Callable[..., Tensor]:
    """Return a sampler of Easel's with k-diffusion's arguments."""
    sampler = registry.find_sampler(label)
    if sampler is None:
        raise KeyError(label)

    def sample(  # noqa: PLR0913 (k-diffusion's signature)
        model: Any, x: Tensor, sigmas: Tensor, extra_args: dict[str, Any] | None = None,
        callback: Callable[[dict[str, Any]], None] | None = None, disable: Any = None, *, eta: float = 1.0,
        s_churn: float = 0.0, s_tmin: float = 0.0, s_tmax: float = math.inf, s_noise: float = 1.0,
        noise_sampler: Callable[[Any, Any], Tensor] | None = None, **_: object,
    ) -> Tensor:  # fmt: skip
        """Walk from noisy latents to clean ones."""
        given, draw = extra_args or {}, noise_sampler or default_noise_sampler(x)

        def tell(index: int, latents: Tensor, denoised: Tensor) -> None:
            if callback is not None:
                level = sigmas[min(index, len(sigmas) - 1)]
                callback({"x": latents, "i": index, "sigma": level, "sigma_hat": level, "denoised": denoised})

        every = {"eta": eta, "noise_strength": s_noise, "churn": Churn(s_churn, s_tmin, s_tmax, s_noise)}
        options = {key: value for key, value in every.items() if key in sampler.options}
        walked: Tensor = sampler.function()(
            _Asked(model, given), x, sigmas, noise=lambda sigma, lower: draw(torch.tensor(sigma), torch.tensor(lower)),
            watch=Watch(tell=tell), **options,
        )  # fmt: skip
        return walked

    sample.__name__ = sample.__qualname__ = name
    vars(sample)["easel_sampler"] = label
    return sample


LABELS: Mapping[str, str] = MappingProxyType({
    "sample_euler": "Euler",
    "sample_euler_ancestral": "Euler a",
    "sample_heun": "Heun",
    "sample_dpm_2": "DPM2",
    "sample_dpm_2_ancestral": "DPM2 a",
    "sample_lms": "LMS",
    "sample_dpm_fast": "DPM fast",
    "sample_dpm_adaptive": "DPM adaptive",
    "sample_dpmpp_2s_ancestral": "DPM++ 2S a",
    "sample_dpmpp_sde": "DPM++ SDE",
    "sample_dpmpp_2m": "DPM++ 2M",
    "sample_dpmpp_2m_sde": "DPM++ 2M SDE",
    "sample_dpmpp_2m_sde_heun": "DPM++ 2M SDE Heun",
    "sample_dpmpp_3m_sde": "DPM++ 3M SDE",
    "restart_sampler": "Restart",
    "sample_lcm": "LCM",
    "sample_heunpp2": "HeunPP2",
    "sample_ipndm": "IPNDM",
    "sample_ipndm_v": "IPNDM_V",
    "sample_deis": "DEIS",
    "ddim": "DDIM",
    "ddim_cfgpp": "DDIM CFG++",
    "plms": "PLMS",
    "unipc": "UniPC",
})
"""Easel's samplers by the names of functions of A1111's and k-diffusion's."""
SOLVERS: Mapping[str, Callable[..., Tensor]] = MappingProxyType({
    name: _solver(label, name) for name, label in LABELS.items()
})


def __getattr__(name: str) -> Any:
    """Return a sampler's function; one that an extension has put into the module goes before."""
    if name in SOLVERS:
        return SOLVERS[name]
    raise AttributeError(f"module k_diffusion.sampling has no attribute {name!r}")

"""Noise schedules as Stable Diffusion's first code has them (Ho et al. 2020, arXiv:2006.11239)."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

_LARGEST_BETA = 0.999


def make_beta_schedule(
    schedule: str, n_timestep: int, linear_start: float = 1e-4, linear_end: float = 2e-2, cosine_s: float = 8e-3
) -> Any:
    """Return the betas of a schedule: "linear" (in their square roots), "cosine", "sqrt_linear" or "sqrt"."""
    if schedule == "linear":
        betas = torch.linspace(linear_start**0.5, linear_end**0.5, n_timestep, dtype=torch.float64) ** 2
    elif schedule == "cosine":
        shares = (torch.arange(n_timestep + 1, dtype=torch.float64) / n_timestep + cosine_s) / (1 + cosine_s)
        alphas = torch.cos(shares * math.pi / 2) ** 2
        betas = (1 - alphas[1:] / alphas[:-1]).clamp(0, _LARGEST_BETA)
    elif schedule in ("sqrt_linear", "sqrt"):
        betas = torch.linspace(linear_start, linear_end, n_timestep, dtype=torch.float64)
        betas = betas**0.5 if schedule == "sqrt" else betas
    else:
        raise ValueError(f"The schedule {schedule} is unknown: linear, cosine, sqrt_linear, sqrt.")
    return betas.numpy()


def betas_for_alpha_bar(num_diffusion_timesteps: int, alpha_bar: Any, max_beta: float = _LARGEST_BETA) -> Any:
    """Return the betas whose cumulated alphas are those of a function of the time from 0 to 1."""
    times = [step / num_diffusion_timesteps for step in range(num_diffusion_timesteps + 1)]
    levels = [alpha_bar(time) for time in times]
    return np.array([min(1 - later / now, max_beta) for now, later in pairwise(levels)])


def make_ddim_timesteps(
    ddim_discr_method: str, num_ddim_timesteps: int, num_ddpm_timesteps: int, verbose: bool = True
) -> Any:
    """Return the timesteps that DDIM takes: "uniform", or "quad" with more of them at low noise."""
    if ddim_discr_method == "uniform":
        return np.arange(0, num_ddpm_timesteps, num_ddpm_timesteps // num_ddim_timesteps) + 1
    if ddim_discr_method == "quad":
        return (np.linspace(0, (num_ddpm_timesteps * 0.8) ** 0.5, num_ddim_timesteps) ** 2).astype(int) + 1
    raise NotImplementedError(f"There is no ddim discretization method called {ddim_discr_method!r}")


def extract_into_tensor(a: Tensor, t: Tensor, x_shape: Any) -> Tensor:
    """Return a table's values at timesteps, in a shape that spreads over pictures: (batch, 1, 1, 1)."""
    return a.gather(-1, t).reshape(t.shape[0], *(1,) * (len(x_shape) - 1))


def noise_like(shape: Any, device: Any, repeat: bool = False) -> Tensor:
    """Return fresh noise, the same for every picture if `repeat`."""
    if not repeat:
        return torch.randn(shape, device=device)
    return torch.randn((1, *shape[1:]), device=device).repeat(shape[0], *(1,) * (len(shape) - 1))


def noise_tables(alphas_cumprod: Tensor) -> dict[str, Tensor]:
    """Return what the first code keeps of a schedule, by name; each is (timesteps,), float32."""
    alphas = alphas_cumprod.double()
    before = torch.cat([torch.ones(1, dtype=torch.float64), alphas[:-1]])
    tables = {
        "betas": 1 - alphas / before,
        "alphas_cumprod": alphas,
        "alphas_cumprod_prev": before,
        "sqrt_alphas_cumprod": alphas.sqrt(),
        "sqrt_one_minus_alphas_cumprod": (1 - alphas).sqrt(),
        "log_one_minus_alphas_cumprod": (1 - alphas).log(),
        "sqrt_recip_alphas_cumprod": (1 / alphas).sqrt(),
        "sqrt_recipm1_alphas_cumprod": (1 / alphas - 1).sqrt(),
    }
    return {name: table.float() for name, table in tables.items()}

"""Sigma schedules: how the noise levels are spread over the steps. Each returns (steps + 1,), falling, ending at 0."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from modules.sampling.denoisers import NoiseLevels


@dataclass(frozen=True, slots=True)
class ScheduleRange:
    """The options of a schedule: noise levels to span and rho; None takes the model's or the formula's own."""

    sigma_min: float | None = None
    sigma_max: float | None = None
    rho: float | None = None


def uniform(levels: NoiseLevels, steps: int, span: ScheduleRange = ScheduleRange()) -> Tensor:
    """Return the sigmas of timesteps spaced evenly from the last to the first; `span` does not act on it."""
    timesteps = torch.linspace(len(levels.sigmas) - 1, 0, steps)
    return _ending_at_zero(levels.sigma_at(timesteps))


def karras(levels: NoiseLevels, steps: int, span: ScheduleRange = ScheduleRange()) -> Tensor:
    """Return the schedule of Karras et al. 2022 (arXiv:2206.00364), equation 5, with rho = 7 unless told."""
    rho = span.rho or 7.0
    highest = (span.sigma_max or levels.sigma_max) ** (1 / rho)
    lowest = (span.sigma_min or levels.sigma_min) ** (1 / rho)
    ramp = torch.linspace(0, 1, steps)
    return _ending_at_zero((highest + ramp * (lowest - highest)) ** rho)


def _ending_at_zero(sigmas: Tensor) -> Tensor:
    return torch.cat([sigmas, sigmas.new_zeros(1)])

"""Sigma schedules: how the noise levels are spread over the steps.

Each takes the model's noise levels, the number of steps and the options, and returns the sigmas on the CPU: one per
step, falling, and a 0 at the end (but see `kl_optimal`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import betaincinv
from torch import Tensor

from modules.sampling.denoisers import Levels

KARRAS_RHO = 7.0
POLYEXPONENTIAL_RHO = 1.0
OLD_KARRAS_SPAN = (0.1, 10.0)
"""The span of every schedule that heeds one in A1111's early versions, whatever the model's own."""

# Optimised for Stable Diffusion 1 and XL by Sabour et al. 2024 (Align Your Steps, arXiv:2404.14507), in 11 and 32
# steps, and by Chen et al. 2024 (GITS, arXiv:2405.11326).
_ALIGNED = (14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029)
_ALIGNED_XL = (14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113, 0.029)
_GITS = (14.615, 4.617, 2.507, 1.236, 0.702, 0.402, 0.240, 0.156, 0.104, 0.094, 0.029)
_GITS_XL = (14.615, 4.734, 2.567, 1.529, 0.987, 0.652, 0.418, 0.268, 0.179, 0.127, 0.029)
_ALIGNED_32 = (
    14.615, 11.23951352, 8.64363081, 6.64729424, 5.57250862, 4.71648546, 3.99196065, 3.5195609,
    3.13490466, 2.79228788, 2.48773628, 2.21663865, 1.97508351, 1.7793172, 1.61475335, 1.46540953,
    1.314849, 1.16642497, 1.03475547, 0.91573744, 0.80748169, 0.71202361, 0.621739, 0.53065202,
    0.4529096, 0.37491455, 0.27461819, 0.2011529, 0.14105873, 0.06682881, 0.03166121, 0.015,
)  # fmt: skip
_ALIGNED_32_XL = (
    14.615, 11.1491618, 8.50522127, 6.48827151, 5.43707402, 4.60398619, 3.89854704, 3.27407457,
    2.74396527, 2.29968659, 1.95448514, 1.67108715, 1.42878152, 1.23181009, 1.06789649, 0.92579443,
    0.80290886, 0.69660121, 0.60436903, 0.52852552, 0.46773344, 0.41393379, 0.36258186, 0.31008517,
    0.26518925, 0.22326461, 0.17653877, 0.13959192, 0.10587381, 0.05519369, 0.02877334, 0.015,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ScheduleOptions:
    """What a user may set of a schedule; None takes the model's or the formula's own.

    The span acts on Karras, Exponential, Polyexponential, SGM Uniform, Normal, KL Optimal and Beta; `rho` on Karras and
    Polyexponential; 0 counts as None. `alpha` and `beta` shape the Beta schedule; `xl` chooses the tables that were
    optimised for Stable Diffusion XL. `old_karras`: the span is 0.1 to 10 where it is not set. `skip_type` spreads
    UniPC's steps evenly in time ("time_uniform"), in its root ("time_quadratic") or in log(sigma) ("logSNR").
    """

    sigma_min: float | None = None
    sigma_max: float | None = None
    rho: float | None = None
    alpha: float = 0.6
    beta: float = 0.6
    xl: bool = False
    old_karras: bool = False
    skip_type: str = "time_uniform"

    def span(self, levels: Levels) -> tuple[float, float]:
        """Return the smallest and the largest sigma."""
        smallest, largest = OLD_KARRAS_SPAN if self.old_karras else (levels.sigma_min, levels.sigma_max)
        return self.sigma_min or smallest, self.sigma_max or largest


DEFAULTS = ScheduleOptions()


def uniform(levels: Levels, steps: int, options: ScheduleOptions = DEFAULTS) -> Tensor:
    """Return the sigmas of timesteps spaced evenly from the last to the first; the span does not act on it."""
    return _ending_at_zero(levels.sigma_at(torch.linspace(levels.last_timestep, levels.first_timestep, steps)))


def karras(levels: Levels, steps: int, options: ScheduleOptions = DEFAULTS) -> Tensor:
    """Return the schedule of Karras et al. 2022 (arXiv:2206.00364), equation 5, with rho = 7 unless told."""
    return karras_between(*options.span(levels), steps, options.rho or KARRAS_RHO)


def karras_between(sigma_min: float, sigma_max: float, steps: int, rho: float = KARRAS_RHO) -> Tensor:
    """Return Karras' schedule between two sigmas."""
    highest, lowest = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
    return _ending_at_zero((highest + torch.linspace(0, 1, steps) * (lowest - highest)) ** rho)


def exponential(levels: Levels, steps: int, options: ScheduleOptions = DEFAULTS) -> Tensor:
    """Return sigmas whose logarithms are spaced evenly."""
    smallest, largest = options.span(levels)
    return _ending_at_zero(torch.linspace(math.log(largest), math.log(smallest), steps).exp())


def polyexponential(levels: Levels, steps: int, options: ScheduleOptions = DEFAULTS) -> Tensor:
    """Return sigmas whose logarithms follow a polynomial of degree rho."""
    smallest, largest = options.span(levels)
    ramp = torch.linspace(1, 0, steps) ** (options.rho or POLYEXPONENTIAL_RHO)
    return _ending_at_zero((ramp * (math.log(largest) - math.log(smallest)) + math.log(smallest)).exp())


def sgm_uniform(levels: Levels, steps: int, options: ScheduleOptions = DEFAULTS) -> Tensor:
    """Return the sigmas of evenly spaced timesteps that stop one step short of the first."""
    return _ending_at_zero(levels.sigma_at(_timesteps(levels, steps + 1, options)[:-1]))


def normal(levels: Levels, steps: int, options: ScheduleOptions = DEFAULTS) -> Tensor:
    """Return the sigmas of timesteps spaced evenly over the span."""
    return _ending_at_zero(levels.sigma_at(_timesteps(levels, steps, options)))


def kl_optimal(levels: Levels, steps: int, options: ScheduleOptions = DEFAULTS) -> Tensor:
    """Return the schedule of Sabour et al. 2024 (arXiv:2404.14507), theorem 3.1: arctan(sigma) is spaced evenly.

    As in A1111 it ends at the smallest sigma instead of 0.
    """
    smallest, largest = options.span(levels)
    share = torch.arange(steps + 1) / steps
    return (share * math.atan(smallest) + (1 - share) * math.atan(largest)).tan()


def simple(levels: Levels, steps: int, options: ScheduleOptions = DEFAULTS) -> Tensor:
    """Return the model's own sigmas picked at even distances from the top."""
    distance = len(levels.sigmas) / steps
    return _ending_at_zero(levels.sigmas[[-1 - int(step * distance) for step in range(steps)]])


def ddim(levels: Levels, steps: int, options: ScheduleOptions = DEFAULTS) -> Tensor:
    """Return the model's own sigmas at whole distances from the second one up, as DDIM picks its timesteps."""
    distance = max(len(levels.sigmas) // steps, 1)
    return _ending_at_zero(levels.sigmas[1::distance].flip(0))


def beta(levels: Levels, steps: int, options: ScheduleOptions = DEFAULTS) -> Tensor:
    """Return sigmas at the quantiles of a Beta distribution (Lee et al. 2024, arXiv:2407.12173), as A1111 has it."""
    smallest, largest = options.span(levels)
    quantiles = betaincinv(options.alpha, options.beta, 1 - np.linspace(0, 1, steps))
    return _ending_at_zero(torch.from_numpy(smallest + quantiles * (largest - smallest)).float())


def turbo(levels: Levels, steps: int, options: ScheduleOptions = DEFAULTS) -> Tensor:
    """Return the model's own sigmas at the timesteps that SDXL Turbo was distilled for: even, ending at the last."""
    count = len(levels.sigmas)
    timesteps = (torch.arange(1, steps + 1) * (count / steps) - 1).round().long().clamp(0, count - 1)
    return _ending_at_zero(levels.sigmas[timesteps.flip(0)])


def align_your_steps(levels: Levels, steps: int, options: ScheduleOptions = DEFAULTS) -> Tensor:
    """Return the optimised sigmas of 11 steps, interpolated for other numbers."""
    return _from_table(_ALIGNED_XL if options.xl else _ALIGNED, steps)


def align_your_steps_gits(levels: Levels, steps: int, options: ScheduleOptions = DEFAULTS) -> Tensor:
    """Return the optimised sigmas of GITS, interpolated for other numbers than 11."""
    return _from_table(_GITS_XL if options.xl else _GITS, steps)


def align_your_steps_32(levels: Levels, steps: int, options: ScheduleOptions = DEFAULTS) -> Tensor:
    """Return the optimised sigmas of 32 steps, interpolated for other numbers."""
    return _from_table(_ALIGNED_32_XL if options.xl else _ALIGNED_32, steps)


def whole_range(levels: Levels, steps: int, options: ScheduleOptions = DEFAULTS) -> Tensor:
    """Return `uniform`, but never without both ends: for solvers that take nothing else of a schedule."""
    return uniform(levels, max(steps, 2), options)


def ddim_timesteps(levels: Levels, steps: int, options: ScheduleOptions = DEFAULTS) -> Tensor:
    """Return the sigmas of the timesteps of DDIM and PLMS; the last is that of timestep 1, and there is no 0.

    The distances are whole, so there may be one step less or some more than asked for; at least there is one.
    """
    return levels.sigmas[rising_timesteps(levels, steps)].flip(0)


def unipc_timesteps(levels: Levels, steps: int, options: ScheduleOptions = DEFAULTS) -> Tensor:
    """Return the sigmas of UniPC's times: as many steps as DDIM has timesteps, and no 0 at the end."""
    return unipc_between(levels, len(levels.sigmas) - 1, len(rising_timesteps(levels, steps)), options.skip_type)


def unipc_between(levels: Levels, start: int, steps: int, skip_type: str) -> Tensor:
    """Return the sigmas of `steps` steps from the `start`-th trained level down to the first.

    Between the trained levels log(alpha) is interpolated linearly.
    """
    count = len(levels.sigmas)
    trained = levels.sigmas.double().numpy()
    if skip_type == "logSNR":
        logarithms = np.linspace(math.log(trained[start]), math.log(trained[0]), steps + 1)
        return torch.from_numpy(np.exp(logarithms)).float()
    # Times count from 1, so that their roots are defined.
    first, last = (1.0, start + 1.0) if skip_type == "time_uniform" else (1.0, (start + 1.0) ** 0.5)
    times = np.linspace(last, first, steps + 1) ** (1 if skip_type == "time_uniform" else 2)
    growth = np.interp(times - 1, np.arange(count), np.log1p(trained**2))
    return torch.from_numpy(np.sqrt(np.expm1(growth))).float()


def rising_timesteps(levels: Levels, steps: int) -> list[int]:
    """Return the places of DDIM's timesteps among the levels: every n-th from 1 on, as many as fit, at least two."""
    last = len(levels.sigmas) - 1
    rising = [min(timestep + 1, last) for timestep in range(0, last + 1, max(1, (last + 1) // steps))]
    if rising[-2:] == [last, last]:
        rising.pop()
    return rising if len(rising) > 1 else [1, last]


def _from_table(table: Sequence[float], steps: int) -> Tensor:
    """Return `steps` sigmas, the logarithms of the table's interpolated linearly."""
    places = np.linspace(0, len(table) - 1, steps)
    logarithms = np.interp(places, np.arange(len(table)), np.log(table))
    return _ending_at_zero(torch.from_numpy(np.exp(logarithms)).float())


def _timesteps(levels: Levels, count: int, options: ScheduleOptions) -> Tensor:
    """Return `count` timesteps spaced evenly from that of the largest sigma to that of the smallest."""
    smallest, largest = options.span(levels)
    start, end = levels.timestep_at(torch.tensor([largest, smallest])).tolist()
    return torch.linspace(start, end, count)


def _ending_at_zero(sigmas: Tensor) -> Tensor:
    return torch.cat([sigmas, sigmas.new_zeros(1)])

"""What one pass over latents needs: which noise levels it walks and what it starts with.

A first pass begins with noise alone. A second one (img2img, the hires pass) has a strength, 0 to 1: it adds noise to
latents and walks the end of a schedule only. The rules are A1111's, to the step.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from modules.sampling.denoisers import LcmLevels, Levels, NoiseLevels
from modules.sampling.registry import Sampler, Schedule
from modules.sampling.schedules import ScheduleOptions, rising_timesteps, unipc_between

STRONGEST = 0.999
WEAKEST = 0.001
"""Between these a strength decides how long the whole schedule is of which a pass walks so many steps."""


@dataclass(frozen=True, slots=True)
class PassOptions:
    """What a user may set of a pass.

    `drop_penultimate`: leave out the smallest positive sigma with every sampler. `unit_first`: the first noise has the
    variance sigma² + 1 instead of sigma², as in Stability AI's own programs ("SGM noise multiplier").
    """

    schedule: ScheduleOptions = field(default_factory=ScheduleOptions)
    drop_penultimate: bool = False
    unit_first: bool = False


@dataclass(frozen=True, slots=True)
class PassPlan:
    """A pass worked out.

    `sigmas`: what the solver gets; a single one where there is nothing to do. `span`: the smallest positive and the
    largest of the whole schedule, between which Brownian paths run. `total_steps`: how many steps A1111 takes the pass
    to have, which shares of it refer to. `noised_to`: the sigma of the noise that the pass starts with, in the scale
    of `levels`; `scale`: what the start is multiplied by after that.
    """

    sigmas: Tensor
    span: tuple[float, float]
    total_steps: int
    levels: Levels
    noised_to: float
    scale: float = 1.0

    @property
    def steps(self) -> int:
        """How many steps the solver takes; 0 leaves latents as they are, or noised where A1111 does only that."""
        return len(self.sigmas) - 1

    def begin(self, noise: Tensor, latents: Tensor | None = None) -> Tensor:
        """Return the latents that the solver starts with, from unit noise: (batch, channels, rows, columns) both."""
        clean = torch.zeros_like(noise) if latents is None else latents
        return self.levels.noised(clean, noise, self.noised_to) * self.scale


@dataclass(frozen=True, slots=True)
class _Length:
    """How many steps the whole schedule has, and A1111's t_enc: one less than are walked of it."""

    whole: int
    encoded: int


def plan_pass(
    sampler: Sampler,
    schedule: Schedule,
    levels: Levels,
    steps: int,
    options: PassOptions = PassOptions(),
    strength: float | None = None,
    exact_steps: bool = False,
) -> PassPlan:
    """Plan a pass of 1 or more `steps`; with a `strength` (0 to 1) it is a second one, over latents.

    `exact_steps`: the second pass walks as many steps as asked for, of a longer schedule, instead of its share. At a
    strength of 0 that would be none of endlessly many, and the latents stay as they are; a share of 0 still takes the
    last step, but for the samplers that walk timesteps.
    """
    if sampler.consistency and isinstance(levels, NoiseLevels) and not isinstance(levels, LcmLevels):
        levels = LcmLevels(levels)
    planner = _Planner(sampler, schedule, levels, options)
    if strength is None:
        return planner.first(steps)
    if strength <= 0 and (exact_steps or sampler.unit_start):
        return planner.nothing()
    share = min(strength, STRONGEST)
    length = _Length(int(steps / max(share, WEAKEST)), steps - 1) if exact_steps else _Length(steps, int(share * steps))
    return planner.timesteps(length) if sampler.unit_start else planner.tail(length)


@dataclass(frozen=True, slots=True)
class _Planner:
    """The choices that a plan is made from, apart from its length."""

    sampler: Sampler
    schedule: Schedule
    levels: Levels
    options: PassOptions

    def first(self, steps: int) -> PassPlan:
        """Plan a pass that begins with noise alone."""
        sigmas = self._own(steps)
        # The samplers that walk the model's whole range still begin where the schedule that was chosen does.
        top = float((sigmas if self.sampler.unit_start else self._chosen(steps))[0])
        unit = self.sampler.unit_start or self.options.unit_first
        return PassPlan(sigmas, _span(sigmas), steps, self.levels, (1 + top**2) ** 0.5 if unit else top)

    def nothing(self) -> PassPlan:
        """Plan a pass that leaves the latents as they are."""
        return PassPlan(torch.zeros(1), (self.levels.sigma_min, self.levels.sigma_max), 0, self.levels, 0.0)

    def tail(self, length: _Length) -> PassPlan:
        """Plan the end of the schedule that was chosen."""
        whole = self._chosen(length.whole)
        # Counted from the front, as in A1111; a schedule may have more steps than asked for, or as many as it can.
        start = min(length.whole - length.encoded - 1, max(len(whole) - length.encoded - 2, 0))
        sigmas = self._without_repeats(whole[start:])
        return PassPlan(sigmas, _span(whole), length.encoded + 1, self.levels, float(sigmas[0]))

    def timesteps(self, length: _Length) -> PassPlan:
        """Plan the first of DDIM's timesteps, noised to the one after them, as A1111 does; UniPC has as many steps."""
        rising = rising_timesteps(self.levels, length.whole + self._extra)
        walked = rising[: max(length.encoded, 1)]
        if "unipc" in self.sampler.options:
            sigmas = unipc_between(self.levels, walked[-1], len(walked), self.options.schedule.skip_type)
        else:
            sigmas = self.levels.sigmas[walked].flip(0)
        noised_to = float(self.levels.sigmas[rising[min(length.encoded, len(rising) - 1)]])
        # Into the scale of unit variance at the level that was noised to, and out of it at the first that is walked.
        scale = ((1 + float(sigmas[0]) ** 2) / (1 + noised_to**2)) ** 0.5
        return PassPlan(sigmas, _span(sigmas), length.encoded + 1, self.levels, noised_to, scale)

    @property
    def _extra(self) -> int:
        """How many steps more the schedule has than are asked for."""
        return int(self.sampler.drops_penultimate or self.options.drop_penultimate)

    def _own(self, steps: int) -> Tensor:
        """Return the sigmas of a first pass: of the sampler's own schedule where it has one."""
        if self.sampler.own_schedule is None:
            return self._without_repeats(self._chosen(steps))
        extra = self._extra if self.sampler.unit_start else 0
        formula = self.sampler.schedule_function(self.schedule)
        sigmas: Tensor = formula(self.levels, steps + extra, self.options.schedule)
        return sigmas

    def _chosen(self, steps: int) -> Tensor:
        """Return the sigmas of the schedule that was chosen."""
        sigmas: Tensor = self.schedule.function()(self.levels, steps + self._extra, self.options.schedule)
        return torch.cat([sigmas[:-2], sigmas[-1:]]) if self._extra else sigmas

    def _without_repeats(self, sigmas: Tensor) -> Tensor:
        """Return the sigmas, each once: more steps than a model has levels repeat some.

        Most solvers would divide by the length of such a step; a consistency model makes use of it.
        """
        return sigmas if self.sampler.consistency else torch.unique_consecutive(sigmas)


def _span(sigmas: Tensor) -> tuple[float, float]:
    return float(sigmas[sigmas > 0].min()), float(sigmas.max())

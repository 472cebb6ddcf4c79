"""What one run will do, worked out from its request: batches, passes, prompts and networks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from modules.core.parameters import SAME_SAMPLER, SAME_SCHEDULER
from modules.core.request import GenerationRequest
from modules.engine.denoise import Guidance
from modules.engine.text import TextRules
from modules.imaging.infotext import SAMPLER_OPTIONS
from modules.prompts.grammar import uses_emphasis, without_comments
from modules.prompts.schedule import Timeline, prompt_schedule
from modules.prompts.tags import Tag, read_tags
from modules.sampling import registry
from modules.sampling.passes import PassOptions
from modules.sampling.schedules import ScheduleOptions
from modules.sampling.solvers.common import Churn
from modules.sampling.solvers.unipc import UniPcOptions

LATENT_PIXELS = 8
"""Pixels to a latent, a side."""
_RHO_SCHEDULES = ("Karras", "Polyexponential")
_BETA_SCHEDULE = "Beta"


@dataclass(slots=True)
class BatchPlan:
    """One batch: the index of its first picture, and of each picture the seed and the variation seed."""

    first_image: int
    seeds: list[int]
    subseeds: list[int]

    def indexes(self) -> range:
        """Return the indexes of the batch's pictures."""
        return range(self.first_image, self.first_image + len(self.seeds))


@dataclass(slots=True)
class PassPrompts:
    """The prompts of one pass: as the infotext has them, without comments; and what of them is encoded."""

    prompt: str
    negative_prompt: str
    encoded: str
    tags: tuple[Tag, ...]


@dataclass(slots=True)
class SamplingPass:
    """One walk from noise to clean latents.

    `width` and `height` in pixels. `strength`: how much of what is there may change; None: begin from noise alone.
    `exact_steps`: make as many steps as asked for, whatever the strength.
    """

    sampler: registry.Sampler
    schedule: registry.Schedule
    automatic: bool
    steps: int
    width: int
    height: int
    prompts: PassPrompts
    timeline: Timeline
    strength: float | None = None
    exact_steps: bool = False

    @property
    def schedule_label(self) -> str:
        """The schedule as infotexts have it: "Automatic" where sampler and request leave it to the model."""
        return self.sampler.default_schedule or registry.AUTOMATIC if self.automatic else self.schedule.label

    @property
    def calls_a_step(self) -> int:
        """How many calls of the model A1111 reckons with in every step: two with samplers of second order."""
        return 2 if self.sampler.second_order else 1


@dataclass(slots=True)
class Plan:
    """What one run will do; alive for this run only."""

    request: GenerationRequest
    batches: list[BatchPlan]
    first: SamplingPass
    second: SamplingPass | None = None
    acted: set[str] = field(default_factory=set)
    """Parameters that turned out to have an effect."""

    @property
    def passes(self) -> tuple[SamplingPass, ...]:
        """The passes that are sampled: not the first where a finished picture takes its place."""
        if self.second is None:
            return (self.first,)
        return (self.second,) if self.request.firstpass_image else (self.first, self.second)

    def text_rules(self) -> TextRules:
        """Return how the prompts are read."""
        request = self.request
        return TextRules(request.clip_skip, request.emphasis, request.comma_backtrack)

    def pass_options(self, xl: bool = False) -> PassOptions:
        """Return what the request says of schedules; `xl`: the model is of the kind that some tables are made for."""
        request = self.request
        schedule = ScheduleOptions(
            sigma_min=request.sigma_min or None,
            sigma_max=request.sigma_max or None,
            rho=request.rho or None,
            alpha=request.beta_alpha,
            beta=request.beta_beta,
            old_karras=request.old_karras_sigmas,
            skip_type=request.unipc_skip_type,
            xl=xl,
        )
        return PassOptions(schedule, request.discard_penultimate, request.sgm_noise_multiplier)

    def eta(self, sampler: registry.Sampler) -> float:
        """Return the share of fresh noise for a sampler: DDIM and its like have an option of their own."""
        return self.request.eta if sampler.eta_default else self.request.eta_ddim

    def solver_options(self, sampler: registry.Sampler) -> dict[str, object]:
        """Return the keyword arguments that the solver takes beyond noise."""
        request = self.request
        every: Mapping[str, object] = {
            "eta": self.eta(sampler),
            "noise_strength": request.s_noise,
            "churn": Churn(request.s_churn, request.s_tmin, request.s_tmax or math.inf, request.s_noise),
            "unipc": UniPcOptions(
                request.unipc_variant, request.unipc_skip_type, request.unipc_order, request.unipc_lower_order_final
            ),
        }
        return {name: value for name, value in every.items() if name in sampler.options}

    def guidance(self, which: SamplingPass, calls: int) -> Guidance:
        """Return how the prompts of a pass are joined; `calls`: how many calls of the model A1111 reckons with."""
        request, sampler = self.request, which.sampler
        return Guidance(
            scale=request.cfg_scale * sampler.guidance_factor,
            calls=calls,
            rescale=request.cfg_rescale,
            skip_early=request.skip_early_cfg,
            ngms=request.ngms,
            ngms_all=request.ngms_all,
            pad=request.pad_conds,
            pad_v0=request.pad_conds_v0,
            steps_by_timestep=sampler.unit_start,
            quantize=request.quantize and not sampler.unit_start,
            needs_unconditional=sampler.needs_unconditional,
        )

    def idle(self) -> frozenset[str]:
        """Return the parameters that had no effect on the pictures, and are left out of infotexts."""
        passes = self.passes
        heeded: set[str] = set()
        for one in passes:
            heeded |= self._heeded(one)
        idle = set(SAMPLER_OPTIONS) - heeded
        idle |= {"ngms", "ngms_all", "skip_early_cfg", "pad_conds", "pad_conds_v0", "image_cfg_scale"} - self.acted
        texts = [text for one in passes for text in (one.prompts.prompt, one.prompts.negative_prompt)]
        if not any(uses_emphasis(text) for text in texts):
            idle.add("emphasis")
        if not any(_editing_differs(one.prompts.encoded, one.timeline) for one in passes):
            idle.add("old_prompt_editing")
        if self.second is not None:
            idle |= self._idle_in_hires(self.second)
        return frozenset(idle)

    def spoken(self) -> frozenset[str]:
        """Return the parameters that infotexts name even at their default."""
        beta = any(one.schedule.label == _BETA_SCHEDULE and not one.sampler.own_schedule for one in self.passes)
        return frozenset({"beta_alpha", "beta_beta"} if beta else set()) | (self.acted & {"image_cfg_scale"})

    def _heeded(self, which: SamplingPass) -> set[str]:
        sampler, schedule = which.sampler, which.schedule
        heeded: set[str] = set()
        if "eta" in sampler.options:
            heeded.add("eta" if sampler.eta_default else "eta_ddim")
        if "churn" in sampler.options:
            heeded |= {"s_churn", "s_tmin", "s_tmax", "s_noise"}
        if "noise_strength" in sampler.options:
            heeded.add("s_noise")
        if "unipc" in sampler.options:
            heeded |= {"unipc_variant", "unipc_skip_type", "unipc_order", "unipc_lower_order_final"}
        if sampler.ensd and self.eta(sampler):
            heeded.add("ensd")
        if not sampler.unit_start:
            heeded.add("sgm_noise_multiplier")
            heeded |= set() if sampler.drops_penultimate else {"discard_penultimate"}
        if not sampler.own_schedule and not (which.automatic and sampler.default_schedule is None):
            heeded |= {"sigma_min", "sigma_max"}
            heeded |= {"rho"} if schedule.label in _RHO_SCHEDULES else set()
            heeded |= {"beta_alpha", "beta_beta"} if schedule.label == _BETA_SCHEDULE else set()
        return heeded

    def _idle_in_hires(self, second: SamplingPass) -> set[str]:
        idle = set()
        if second.sampler.label == self.first.sampler.label:
            idle.add("hr_sampler")
        for name, text, own in (
            ("hr_prompt", self.request.hr_prompt, self.request.prompt),
            ("hr_negative_prompt", self.request.hr_negative_prompt, self.request.negative_prompt),
        ):
            if text == own:
                idle.add(name)
        return idle


def make_plan(request: GenerationRequest) -> Plan:
    """Return the plan of `request`, whose names must be known and whose seed must be fixed. Raises KeyError."""
    size = request.batch_size
    batches = [
        BatchPlan(
            number * size,
            [request.image_seed(number * size + place) for place in range(size)],
            [request.image_subseed(number * size + place) for place in range(size)],
        )
        for number in range(request.batch_count)
    ]
    sampler, schedule, automatic = _resolved(request.sampler, request.scheduler)
    first = SamplingPass(
        sampler,
        schedule,
        automatic,
        request.steps,
        request.width,
        request.height,
        _prompts(request, request.prompt, request.negative_prompt),
        Timeline(request.steps * (2 if sampler.second_order else 1), old_rule=request.old_prompt_editing),
        strength=request.denoising_strength if request.init_image else None,
        exact_steps=request.fix_steps,
    )
    two_passes = request.enable_hr and not request.init_image
    return Plan(request, batches, first, _second_pass(request, first) if two_passes else None)


def _second_pass(request: GenerationRequest, first: SamplingPass) -> SamplingPass:
    sampler, schedule, automatic = _resolved(
        request.sampler if request.hr_sampler == SAME_SAMPLER else request.hr_sampler,
        request.scheduler if request.hr_scheduler == SAME_SCHEDULER else request.hr_scheduler,
    )
    steps = request.hr_second_pass_steps or request.steps
    calls = steps * (2 if sampler.second_order else 1)
    width, height = request.hires_size()
    return SamplingPass(
        sampler,
        schedule,
        automatic,
        steps,
        width,
        height,
        _prompts(request, request.hr_prompt or request.prompt, request.hr_negative_prompt or request.negative_prompt),
        Timeline(calls, first.timeline.steps, request.old_prompt_editing),
        strength=request.denoising_strength,
        exact_steps=True,
    )


def _prompts(request: GenerationRequest, prompt: str, negative_prompt: str) -> PassPrompts:
    """Return the prompts of a pass; A1111 reads network tags in the prompt alone, and so do we."""
    if request.comments:
        prompt, negative_prompt = without_comments(prompt), without_comments(negative_prompt)
    encoded, tags = read_tags(prompt)
    return PassPrompts(prompt, negative_prompt, encoded, tags)


def _resolved(sampler_name: str, schedule_name: str) -> tuple[registry.Sampler, registry.Schedule, bool]:
    """Return what the names mean, and whether the schedule was left to the sampler. Raises KeyError."""
    sampler, schedule = registry.resolve(sampler_name, schedule_name)
    legacy = registry.find_sampler(sampler_name) is None
    chosen = registry.split_legacy_name(sampler_name) if legacy and _is_automatic(schedule_name) else None
    return sampler, schedule, _is_automatic(chosen[1] if chosen else schedule_name)


def _is_automatic(schedule_name: str) -> bool:
    return schedule_name.casefold() == registry.AUTOMATIC.casefold()


def _editing_differs(text: str, timeline: Timeline) -> bool:
    """Say whether the old rule of prompt editing gives this text other stages."""
    rules = (Timeline(timeline.steps, timeline.first_pass, old) for old in (False, True))
    new, old = (prompt_schedule(text, rule) for rule in rules)
    return new != old

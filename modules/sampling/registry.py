"""Which samplers and schedules exist, under A1111's names. Torch-free: a page lists them before torch is loaded.

A new sampler is one function in `solvers/` and one `Sampler` line here; a new schedule is one function in
`schedules.py` and one `Schedule` line. `solver` and `formula` name the function, which is imported when first used.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

AUTOMATIC = "Automatic"
MODEL_SCHEDULE = "Uniform"


@dataclass(frozen=True, slots=True)
class Schedule:
    """A sequence of sigmas under its label on the page."""

    label: str
    formula: str
    aliases: tuple[str, ...] = ()

    def function(self) -> Callable[..., Any]:
        """Import and return the formula."""
        return _imported("modules.sampling", self.formula)


@dataclass(frozen=True, slots=True)
class Sampler:
    """A solver under its label on the page.

    `default_schedule` is what "Automatic" means for it, None for the model's own, which is Uniform. `options` are the
    names of the keyword arguments beyond `noise` that it takes. `second_order`: a step calls the model twice.
    `brownian`: its noise is that of a Brownian path. `drops_penultimate`: it runs on a schedule of one step more,
    without the smallest positive sigma. `own_schedule` names the formula of a sampler that heeds no schedule type.
    `unit_start`: it begins with noise of variance 1 in the variance-preserving scale, and walks timesteps.
    `ensd`: infotexts name the eta noise seed delta. `guidance_factor`: what the CFG scale is multiplied by.
    `needs_unconditional`: it reads the unconditional x0 of every call. `consistency`: it is made for a network that
    was distilled to answer with x0 at once. `eta_default`: the share of ancestral noise unless told.
    """

    label: str
    solver: str
    aliases: tuple[str, ...] = ()
    default_schedule: str | None = None
    options: frozenset[str] = frozenset()
    second_order: bool = False
    brownian: bool = False
    drops_penultimate: bool = False
    own_schedule: str | None = None
    unit_start: bool = False
    ensd: bool = False
    guidance_factor: float = 1.0
    needs_unconditional: bool = False
    consistency: bool = False
    eta_default: float = 1.0

    def function(self) -> Callable[..., Any]:
        """Import and return the solver."""
        return _imported("modules.sampling.solvers", self.solver)

    def schedule_function(self, chosen: Schedule) -> Callable[..., Any]:
        """Import and return the formula of the sampler's own schedule, or of the one that was chosen."""
        own = self.own_schedule
        return _imported("modules.sampling", f"schedules:{own}") if own is not None else chosen.function()


Entry = TypeVar("Entry", Sampler, Schedule)

_NOISE = frozenset({"eta", "noise_strength"})
_ETA = frozenset({"eta"})
_CHURN = frozenset({"churn"})
CFG_PP_FACTOR = 1 / 12.5
"""CFG++ takes a scale from 0 to 1, where the page has one from 0 to 12.5."""

SAMPLERS: tuple[Sampler, ...] = (
    Sampler("DPM++ 2M", "dpmpp:sample_dpmpp_2m", ("k_dpmpp_2m",), "Karras"),
    Sampler(
        "DPM++ SDE", "dpmpp:sample_dpmpp_sde", ("k_dpmpp_sde",), "Karras", _NOISE, second_order=True, brownian=True
    ),
    Sampler("DPM++ 2M SDE", "dpmpp:sample_dpmpp_2m_sde", ("k_dpmpp_2m_sde",), "Exponential", _NOISE, brownian=True),
    Sampler(
        "DPM++ 2M SDE Heun", "dpmpp:sample_dpmpp_2m_sde_heun", ("k_dpmpp_2m_sde_heun",), "Exponential", _NOISE,
        brownian=True,
    ),
    Sampler(
        "DPM++ 2S a", "dpmpp:sample_dpmpp_2s_ancestral", ("k_dpmpp_2s_a",), "Karras", _NOISE,
        second_order=True, ensd=True,
    ),
    Sampler(
        "DPM++ 3M SDE", "dpmpp:sample_dpmpp_3m_sde", ("k_dpmpp_3m_sde",), "Exponential", _NOISE,
        brownian=True, drops_penultimate=True,
    ),
    Sampler("Euler a", "euler:sample_euler_ancestral", ("k_euler_a", "k_euler_ancestral"), options=_ETA, ensd=True),
    Sampler("Euler", "euler:sample_euler", ("k_euler",), options=_CHURN),
    Sampler("LMS", "lms:sample_lms", ("k_lms",)),
    Sampler("Heun", "heun:sample_heun", ("k_heun",), options=_CHURN, second_order=True),
    Sampler(
        "DPM2", "dpm:sample_dpm_2", ("k_dpm_2",), "Karras", _CHURN, second_order=True, drops_penultimate=True
    ),
    Sampler(
        "DPM2 a", "dpm:sample_dpm_2_ancestral", ("k_dpm_2_a",), "Karras", _NOISE,
        second_order=True, drops_penultimate=True, ensd=True,
    ),
    Sampler(
        "DPM fast", "dpm:sample_dpm_fast", ("k_dpm_fast",), options=_NOISE, own_schedule="whole_range", ensd=True
    ),
    Sampler(
        "DPM adaptive", "dpm:sample_dpm_adaptive", ("k_dpm_ad",), options=_ETA, own_schedule="whole_range", ensd=True
    ),
    Sampler("Restart", "heun:sample_restart", ("restart",), "Karras", second_order=True),
    Sampler(
        "DDIM", "ddim:sample_ddim", ("ddim",), options=_ETA,
        own_schedule="ddim_timesteps", unit_start=True, eta_default=0.0,
    ),
    Sampler(
        "DDIM CFG++", "ddim:sample_ddim_cfg_pp", ("ddim_cfgpp",), options=_ETA,
        own_schedule="ddim_timesteps", unit_start=True, eta_default=0.0,
        guidance_factor=CFG_PP_FACTOR, needs_unconditional=True,
    ),
    Sampler("PLMS", "ddim:sample_plms", ("plms",), own_schedule="ddim_timesteps", unit_start=True),
    Sampler(
        "UniPC", "unipc:sample_unipc", ("unipc",), options=frozenset({"unipc"}),
        own_schedule="unipc_timesteps", unit_start=True,
    ),
    Sampler("LCM", "lcm:sample_lcm", ("k_lcm",), consistency=True),
    Sampler("HeunPP2", "heun:sample_heunpp2", ("heunpp2",)),
    Sampler("IPNDM", "ipndm:sample_ipndm", ("ipndm",)),
    Sampler("IPNDM_V", "ipndm:sample_ipndm_v", ("ipndm_v",)),
    Sampler("DEIS", "deis:sample_deis", ("deis",)),
)  # fmt: skip

SCHEDULES: tuple[Schedule, ...] = (
    Schedule("Uniform", "schedules:uniform"),
    Schedule("Karras", "schedules:karras"),
    Schedule("Exponential", "schedules:exponential"),
    Schedule("Polyexponential", "schedules:polyexponential"),
    Schedule("SGM Uniform", "schedules:sgm_uniform", ("SGMUniform", "sgm_uniform")),
    Schedule("KL Optimal", "schedules:kl_optimal", ("kl_optimal",)),
    Schedule("Align Your Steps", "schedules:align_your_steps", ("align_your_steps",)),
    Schedule("Simple", "schedules:simple"),
    Schedule("Normal", "schedules:normal"),
    Schedule("DDIM", "schedules:ddim"),
    Schedule("Beta", "schedules:beta"),
    Schedule("Turbo", "schedules:turbo"),
    Schedule("Align Your Steps GITS", "schedules:align_your_steps_gits", ("align_your_steps_GITS",)),
    Schedule("Align Your Steps 11", "schedules:align_your_steps", ("align_your_steps_11",)),
    Schedule("Align Your Steps 32", "schedules:align_your_steps_32", ("align_your_steps_32",)),
)


def sampler_labels() -> list[str]:
    """Return the samplers' labels in the order of the page."""
    return [sampler.label for sampler in SAMPLERS]


def schedule_labels() -> list[str]:
    """Return the schedules' labels in the order of the page, "Automatic" first."""
    return [AUTOMATIC, *(schedule.label for schedule in SCHEDULES)]


def find_sampler(name: str) -> Sampler | None:
    """Return the sampler of that label or alias, whatever its case."""
    return _find(SAMPLERS, name)


def find_schedule(name: str) -> Schedule | None:
    """Return the schedule of that label or alias, whatever its case; None for "Automatic" too."""
    return _find(SCHEDULES, name)


def split_legacy_name(name: str) -> tuple[str, str] | None:
    """Split a sampler name of A1111 1.8 and before, such as "DPM++ 2M Karras", into sampler and schedule labels.

    Returns None when `name` is no such name. The sampler's own default schedule becomes "Automatic".
    """
    for schedule in SCHEDULES:
        for ending in (schedule.label, *schedule.aliases):
            if not name.casefold().endswith(" " + ending.casefold()):
                continue
            sampler = find_sampler(name[: -len(ending) - 1])
            if sampler is not None:
                own = sampler.default_schedule == schedule.label
                return sampler.label, AUTOMATIC if own else schedule.label
    return None


def resolve(sampler_name: str, schedule_name: str = AUTOMATIC) -> tuple[Sampler, Schedule]:
    """Return the sampler and the schedule that the names mean. Raises KeyError with the unknown name."""
    sampler = find_sampler(sampler_name)
    if sampler is None:
        legacy = split_legacy_name(sampler_name)
        if legacy is None:
            raise KeyError(sampler_name)
        return resolve(legacy[0], legacy[1] if schedule_name == AUTOMATIC else schedule_name)
    automatic = schedule_name.casefold() == AUTOMATIC.casefold()
    schedule = find_schedule((sampler.default_schedule or MODEL_SCHEDULE) if automatic else schedule_name)
    if schedule is None:
        raise KeyError(schedule_name)
    return sampler, schedule


def _find(entries: Sequence[Entry], name: str) -> Entry | None:
    wanted = name.casefold()
    for entry in entries:
        if wanted == entry.label.casefold() or wanted in (alias.casefold() for alias in entry.aliases):
            return entry
    return None


def _imported(package: str, reference: str) -> Callable[..., Any]:
    module, _, function = reference.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(f"{package}.{module}"), function)
    return found

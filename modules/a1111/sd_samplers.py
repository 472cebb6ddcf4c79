"""A1111's modules.sd_samplers: Easel's samplers as lists of A1111's SamplerData."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from modules.a1111 import sd_schedulers
from modules.a1111._placeholders import NotInEasel
from modules.a1111.sd_samplers_common import SamplerData
from modules.sampling import registry


def _no_constructor(*_: object) -> Any:
    raise NotInEasel("Samplers of Easel are run by its engine; an extension cannot make one by itself.")


def _data(sampler: registry.Sampler) -> SamplerData:
    options: dict[str, Any] = {"scheduler": sampler.default_schedule.lower()} if sampler.default_schedule else {}
    if sampler.second_order:
        options["second_order"] = True
    if sampler.brownian:
        options["brownian_noise"] = True
    if sampler.ensd:
        options["uses_ensd"] = True
    if sampler.drops_penultimate:
        options["discard_next_to_last_sigma"] = True
    return SamplerData(sampler.label, _no_constructor, list(sampler.aliases), options)


ALL = tuple(_data(sampler) for sampler in registry.SAMPLERS)
all_samplers = ALL
ALL_SAMPLERS_MAP = MappingProxyType({sampler.name: sampler for sampler in ALL})
all_samplers_map = ALL_SAMPLERS_MAP
samplers = ALL
samplers_for_img2img = ALL
SAMPLERS_HIDDEN = MappingProxyType({})
samplers_hidden = SAMPLERS_HIDDEN
SAMPLERS_MAP = MappingProxyType({
    name.lower(): sampler.name for sampler in ALL for name in (sampler.name, *sampler.aliases)
})
samplers_map = SAMPLERS_MAP


def find_sampler_config(name: str | None) -> SamplerData:
    """Return a sampler by its name; the first for an unknown one."""
    label = samplers_map.get((name or "").lower())
    return all_samplers_map.get(label or "", ALL[0])


def create_sampler(name: str, model: Any) -> Any:
    """Raise NotInEasel: samplers are run by the engine."""
    return find_sampler_config(name).constructor(model)


def set_samplers() -> None:
    """Do nothing: all samplers are always shown."""


def visible_samplers() -> list[SamplerData]:
    """Return the samplers that are shown."""
    return list(ALL)


def visible_sampler_names() -> list[str]:
    """Return the names of the samplers that are shown."""
    return [sampler.name for sampler in ALL]


def get_sampler_and_scheduler(
    sampler_name: str | None, scheduler_name: str | None, *, convert_automatic: bool = True
) -> tuple[str, str]:
    """Return labels for a sampler's name, which may hold a schedule's as before version 1.9, and a schedule's."""
    name = sampler_name or ALL[0].name
    chosen = sd_schedulers.schedulers_map.get(scheduler_name or "", sd_schedulers.schedulers[0])
    if registry.find_sampler(name) is None:
        legacy = registry.split_legacy_name(name)
        if legacy is not None:
            name = legacy[0]
            chosen = sd_schedulers.schedulers_map.get(legacy[1], chosen)
    sampler = find_sampler_config(name)
    if convert_automatic and sampler.options.get("scheduler") == chosen.name:
        chosen = sd_schedulers.schedulers[0]
    return sampler.name, chosen.label


def fix_p_invalid_sampler_and_scheduler(p: Any) -> None:
    """Give a processing object names of a sampler and a schedule that there are."""
    p.sampler_name, p.scheduler = get_sampler_and_scheduler(p.sampler_name, p.scheduler)


def get_sampler_from_infotext(d: dict[str, Any]) -> str:
    """Return the sampler that an infotext names."""
    return get_sampler_and_scheduler(d.get("Sampler"), d.get("Schedule type"))[0]


def get_scheduler_from_infotext(d: dict[str, Any]) -> str:
    """Return the schedule that an infotext names."""
    return get_sampler_and_scheduler(d.get("Sampler"), d.get("Schedule type"))[1]


def get_hr_sampler_and_scheduler(d: dict[str, Any]) -> tuple[str, str]:
    """Return the second pass's sampler and schedule of an infotext, or that they are the first's."""
    given = d.get("Hires sampler", "Use same sampler")
    sampler = d.get("Sampler") if given == "Use same sampler" else given
    schedule = d.get("Hires schedule type", "Use same scheduler")
    chosen = d.get("Schedule type") if schedule == "Use same scheduler" else schedule
    names = get_sampler_and_scheduler(sampler, chosen)
    same = given == "Use same sampler", schedule == "Use same scheduler"
    return given if same[0] else names[0], schedule if same[1] else names[1]


def get_hr_sampler_from_infotext(d: dict[str, Any]) -> str:
    """Return the second pass's sampler of an infotext."""
    return get_hr_sampler_and_scheduler(d)[0]


def get_hr_scheduler_from_infotext(d: dict[str, Any]) -> str:
    """Return the second pass's schedule of an infotext."""
    return get_hr_sampler_and_scheduler(d)[1]

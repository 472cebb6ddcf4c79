"""A1111's modules.sd_samplers: Easel's samplers as lists of A1111's SamplerData."""

from __future__ import annotations

from typing import Any

from modules.a1111 import sd_samplers_kdiffusion, sd_samplers_lcm, sd_samplers_timesteps, sd_schedulers
from modules.a1111._host import HOST
from modules.a1111._k_sampling import label_of
from modules.a1111._owners import owner_of
from modules.a1111.sd_samplers_common import SamplerData
from modules.sampling import registry

_BY_LABEL = {
    data.name: data
    for data in (
        *sd_samplers_kdiffusion.samplers_data_k_diffusion,
        *sd_samplers_timesteps.samplers_data_timesteps,
        *sd_samplers_lcm.samplers_data_lcm,
    )
}
ALL: list[SamplerData] = [_BY_LABEL[sampler.label] for sampler in registry.SAMPLERS]
all_samplers = ALL
ALL_SAMPLERS_MAP: dict[str, SamplerData] = {data.name: data for data in ALL}
all_samplers_map = ALL_SAMPLERS_MAP
SHOWN: list[SamplerData] = list(ALL)
samplers = SHOWN
samplers_for_img2img = SHOWN
SAMPLERS_HIDDEN: dict[str, SamplerData] = {}
samplers_hidden = SAMPLERS_HIDDEN
SAMPLERS_MAP: dict[str, str] = {name.lower(): data.name for data in ALL for name in (data.name, *data.aliases)}
samplers_map = SAMPLERS_MAP


def find_sampler_config(name: str | None) -> SamplerData:
    """Return a sampler by its name, those of extensions too; the first for an unknown one."""
    known = all_samplers_map.get(name or "") or next((data for data in all_samplers if data.name == name), None)
    if known is not None:
        return known
    return all_samplers_map.get(samplers_map.get((name or "").lower(), ""), all_samplers[0])


def create_sampler(name: str, model: Any) -> Any:
    """Return a sampler, made for one pass."""
    config = find_sampler_config(name)
    sampler = config.constructor(model)
    sampler.config = config
    return sampler


def engine_names(sampler_name: str, scheduler_name: str | None) -> tuple[str, str]:
    """Return the labels of the engine's sampler and schedule for names of A1111's lists.

    For a sampler that an extension made of one of ours it is that; one with a function of its own is planned as Euler.
    """
    config = find_sampler_config(sampler_name)
    if config.name in _BY_LABEL:
        return get_sampler_and_scheduler(sampler_name, scheduler_name, convert_automatic=False)
    label = "Euler"
    with HOST.guarding(owner_of(config.constructor), "hook", f"sampler {sampler_name}"):
        label = label_of(getattr(config.constructor(HOST.own_state.get("sd_model")), "func", None)) or label
    chosen = sd_schedulers.schedulers_map.get(scheduler_name or "", sd_schedulers.schedulers[0])
    if chosen.name == "automatic":
        chosen = sd_schedulers.schedulers_map.get(config.options.get("scheduler") or "", chosen)
    return label, chosen.label if chosen.label in registry.schedule_labels() else registry.AUTOMATIC


def set_samplers() -> None:
    """Do nothing: all samplers are always shown."""


def visible_samplers() -> list[SamplerData]:
    """Return the samplers that are shown."""
    return [data for data in all_samplers if data.name not in samplers_hidden]


def visible_sampler_names() -> list[str]:
    """Return the names of the samplers that are shown."""
    return [data.name for data in visible_samplers()]


def get_sampler_and_scheduler(
    sampler_name: str | None, scheduler_name: str | None, *, convert_automatic: bool = True
) -> tuple[str, str]:
    """Return labels for a sampler's name, which may hold a schedule's as before version 1.9, and a schedule's."""
    name = sampler_name or all_samplers[0].name
    chosen = sd_schedulers.schedulers_map.get(scheduler_name or "", sd_schedulers.schedulers[0])
    if registry.find_sampler(name) is None and name not in all_samplers_map:
        legacy = registry.split_legacy_name(name)
        if legacy is not None:
            name = legacy[0]
            chosen = sd_schedulers.schedulers_map.get(legacy[1], chosen)
    sampler = find_sampler_config(name)
    if chosen.label not in registry.schedule_labels():
        chosen = sd_schedulers.schedulers[0]
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

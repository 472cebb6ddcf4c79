"""A1111's lists of samplers, which extensions add to: filled by the modules of each kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from modules.a1111.sd_samplers_common import SamplerData
from modules.sampling import registry

K_DIFFUSION: list[SamplerData] = []
TIMESTEPS: list[SamplerData] = []
LCM: list[SamplerData] = []


def sampler_data(label: str, constructor: Callable[..., Any]) -> SamplerData:
    """Return a sampler of Easel's as lists have it. Raises KeyError for an unknown label."""
    sampler = registry.find_sampler(label)
    if sampler is None:
        raise KeyError(label)
    options: dict[str, Any] = {"scheduler": sampler.default_schedule.lower()} if sampler.default_schedule else {}
    if sampler.second_order:
        options["second_order"] = True
    if sampler.brownian:
        options["brownian_noise"] = True
    if sampler.ensd:
        options["uses_ensd"] = True
    if sampler.drops_penultimate:
        options["discard_next_to_last_sigma"] = True
    return SamplerData(sampler.label, constructor, list(sampler.aliases), options)

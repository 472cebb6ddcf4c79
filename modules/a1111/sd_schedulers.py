"""A1111's modules.sd_schedulers: Easel's schedules as A1111's list."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

from modules.sampling import registry


@dataclasses.dataclass
class Scheduler:
    """One schedule. `function` is None for Automatic."""

    name: str
    label: str
    function: Callable[..., Any] | None
    default_rho: float = -1
    need_inner_model: bool = False
    aliases: list[str] | None = None


def _scheduler(schedule: registry.Schedule) -> Scheduler:
    name = schedule.aliases[-1] if schedule.aliases else schedule.label.lower().replace(" ", "_")

    def function(*given: Any, **named: Any) -> Any:
        return schedule.function()(*given, **named)

    return Scheduler(name, schedule.label, function, aliases=list(schedule.aliases))


ALL = (Scheduler("automatic", registry.AUTOMATIC, None), *(_scheduler(schedule) for schedule in registry.SCHEDULES))
schedulers = ALL
SCHEDULERS_MAP = MappingProxyType({
    name: each for each in ALL for name in (each.name, each.label, *(each.aliases or []))
})
schedulers_map = SCHEDULERS_MAP

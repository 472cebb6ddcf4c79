"""A1111's modules.sd_schedulers: Easel's schedules as A1111's list."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from modules.a1111._k_external import alphas_of
from modules.sampling import registry
from modules.sampling.denoisers import NoiseLevels
from modules.sampling.schedules import ScheduleOptions


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

    def function(
        n: int, sigma_min: float, sigma_max: float, inner_model: Any = None, device: Any = "cpu", **_: object
    ) -> Any:
        """Return the noise levels of `n` steps, falling, and 0."""
        levels = NoiseLevels(alphas_of(getattr(inner_model, "inner_model", inner_model)))
        span = ScheduleOptions(sigma_min=float(sigma_min), sigma_max=float(sigma_max))
        return schedule.function()(levels, n, span).to(device)

    return Scheduler(name, schedule.label, function, aliases=list(schedule.aliases))


ALL: list[Scheduler] = [
    Scheduler("automatic", registry.AUTOMATIC, None), *(_scheduler(schedule) for schedule in registry.SCHEDULES)
]
schedulers = ALL
SCHEDULERS_MAP: dict[str, Scheduler] = {
    name: each for each in ALL for name in (each.name, each.label, *(each.aliases or []))
}
schedulers_map = SCHEDULERS_MAP

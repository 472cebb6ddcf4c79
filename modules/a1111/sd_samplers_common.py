"""A1111's modules.sd_samplers_common: what describes a sampler, and small numbers around sampling."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

from modules.a1111.shared_options import options

APPROXIMATION_INDEXES = MappingProxyType({"Full": 0, "Approx NN": 1, "Approx cheap": 2, "TAESD": 3})
approximation_indexes = APPROXIMATION_INDEXES


class SamplerDataTuple(NamedTuple):
    """A sampler as a tuple."""

    name: str
    constructor: Callable[..., Any]
    aliases: list[str]
    options: dict[str, Any]


class SamplerData(SamplerDataTuple):
    """A sampler as lists have it."""

    def total_steps(self, steps: int) -> int:
        """Return how often the network is called."""
        return steps * 2 if self.options.get("second_order", False) else steps


class InterruptedException(BaseException):
    """Raised in A1111 to leave the sampling loop."""


@dataclass
class SamplerFacts:
    """What stands for `p.sampler`: which one it is."""

    config: SamplerData
    funcname: str = ""
    extra: dict[str, Any] = field(default_factory=dict)


def setup_img2img_steps(p: Any, steps: int | None = None) -> tuple[int, int]:
    """Return for a picture to work over how many steps a schedule has, and after how many noise is added."""
    wanted = int(steps if steps is not None else p.steps)
    strength = min(float(p.denoising_strength), 0.999)
    if options().img2img_fix_steps or steps is not None:
        return int(wanted / min(p.denoising_strength, 0.999)) if p.denoising_strength > 0 else 0, wanted - 1
    return wanted, int(strength * wanted)


def is_sampler_using_eta_noise_seed_delta(p: Any) -> bool:
    """Say whether the sampler heeds the eta noise seed delta."""
    return bool(getattr(getattr(p, "sampler", None), "config", None) and p.sampler.config.options.get("uses_ensd"))

"""A1111's modules.sd_samplers_common: what samplers have in common, and small numbers around sampling."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import MappingProxyType
from typing import Any, NamedTuple

from torch import Tensor

from modules.a1111.shared_options import options
from modules.a1111.shared_state import state

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
    """Raised to leave the sampling loop with the latents that are there."""


class Sampler:
    """A sampler of one pass: `p.sampler`. The engine walks; this has what extensions read, and replace.

    `walk` is what the engine gives a run: noisy latents -> clean ones; `started`: the clean latents, or the noise, that
    the pass begins with, and how strong its first noise is.
    """

    def __init__(self, funcname: Any) -> None:
        self.funcname = funcname
        self.func = funcname
        self.extra_params: list[str] = []
        self.sampler_noises: Any = None
        self.stop_at: int | None = None
        self.eta: float | None = None
        self.config: Any = None
        self.last_latent: Any = None
        self.s_min_uncond: float | None = None
        self.s_churn, self.s_tmin, self.s_tmax, self.s_noise = 0.0, 0.0, math.inf, 1.0
        self.eta_option_field, self.eta_infotext_field, self.eta_default = "eta_ancestral", "Eta", 1.0
        self.conditioning_key = "crossattn"
        self.p: Any = None
        self.model_wrap: Any = None
        self.model_wrap_cfg: Any = None
        self.sampler_extra_args: dict[str, Any] | None = None
        self.options: dict[str, Any] = {}
        self.sd_model: Any = None
        self.walk: Callable[[Tensor], Tensor] | None = None
        self.sigmas: Tensor | None = None
        self.noise_level = 0.0

    def callback_state(self, d: dict[str, Any]) -> None:
        """Take note of a step: `x`, `denoised`, its number `i`. Latents that are changed in place stay changed."""
        step = d["i"]
        if self.stop_at is not None and step > self.stop_at:
            raise InterruptedException
        state().sampling_step = step

    def launch_sampling(self, steps: int, func: Callable[[], Any]) -> Any:
        """Return what `func` gives; an interruption leaves the latents as they are."""
        self.begin(steps)
        try:
            return func()
        except InterruptedException:
            return self.last_latent

    def begin(self, steps: int) -> None:
        """Note how many steps there are, of which none is done."""
        cfg, progress = self.model_wrap_cfg, state()
        cfg.steps, cfg.step = steps, 0
        cfg.total_steps = self.config.total_steps(steps) if self.config is not None else steps
        progress.sampling_steps, progress.sampling_step = steps, 0

    def number_of_needed_noises(self, p: Any) -> int:
        """Return how often noise may be drawn."""
        return int(p.steps)

    def initialize(self, p: Any) -> dict[str, Any]:
        """Take over what `p` says; returns arguments of the sampling function."""
        self.p = self.model_wrap_cfg.p = p
        self.model_wrap_cfg.step = 0
        self.model_wrap_cfg.image_cfg_scale = getattr(p, "image_cfg_scale", None)
        self.eta = p.eta if p.eta is not None else getattr(options(), self.eta_option_field, self.eta_default)
        self.s_min_uncond = p.s_min_uncond or 0.0
        for name in ("s_churn", "s_tmin", "s_tmax", "s_noise"):
            given = getattr(p, name, None)
            setattr(self, name, getattr(self, name) if given is None else given)
        self.s_tmax = self.s_tmax or math.inf
        given = {name: getattr(self, name) for name in self.extra_params if hasattr(self, name)}
        if "eta" in self.extra_params:
            given["eta"] = self.eta
        return given

    def sample(
        self, p: Any, x: Tensor, conditioning: Any, unconditional_conditioning: Any, steps: int | None = None,
        image_conditioning: Any = None,
    ) -> Any:  # fmt: skip
        """Return clean latents for unit noise. Raises RuntimeError outside of runs."""
        return self._walked(x * self.noise_level)

    def sample_img2img(
        self, p: Any, x: Tensor, noise: Tensor, conditioning: Any, unconditional_conditioning: Any,
        steps: int | None = None, image_conditioning: Any = None,
    ) -> Any:  # fmt: skip
        """Return clean latents for others with noise. Raises RuntimeError outside of runs."""
        return self._walked(x + noise * self.noise_level)

    def _walked(self, noisy: Tensor) -> Any:
        if self.walk is None:
            raise RuntimeError("This sampler belongs to no run that is at work.")
        return self.walk(noisy)

    def add_infotext(self, p: Any) -> None:
        """Do nothing: the engine writes what it did."""


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

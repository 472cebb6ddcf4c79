"""What extensions put into `p` in the place of its own parts: the noise of a batch (`p.rng`), and `p.sample`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from torch import Tensor

from modules.a1111 import rng
from modules.a1111._host import HOST
from modules.a1111._owners import owner_of, replaced
from modules.a1111._processing import StableDiffusionProcessing
from modules.a1111._walks import walked
from modules.a1111.shared_options import overridden
from modules.hooks.spec import PassStart, Sampling, Walk

LATENT_CHANNELS, LATENT_PIXELS = 4, 8
_OWN_RNG = rng.ImageRNG
_OWN_SAMPLE = StableDiffusionProcessing.sample
_DRAWING = ("next", "first")


def begin_noise(run: Any, p: Any) -> None:
    """Give `p` the noise of its present batch; `rng.ImageRNG` may have been replaced."""
    base = p._base  # noqa: SLF001 (its own package's half)
    kinds = {} if base is None else {"randn_source": base.noise_source, "eta_noise_seed_delta": base.ensd}
    shape = (LATENT_CHANNELS, int(p.height) // LATENT_PIXELS, int(p.width) // LATENT_PIXELS)
    named = {
        name: getattr(p, name) for name in ("subseeds", "subseed_strength", "seed_resize_from_h", "seed_resize_from_w")
    }
    with overridden(kinds), HOST.guarding(owner_of(rng.ImageRNG), "hook", "rng.ImageRNG"):
        p.rng = rng.ImageRNG(shape, p.seeds, **named)
        run.rng = p.rng if type(p.rng) is _OWN_RNG else None
        run.drawn = None


def _foreign(run: Any, p: Any) -> bool:
    """Say whether an extension has put noise of its own into `p`."""
    if p.rng is None:
        return False
    return p.rng is not run.rng or any(name in vars(p.rng) for name in _DRAWING)


def take_noise(run: Any, p: Any, begun: PassStart) -> None:
    """Begin a pass with an extension's noise where there is any; the second pass has its own."""
    if begun.index or not _foreign(run, p):
        return
    if run.drawn is None:
        run.drawn = _next(p, None)
    drawn = _rows(run, run.drawn, begun.noise)
    if drawn is not None:
        begun.noise = drawn


def sampled(run: Any, sampling: Sampling, call_next: Walk) -> Tensor:
    """Return the clean latents of a pass: from `p.sample` where an extension has replaced that, for the first pass."""
    work, p = run.at_work, run.p
    if _foreign(run, p):
        sampling = replace(sampling, noise=_steps_noise(run, p, sampling))

    def go_on() -> Tensor:
        """Have the sampler do it."""
        return walked(work, sampling, call_next)

    if work.begun.index or not replaced(p, "sample", _OWN_SAMPLE):
        return go_on()
    made: list[Tensor] = []
    cond, uncond = work.conditionings()
    work.go_on = go_on
    try:
        with HOST.guarding(owner_of(p.sample), "hook", "sample"):
            made.append(p.sample(
                conditioning=cond, unconditional_conditioning=uncond, seeds=p.seeds, subseeds=p.subseeds,
                subseed_strength=p.subseed_strength, prompts=p.prompts,
            ))  # fmt: skip
    finally:
        work.go_on = None
    fits = bool(made) and isinstance(made[0], Tensor) and made[0].shape == sampling.latents.shape
    return made[0].to(sampling.latents) if fits else go_on()


def _steps_noise(run: Any, p: Any, sampling: Sampling) -> Callable[[float, float], Tensor]:
    def noise(sigma: float, lower: float) -> Tensor:
        """Return fresh noise of the extension's, or of the engine's own where that does not fit."""
        drawn = _rows(run, _next(p, None), sampling.latents)
        return sampling.noise(sigma, lower) if drawn is None else drawn

    return noise


def _next(p: Any, otherwise: Any) -> Any:
    with HOST.guarding(owner_of(getattr(p.rng, "next", p.rng)), "hook", "p.rng"):
        return p.rng.next()
    return otherwise


def _rows(run: Any, drawn: Any, like: Tensor) -> Tensor | None:
    """Return what was drawn for the pictures that the engine makes now; None for what is no noise for them."""
    if not isinstance(drawn, Tensor):
        return None
    rows = drawn if drawn.shape[0] == like.shape[0] else drawn[list(run.places)]
    return rows.to(like) if rows.shape == like.shape else None

"""A pass's loop as extensions may change it: their own samplers and schedules, and parts of ours that they replaced."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from modules.a1111 import sd_schedulers
from modules.a1111._host import HOST
from modules.a1111._k_sampling import label_of
from modules.a1111._network import like
from modules.a1111._owners import owner_of, replaced
from modules.a1111.sd_samplers_cfg_denoiser import CFGDenoiser
from modules.a1111.sd_samplers_common import InterruptedException, Sampler
from modules.hooks.spec import PassStart, Sampling, Walk

_OWN_FORWARD = CFGDenoiser.forward
_OWN_SAMPLE = {False: Sampler.sample, True: Sampler.sample_img2img}


@dataclass(slots=True)
class Pass:
    """One pass at work. `vectors`: what the network attended to in its last call; `go_on`: does it in Easel's way.

    `sigma`: the noise levels that an extension wants the network to be told, (prompts * batch,); None: the true ones.
    """

    p: Any
    sampler: Any
    begun: PassStart
    sampling: Sampling | None = None
    vectors: Any = None
    sigma: Tensor | None = None
    go_on: Any = None

    def conditionings(self) -> tuple[Any, Any]:
        """Return `p`'s prompts and negative prompts as A1111 keeps them, where it has them."""
        if self.begun.index and getattr(self.p, "hr_c", None) is not None:
            return self.p.hr_c, self.p.hr_uc
        return self.p.c, self.p.uc


def walked(work: Pass, sampling: Sampling, call_next: Walk) -> Tensor:
    """Return the clean latents of a pass."""
    sampler, p = work.sampler, work.p
    cfg = sampler.model_wrap_cfg
    given = sampler.initialize(p)
    sampler.begin(len(sampling.sigmas) - 1)
    sampling = _scheduled(work, sampling)
    work.sampling = sampling
    sampler.sigmas, sampler.last_latent, cfg.denoise = sampling.sigmas, sampling.latents, sampling.denoise
    if replaced(cfg, "forward", _OWN_FORWARD):
        sampling = replace(sampling, denoise=lambda x, sigma: cfg(x, sigma.to(x.device), **_arguments(work)))

    def walk(noisy: Tensor) -> Tensor:
        """Go on from noisy latents."""
        own = replace(sampling, latents=noisy)
        if label_of(sampler.func) or not callable(sampler.func):
            return call_next(own)
        made: list[Tensor] = []
        with HOST.guarding(owner_of(sampler.func), "hook", "sampler"):
            made.append(like(foreign_walk(work, own, given), noisy))
        return made[0] if made else call_next(own)

    sampler.walk = walk
    try:
        return _started(work, sampling, walk)
    except (InterruptedException, RecursionError):
        last: Tensor = sampler.last_latent
        return last
    finally:
        sampler.walk = cfg.denoise = None


def _started(work: Pass, sampling: Sampling, walk: Any) -> Tensor:
    """Begin with the sampler's own method where an extension put another in its place."""
    over, sampler = work.begun.latents is not None, work.sampler
    name = "sample_img2img" if over else "sample"
    if not replaced(sampler, name, _OWN_SAMPLE[over]):
        begun: Tensor = walk(sampling.latents)
        return begun
    noise, clean = work.begun.noise, work.begun.latents
    added = sampling.latents if clean is None else sampling.latents - clean
    sampler.noise_level = float((added * noise).sum() / (noise * noise).sum())
    made: list[Tensor] = []
    with HOST.guarding(owner_of(getattr(sampler, name)), "hook", name):
        cond, uncond = work.conditionings()
        steps = len(sampling.sigmas) - 1
        if over:
            made.append(like(sampler.sample_img2img(work.p, clean, noise, cond, uncond, steps=steps), noise))
        else:
            made.append(like(sampler.sample(work.p, noise, cond, uncond, steps=steps), noise))
    return made[0] if made else walk(sampling.latents)


def foreign_walk(work: Pass, sampling: Sampling, given: dict[str, Any]) -> Tensor:
    """Return where a sampling function of an extension's own arrives; it has k-diffusion's arguments."""
    sampler, latents = work.sampler, sampling.latents
    wanted = inspect.signature(sampler.func).parameters
    sigmas = sampling.sigmas.to(latents.device)
    every = {
        **given,
        "sigmas": sigmas,
        "n": len(sigmas) - 1,
        "sigma_min": float(sigmas[sigmas > 0].min()),
        "sigma_max": float(sigmas.max()),
        "noise_sampler": lambda sigma, lower: sampling.noise(float(sigma), float(lower)),
        "extra_args": _arguments(work),
        "callback": lambda told: sampling.on_step(int(told["i"]), told["x"], told["denoised"]),
        "disable": True,
        **sampler.options,
    }
    kept = {name: value for name, value in every.items() if name in wanted}
    end: Tensor = sampler.func(sampler.model_wrap_cfg, latents, **kept)
    return end


def _arguments(work: Pass) -> dict[str, Any]:
    """Return what A1111 hands its denoiser besides latents and noise levels."""
    cond, uncond = work.conditionings()
    return {
        "cond": cond, "uncond": uncond, "cond_scale": work.p.cfg_scale, "s_min_uncond": work.sampler.s_min_uncond,
        "image_cond": None,
    }  # fmt: skip


def _scheduled(work: Pass, sampling: Sampling) -> Sampling:
    """Return the walk with the noise levels of a schedule that an extension added, where the pass begins from noise."""
    schedule = sd_schedulers.schedulers_map.get(work.p.scheduler or "")
    schedule = schedule or next((each for each in sd_schedulers.schedulers if each.label == work.p.scheduler), None)
    culprit = owner_of(schedule.function) if schedule is not None and schedule.function is not None else ""
    if not culprit or work.begun.latents is not None:
        return sampling
    inner, steps = work.sampler.model_wrap_cfg.inner_model, len(sampling.sigmas) - 1
    named = {"inner_model": inner} if schedule.need_inner_model else {}
    found: list[Tensor] = []
    with HOST.guarding(culprit, "hook", f"schedule {schedule.label}"):
        levels = schedule.function(
            n=steps, sigma_min=float(inner.sigma_min), sigma_max=float(inner.sigma_max), device="cpu", **named
        )
        found.append(torch.as_tensor(levels).float().cpu())
    if not found:
        return sampling
    scale = float(found[0][0]) / float(sampling.sigmas[0])
    return replace(sampling, sigmas=found[0], latents=sampling.latents * scale)

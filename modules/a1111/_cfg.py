"""Moments inside the engine that few extensions want: each with who wants it, and what is done then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from modules.a1111 import script_callbacks
from modules.a1111._script_base import MaskBlendArgs, PostProcessMaskOverlayArgs, PostSampleArgs
from modules.a1111.prompt_parser import DictWithShape
from modules.a1111.script_callbacks import AfterCFGCallbackParams, CFGDenoisedParams, CFGDenoiserParams
from modules.a1111.shared_state import state
from modules.hooks.spec import Guided, MaskBlend, NetworkInput, NetworkOutput, Overlay, PromptVectors, Sampled

Wanted = Callable[[list[Any]], bool]


def _called(*categories: str) -> Wanted:
    return lambda runners: script_callbacks.has_any(*categories)


def _overridden(*methods: str) -> Wanted:
    return lambda runners: any(any(runner.list_scripts_for_method(name)) for runner in runners for name in methods)


class Denoiser:
    """What stands for A1111's CFGDenoiser in callbacks: `p`, the step, and how many there are."""

    def __init__(self, p: Any, step: int, total: int) -> None:
        self.p = p
        self.step = step
        self.total_steps = total
        self.steps = total


def _before_network(self: Any, asked: NetworkInput) -> None:
    run, p = self.run, self.run.p
    if asked.call == 0:
        run.passes += 1
        p.is_hr_pass = run.passes > 1
        if p.scripts is not None and p.is_hr_pass:
            p.scripts.before_hr(p)
    if not script_callbacks.has_any("cfg_denoiser"):
        return
    prompts, batch = asked.latents.shape[:2]
    cond, uncond = asked.conditionals, asked.unconditional
    progress = state()
    params = CFGDenoiserParams(
        asked.latents.flatten(0, 1), None, asked.sigma.repeat(prompts), asked.call, progress.sampling_steps or p.steps,
        _outwards(cond), _outwards([uncond]) if uncond is not None else None, Denoiser(p, asked.call, p.steps),
    )  # fmt: skip
    script_callbacks.cfg_denoiser_callback(params)
    asked.latents = params.x.view(prompts, batch, *params.x.shape[1:])
    asked.conditionals = _inwards(params.text_cond, cond)
    if uncond is not None and params.text_uncond is not None:
        asked.unconditional = _inwards(params.text_uncond, [uncond])[0]


def _outwards(vectors: list[PromptVectors]) -> Any:
    """Return prompts' vectors in A1111's form: (prompts * batch, tokens, width), with SDXL's pooled ones beside."""
    context = torch.cat([one.context for one in vectors])
    if vectors[0].pooled is None:
        return context
    return DictWithShape({"crossattn": context, "vector": torch.cat([one.pooled for one in vectors])})


def _inwards(given: Any, old: list[PromptVectors]) -> list[PromptVectors]:
    contexts = given["crossattn"] if isinstance(given, dict) else given
    pooled = given["vector"] if isinstance(given, dict) else None
    count = len(old)
    return [
        PromptVectors(context, None if pooled is None else pooled.chunk(count)[place])
        for place, context in enumerate(contexts.chunk(count))
    ]


def _after_network(self: Any, answered: NetworkOutput) -> None:
    shape, p = answered.estimates.shape, self.run.p
    total = state().sampling_steps or p.steps
    params = CFGDenoisedParams(answered.estimates.flatten(0, 1), answered.call, total, None)
    script_callbacks.cfg_denoised_callback(params)
    answered.estimates = params.x.view(shape)


def _on_guidance(self: Any, answer: Guided) -> None:
    progress = state()
    params = AfterCFGCallbackParams(answer.guided, progress.sampling_step, progress.sampling_steps or self.run.p.steps)
    script_callbacks.cfg_after_cfg_callback(params)
    answer.guided = params.x


def _on_mask_blend(self: Any, blend: MaskBlend) -> None:
    p = self.run.p
    if p.scripts is None:
        return
    denoiser = None if blend.level is None else Denoiser(p, 0, p.steps)
    given = MaskBlendArgs(
        blend.made, blend.painted, blend.original, 1 - blend.painted, blend.blended, denoiser, blend.level
    )
    p.scripts.on_mask_blend(p, given)
    blend.blended = given.blended_latent


def _after_sampling(self: Any, sampled: Sampled) -> None:
    p = self.run.p
    if p.scripts is None:
        return
    given = PostSampleArgs(sampled.latents)
    p.scripts.post_sample(p, given)
    sampled.latents = given.samples


def _on_overlay(self: Any, overlay: Overlay) -> None:
    run, p = self.run, self.run.p
    if p.scripts is None:
        return
    given = PostProcessMaskOverlayArgs(run.places[overlay.index], overlay.mask, overlay.overlay)
    p.scripts.postprocess_maskoverlay(p, given)
    overlay.mask, overlay.overlay = given.mask_for_overlay, given.overlay_image


_SECOND_PASS = _overridden("before_hr")
_ASKING = _called("cfg_denoiser")
CFG_MOMENTS = (
    ("before_network", lambda runners: _ASKING(runners) or _SECOND_PASS(runners), _before_network),
    ("after_network", _called("cfg_denoised"), _after_network),
    ("on_guidance", _called("cfg_after_cfg"), _on_guidance),
)
SCRIPT_MOMENTS = (
    ("on_mask_blend", _overridden("on_mask_blend"), _on_mask_blend),
    ("after_sampling", _overridden("post_sample"), _after_sampling),
    ("on_overlay", _overridden("postprocess_maskoverlay"), _on_overlay),
)

"""Moments inside the engine: what extensions see of a pass, and what they put in the place of its parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from modules.a1111 import extra_networks, prompt_parser, rng, script_callbacks, sd_samplers, sd_unet, shared
from modules.a1111._host import HOST
from modules.a1111._network import EMPTY_CHANNELS, answer, like, text_of
from modules.a1111._owners import owner_of, replaced
from modules.a1111._parts import sampled, take_noise
from modules.a1111._script_base import MaskBlendArgs, PostProcessMaskOverlayArgs, PostSampleArgs
from modules.a1111._walks import Pass
from modules.a1111.script_callbacks import (
    AfterCFGCallbackParams,
    CFGDenoisedParams,
    CFGDenoiserParams,
    ExtraNoiseParams,
)
from modules.a1111.sd_samplers_cfg_denoiser import CFGDenoiser
from modules.a1111.shared_state import state
from modules.hooks.spec import (
    CallNetwork,
    ExtraNoise,
    Guided,
    MaskBlend,
    NetworkCall,
    NetworkInput,
    NetworkOutput,
    Overlay,
    PassPrompts,
    PassStart,
    PromptVectors,
    Sampled,
    Sampling,
    Step,
    Walk,
)

Wanted = Callable[[list[Any]], bool]
_OWN_COMBINING = CFGDenoiser.combine_denoised


def _always(runners: list[Any]) -> bool:
    return True


def _overridden(*methods: str) -> Wanted:
    return lambda runners: any(any(runner.list_scripts_for_method(name)) for runner in runners for name in methods)


def _on_prompts(self: Any, prompts: PassPrompts) -> None:
    """Have an extension that replaced the reading of prompts read them; else the engine's own reading stands."""
    read = prompt_parser.get_multicond_prompt_list
    culprit = owner_of(read)
    if not culprit:
        return
    written = " AND ".join(text if weight == 1 else f"{text} :{weight}" for text, weight in prompts.parts)
    with HOST.guarding(culprit, "hook", "get_multicond_prompt_list"):
        indexes, texts, _ = read(prompt_parser.SdConditioning([written] * prompts.pictures))
        prompts.parts = [(str(texts[place]), float(weight)) for place, weight in indexes[0]]


def _before_pass(self: Any, begun: PassStart) -> None:
    """Make the sampler, and tell the scripts of what it begins with: both may be changed in place."""
    run, p = self.run, self.run.p
    p.is_hr_pass = begun.index > 0
    # What extensions draw from generators that are no picture's is the same for the same seed, as in A1111, where the
    # noise that pictures begin with is drawn one by one and seeds them.
    seed = int(p.seeds[run.places[-1]] if p.seeds else 0)
    torch.manual_seed(seed)
    rng.manual_seed(seed)
    p.sampler = _sampler_of(p)
    run.at_work = Pass(p, p.sampler, begun)
    take_noise(run, p, begun)
    _tell_of_picture(p, begun)
    with HOST.guarding("", "hook", "sd_unet"):
        sd_unet.apply_unet()
    if p.scripts is None:
        return
    if begun.index:
        if not p.disable_extra_networks:
            extra_networks.activate(p, p.hr_extra_network_data or p.extra_network_data)
        p.scripts.before_hr(p)
    latents = begun.noise if begun.latents is None else begun.latents
    cond, uncond = run.at_work.conditionings()
    p.scripts.process_before_every_sampling(p, x=latents, noise=begun.noise, c=cond, uc=uncond)


def _sampler_of(p: Any) -> Any:
    """Return a sampler for a pass; `create_sampler` may have been replaced."""
    name = (getattr(p, "hr_sampler_name", None) if p.is_hr_pass else None) or p.sampler_name
    model = p.sd_model if p.sd_model is not None else shared.sd_model
    made: list[Any] = []
    with HOST.guarding(owner_of(sd_samplers.create_sampler), "hook", "create_sampler"):
        made.append(_whole(sd_samplers.create_sampler(name, model)))
    if made:
        return made[0]
    engines_own, _ = sd_samplers.engine_names(name, None)
    config = sd_samplers.find_sampler_config(engines_own)
    sampler = config.constructor(model)
    sampler.config = config
    return sampler


def _whole(sampler: Any) -> Any:
    """Return a sampler. Raises TypeError for what is none."""
    if not hasattr(sampler, "model_wrap_cfg"):
        raise TypeError(f"create_sampler answered {type(sampler).__name__}, which is no sampler")
    return sampler


def _tell_of_picture(p: Any, begun: PassStart) -> None:
    """Let `p` and the denoiser have what is worked over, and which of it: in A1111's terms `mask` is what is kept."""
    if begun.latents is None or begun.index:
        return
    cfg = p.sampler.model_wrap_cfg
    p.init_latent = cfg.init_latent = begun.latents
    if begun.painted is not None:
        p.nmask = cfg.nmask = begun.painted
        p.mask = cfg.mask = 1 - begun.painted


def _around_sampling(self: Any, sampling: Sampling, call_next: Walk) -> Tensor:
    work = self.run.at_work
    # A script may have put another sampler into `p` meanwhile.
    work.sampler = work.p.sampler if hasattr(work.p.sampler, "model_wrap_cfg") else work.sampler
    return sampled(self.run, sampling, call_next)


def _on_extra_noise(self: Any, extra: ExtraNoise) -> None:
    if not script_callbacks.has_any("extra_noise"):
        return
    params = ExtraNoiseParams(extra.noise, extra.latents, extra.noisy)
    script_callbacks.extra_noise_callback(params)
    extra.noise = params.noise


def _around_network(self: Any, call: NetworkCall, call_next: CallNetwork) -> Tensor:
    work = self.run.at_work
    work.vectors = call.vectors
    return answer(work.sampler.model_wrap_cfg, _told(call, work.sigma), call_next)


def _told(call: NetworkCall, wanted: Tensor | None) -> NetworkCall:
    """Return a call with the noise levels that an extension wants, where it is clear which are meant."""
    if wanted is None:
        return call
    if wanted.shape == call.sigma.shape:
        return replace(call, sigma=wanted)
    # Prompts may be asked one after another.
    return replace(call, sigma=wanted[:1].expand_as(call.sigma)) if bool((wanted == wanted[0]).all()) else call


def _before_network(self: Any, asked: NetworkInput) -> None:
    self.run.at_work.sigma = None
    if not script_callbacks.has_any("cfg_denoiser"):
        return
    cfg, progress = self.run.at_work.sampler.model_wrap_cfg, state()
    cond, uncond = asked.conditionals, asked.unconditional
    parts, shape = len(cond), asked.latents.shape
    # Callbacks of A1111's always see a negative prompt, also in calls that go without one.
    latents = asked.latents if uncond is not None else torch.cat([asked.latents, asked.latents[:1]])
    rows = latents.shape[0] * latents.shape[1]
    params = CFGDenoiserParams(
        _by_picture(latents, parts), latents.new_zeros((rows, EMPTY_CHANNELS, 1, 1)),
        asked.sigma.to(latents.device).repeat(latents.shape[0]), progress.sampling_step, progress.sampling_steps,
        _outwards(cond), _outwards([cond[0] if uncond is None else uncond]), cfg,
    )  # fmt: skip
    true = params.sigma.clone()
    script_callbacks.cfg_denoiser_callback(params)
    if not torch.equal(params.sigma, true):
        self.run.at_work.sigma = _by_prompt(params.sigma, parts, shape[:2])[: shape[0]].flatten().to(true)
    asked.latents = _by_prompt(params.x, parts, shape)[: shape[0]]
    asked.conditionals = _inwards(params.text_cond, cond)
    if uncond is not None:
        asked.unconditional = _inwards(params.text_uncond, [uncond])[0]


def _by_picture(values: Tensor, parts: int) -> Tensor:
    """Return rows in A1111's order, all parts of the first picture's prompt, those of the next, …, then the negative's.

    `values`: (prompts, batch, ...), of which the first `parts` are of the prompt.
    """
    return torch.cat([values[:parts].transpose(0, 1).flatten(0, 1), values[parts:].flatten(0, 1)])


def _by_prompt(rows: Tensor, parts: int, shape: Sequence[int]) -> Tensor:
    """Return rows in A1111's order as (prompts, batch, ...); `shape`: what they were before."""
    batch, first = shape[1], parts * shape[1]
    own = rows[:first].view(batch, parts, *rows.shape[1:]).transpose(0, 1)
    return torch.cat([own, rows[first:].view(-1, batch, *rows.shape[1:])])


def _outwards(vectors: list[PromptVectors]) -> Any:
    """Return prompts' vectors in A1111's form: (batch * prompts, tokens, width), with SDXL's pooled ones beside."""
    count = len(vectors)
    context = _by_picture(torch.stack([one.context for one in vectors]), count)
    pooled = [one.pooled for one in vectors if one.pooled is not None]
    return text_of(PromptVectors(context, _by_picture(torch.stack(pooled), count) if pooled else None))


def _inwards(given: Any, old: list[PromptVectors]) -> list[PromptVectors]:
    contexts = given["crossattn"] if isinstance(given, dict) else given
    pooled = given["vector"] if isinstance(given, dict) else None
    count = len(old)
    return [
        PromptVectors(contexts[place::count], None if pooled is None else pooled[place::count])
        for place in range(count)
    ]


def _after_network(self: Any, answered: NetworkOutput) -> None:
    if not script_callbacks.has_any("cfg_denoised"):
        return
    estimates, progress = answered.estimates, state()
    parts = estimates.shape[0] - int(answered.negative)
    # As A1111 does, the prompt's own answer stands for that of a negative prompt that was left out.
    every = estimates if answered.negative else torch.cat([estimates, estimates[:1]])
    inner = self.run.at_work.sampler.model_wrap_cfg.inner_model
    params = CFGDenoisedParams(_by_picture(every, parts), progress.sampling_step, progress.sampling_steps, inner)
    script_callbacks.cfg_denoised_callback(params)
    answered.estimates = _by_prompt(params.x, parts, every.shape)[: estimates.shape[0]]


def _on_guidance(self: Any, answer: Guided) -> None:
    """Join the answers in an extension's way, where it has one, and tell what came of it."""
    work, progress = self.run.at_work, state()
    cfg = work.sampler.model_wrap_cfg
    if replaced(cfg, "combine_denoised", _OWN_COMBINING):
        _combine(work, answer)
    if script_callbacks.has_any("cfg_after_cfg"):
        params = AfterCFGCallbackParams(answer.guided, progress.sampling_step, progress.sampling_steps)
        script_callbacks.cfg_after_cfg_callback(params)
        answer.guided = params.x
    work.sampler.last_latent = answer.guided
    cfg.step += 1


def _combine(work: Any, answer: Guided) -> None:
    cfg, parts, batch = work.sampler.model_wrap_cfg, len(answer.conditionals), answer.guided.shape[0]
    rows = torch.cat([_by_picture(torch.stack(answer.conditionals), parts), answer.unconditional])
    places = [
        [(picture * parts + part, answer.weights[part]) for part in range(parts)] for picture in range(batch)
    ]
    vectors = work.vectors
    last = PromptVectors(vectors.context[-batch:], None if vectors.pooled is None else vectors.pooled[-batch:])
    with HOST.guarding(owner_of(cfg.combine_denoised), "hook", "combine_denoised"):
        answer.guided = like(cfg.combine_denoised(rows, places, text_of(last), answer.scale), answer.guided)


def _after_step(self: Any, step: Step) -> None:
    """Tell the sampler of a step; latents that are changed in place are what it goes on with."""
    sampler, sigmas = self.run.at_work.sampler, self.run.at_work.sampling.sigmas
    level = sigmas[min(step.index, len(sigmas) - 1)]
    told = {"x": step.latents, "i": step.index, "sigma": level, "sigma_hat": level, "denoised": step.denoised}
    with HOST.guarding(owner_of(sampler.callback_state), "hook", "callback_state"):
        sampler.callback_state(told)


def _on_mask_blend(self: Any, blend: MaskBlend) -> None:
    p = self.run.p
    if p.scripts is None:
        return
    denoiser = None if blend.level is None else self.run.at_work.sampler.model_wrap_cfg
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


CFG_MOMENTS = (
    ("on_prompts", _always, _on_prompts),
    ("before_pass", _always, _before_pass),
    ("around_sampling", _always, _around_sampling),
    # Many register their callbacks only in the run that is to call them, when this was asked already.
    ("on_extra_noise", _always, _on_extra_noise),
    ("before_network", _always, _before_network),
    ("around_network", _always, _around_network),
    ("after_network", _always, _after_network),
    ("on_guidance", _always, _on_guidance),
    ("after_step", _always, _after_step),
)
SCRIPT_MOMENTS = (
    ("on_mask_blend", _overridden("on_mask_blend"), _on_mask_blend),
    ("after_sampling", _overridden("post_sample"), _after_sampling),
    ("on_overlay", _overridden("postprocess_maskoverlay"), _on_overlay),
)

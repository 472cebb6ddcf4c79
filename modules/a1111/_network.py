"""One call of the network as A1111 knows it: what its conditioning dictionary holds, and who answers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from modules.a1111 import sd_unet
from modules.a1111._host import HOST
from modules.a1111._owners import owner_of, replaced
from modules.a1111.prompt_parser import DictWithShape
from modules.a1111.sd_samplers_cfg_denoiser import CFGDenoiser, RunDenoiser
from modules.hooks.spec import CallNetwork, NetworkCall, PromptVectors

EMPTY_CHANNELS = 5
"""Of the conditioning picture where the network sees none."""
_OWN = RunDenoiser.forward


def conditioning_of(call: NetworkCall) -> dict[str, Any]:
    """Return what A1111's samplers hand to the network: prompts, and the picture that it sees besides."""
    rows = call.latents.shape[0]
    shown = call.shown if call.shown is not None else call.latents.new_zeros((rows, EMPTY_CHANNELS, 1, 1))
    if call.vectors.pooled is None:
        return {"c_crossattn": [call.vectors.context], "c_concat": [shown]}
    return {"crossattn": call.vectors.context, "vector": call.vectors.pooled, "c_concat": [shown]}


def text_of(vectors: PromptVectors) -> Any:
    """Return what is attended to as A1111 has it: a tensor, for SDXL a dictionary."""
    if vectors.pooled is None:
        return vectors.context
    return DictWithShape({"crossattn": vectors.context, "vector": vectors.pooled})


def call_of(call: NetworkCall, x: Tensor, sigma: Tensor, cond: Any) -> NetworkCall:
    """Return the call that an extension makes: other latents, levels and conditioning."""
    if cond is None:
        return replace(call, latents=x, sigma=sigma)
    context = cond["crossattn"] if "crossattn" in cond else cond["c_crossattn"]
    context = context[0] if isinstance(context, list) else context
    old, pooled = call.vectors.pooled, cond.get("vector")
    if old is not None and pooled is not None:
        # LDM's vector holds the sizes too, behind the prompt's own.
        pooled = pooled[:, : old.shape[1]]
    shown = call.shown
    if shown is not None:
        given = cond.get("c_concat", [shown])
        shown = given[0] if isinstance(given, list) else given
    return replace(call, latents=x, sigma=sigma, vectors=PromptVectors(context, pooled), shown=shown)


def answer(cfg: Any, call: NetworkCall, call_next: CallNetwork) -> Tensor:
    """Return the network's x0: from what an extension put in the place of `inner_model.forward`, else the engine's."""
    unet = sd_unet.current()
    if unet is None and not _touched(cfg):
        return call_next(call)
    inner = cfg.inner_model
    if unet is None and not replaced(inner, "forward", _OWN):
        return call_next(call)

    def ask(x: Tensor, sigma: Tensor, cond: Any) -> Tensor:
        """Go on with the engine, or with a U-Net of an extension's."""
        own = call_of(call, x, sigma, cond)
        return call_next(own) if unet is None else _of_unet(inner, unet, own)

    found: list[Tensor] = []
    culprit = owner_of(inner.forward) if unet is None else owner_of(unet.forward)
    inner.answer = ask
    try:
        with HOST.guarding(culprit, "hook", "the network"):
            found.append(like(inner(call.latents, call.sigma, cond=conditioning_of(call)), call.latents))
    finally:
        inner.answer = None
    return found[0] if found else call_next(call)


def like(made: Any, wanted: Tensor) -> Tensor:
    """Return a tensor that an extension made, in float32. Raises ValueError when its shape is not the one wanted."""
    shape = tuple(getattr(made, "shape", ()))
    if shape != tuple(wanted.shape):
        raise ValueError(f"a tensor of the shape {tuple(wanted.shape)} is wanted, not {shape or type(made).__name__}")
    found: Tensor = made.to(wanted)
    return found


def _touched(cfg: Any) -> bool:
    """Say whether somebody has had the network in hands; making it here would have the model's inside be looked at."""
    own = type(cfg).inner_model is CFGDenoiser.inner_model and _OWN is RunDenoiser.forward
    return cfg.model_wrap is not None or not own


def _of_unet(inner: Any, unet: Any, call: NetworkCall) -> Tensor:
    """Return x0 from a U-Net that predicts noise or v, as the checkpoint's own does."""
    spread = call.sigma.to(call.latents.device).view(-1, 1, 1, 1)
    variance = spread**2 + 1
    scaled = call.latents / variance.sqrt()
    if call.shown is not None:
        scaled = torch.cat([scaled, call.shown], dim=1)
    steps = inner.sigma_to_t(call.sigma).to(call.latents.device)
    predicted = unet.forward(scaled, steps, call.vectors.context, y=call.vectors.pooled)
    if hasattr(inner, "get_v"):
        return call.latents / variance - predicted * spread / variance.sqrt()
    return call.latents - predicted * spread

"""Classifier-free guidance (Ho and Salimans 2022, arXiv:2207.12598) over one or several prompts."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def classifier_free(
    conditionals: Sequence[Tensor], weights: Sequence[float], unconditional: Tensor, scale: float
) -> Tensor:
    """Return unconditional + scale * sum of weight * (conditional - unconditional).

    With several prompts this is the conjunction of Liu et al. 2022 (arXiv:2206.01714), equation 11. All are x0:
    (batch, channels, height/8, width/8).
    """
    guided = unconditional
    for conditional, weight in zip(conditionals, weights, strict=True):
        guided = guided + (conditional - unconditional) * (weight * scale)
    return guided


def rescaled(guided: Tensor, conditional: Tensor, amount: float) -> Tensor:
    """Return `guided` with its spread drawn back to that of `conditional` by `amount`, 0 to 1, picture by picture.

    Lin et al. 2023 (arXiv:2305.08891), equations 15 and 16, on what a network predicts, with and without guidance:
    (batch, channels, rows, columns). For x0 there is `rescaled_x0`.
    """
    axes = tuple(range(1, guided.ndim))
    spread = guided.std(dim=axes, keepdim=True)
    ratio = conditional.std(dim=axes, keepdim=True) / spread.clamp(min=1e-12)
    return guided * (amount * ratio + (1 - amount))


def rescaled_x0(guided: Tensor, conditional: Tensor, amount: float, anchor: Tensor) -> Tensor:
    """Return the x0 that `rescaled` predictions lead to, from those with and without guidance.

    `anchor` is what x0 is reckoned from: x for a network that predicts noise, x / (sigma² + 1) for one that predicts
    velocity. Then anchor - x0 is the prediction times a factor that only sigma decides, and rescaling has the same
    effect on both.
    """
    return anchor - rescaled(anchor - guided, anchor - conditional, amount)


def skips_unconditional(
    call: int, total_calls: int, sigma: float, skip_early: float, ngms: float, ngms_all: bool
) -> bool:
    """Return whether a call of the model (from 0) does without its unconditional half, as A1111 decides it.

    `skip_early`: in which first share of the calls (0: none). `ngms` ("negative guidance minimum sigma"): below which
    sigma, in every second call or, with `ngms_all`, in all (0: never).
    """
    if skip_early != 0 and call / max(total_calls, 1) <= skip_early:
        return True
    return (call % 2 == 1 or ngms_all) and ngms > 0 and sigma < ngms


def guidance_embedding(scale: float, width: int) -> Tensor:
    """Return the CFG scale as models read it that were distilled to need no negative prompt: (1, width), float32.

    Latent consistency models, https://arxiv.org/abs/2310.04378, section 4.3: sines and cosines of 1000 (scale - 1).
    """
    half = width // 2
    frequencies = torch.exp(torch.arange(half, dtype=torch.float32) * (-math.log(10_000) / (half - 1)))
    angles = 1000 * (scale - 1) * frequencies
    return F.pad(torch.cat([angles.sin(), angles.cos()]), (0, width % 2)).unsqueeze(0)

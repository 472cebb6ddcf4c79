"""Classifier-free guidance (Ho and Salimans 2022, arXiv:2207.12598) over one or several prompts."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor


def classifier_free(
    conditionals: Sequence[Tensor], weights: Sequence[float], unconditional: Tensor, scale: float
) -> Tensor:
    """Return unconditional + scale * sum of weight * (conditional - unconditional).

    With several prompts this is the conjunction of Liu et al. 2022 (arXiv:2206.01714), equation 11. All are x0:
    (batch, channels, height/8, width/8).
    """
    guided = unconditional.clone()
    for conditional, weight in zip(conditionals, weights, strict=True):
        guided += (conditional - unconditional) * (weight * scale)
    return guided

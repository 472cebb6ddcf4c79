"""Classifier-free guidance (Ho and Salimans 2022, arXiv:2207.12598)."""

from __future__ import annotations

from torch import Tensor


def classifier_free(conditional: Tensor, unconditional: Tensor, scale: float) -> Tensor:
    """Return unconditional + scale * (conditional - unconditional); both x0, (batch, channels, height, width)."""
    return unconditional + (conditional - unconditional) * scale

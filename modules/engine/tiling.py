"""Pictures without edges: convolutions that take the other side of the picture for what lies beyond its edge."""

from __future__ import annotations

from torch import nn


def set_seamless(network: nn.Module, seamless: bool) -> None:
    """Have every convolution of `network` wrap around, or pad with zeros as it was trained."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.padding_mode = "circular" if seamless else "zeros"

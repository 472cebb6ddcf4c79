"""The layers of a model that networks change, and where their weights are kept."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from modules.networks.keys import UNET, LayerNames

Layer = nn.Linear | nn.Conv2d | nn.GroupNorm | nn.LayerNorm
_HOOK = "_hf_hook"
"""Where accelerate keeps what it knows of a layer whose weights it streams in for each use."""


def layers_of(networks: Mapping[str, nn.Module]) -> dict[str, Layer]:
    """Return the layers that can be changed, by "part:path", of networks by part; see `LayerNames`."""
    return {
        f"{part}:{path}": module
        for part, network in networks.items()
        for path, module in network.named_modules()
        if isinstance(module, Layer) and module.weight is not None
    }


def names_of(layers: Mapping[str, Layer], other_names: Mapping[str, str] | None = None) -> LayerNames:
    """Return what finds those layers by the names that files give them."""
    paths: dict[str, list[str]] = {}
    for name in layers:
        part, _, path = name.partition(":")
        paths.setdefault(part, []).append(path)
    unet = paths.pop(UNET, [])
    return LayerNames(unet, paths, other_names)


def stored(layer: Layer, name: str) -> Tensor | None:
    """Return the tensor that holds the layer's "weight" or "bias", also when accelerate streams it in for each use."""
    tensor: Tensor | None = getattr(layer, name)
    if tensor is None:
        return None
    if not tensor.is_meta:
        return tensor.data
    kept: Tensor = vars(layer)[_HOOK].weights_map[name]
    return kept


class LayerBackup:
    """A layer's weight and bias as they were, in main memory; the bias is kept from the first change of it on."""

    def __init__(self, layer: Layer) -> None:
        self._layer = layer
        self._weight = _copied(self._stored_weight())
        self._bias: Tensor | None = None
        self._had_bias = layer.bias is not None

    def restore(self) -> None:
        """Bring both back."""
        self._stored_weight().copy_(self._weight)
        bias = stored(self._layer, "bias")
        if not self._had_bias:
            self._layer.bias = None
        elif self._bias is not None and bias is not None:
            bias.copy_(self._bias)

    def bias_to_change(self) -> Tensor | None:
        """Return the stored bias, having kept a copy; a layer without one gets zeros.

        None for a layer without one whose weights are streamed in: accelerate could not stream a new tensor.
        """
        bias = stored(self._layer, "bias")
        if bias is None:
            if self._layer.weight.is_meta:
                return None
            weight = self._stored_weight()
            zeros = torch.zeros(weight.shape[0], dtype=weight.dtype, device=weight.device)
            self._layer.bias = nn.Parameter(zeros, requires_grad=False)
            return self._layer.bias.data
        if self._had_bias and self._bias is None:
            self._bias = _copied(bias)
        return bias

    def _stored_weight(self) -> Tensor:
        weight = stored(self._layer, "weight")
        if weight is None:
            raise RuntimeError("a layer lost its weight")
        return weight


class Scratch:
    """Memory for one weight at a time in float32, so that not every layer has to be given some anew."""

    def __init__(self) -> None:
        self._memory = torch.empty(0)

    def exact(self, weight: Tensor) -> Tensor:
        """Return the weight itself if it is float32, else a copy in float32, which holds until the next call."""
        if weight.dtype == torch.float32:
            return weight
        if self._memory.numel() < weight.numel() or self._memory.device != weight.device:
            self._memory = torch.empty(weight.numel(), device=weight.device)
        return self._memory[: weight.numel()].view(weight.shape).copy_(weight)


def _copied(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", copy=True)

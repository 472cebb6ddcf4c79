"""Hypernetworks: small networks that change what attention makes its keys and values of, as A1111 trains them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from modules.core.errors import NetworkUnavailable
from modules.networks.reading import NetworkOnDisk, Version, read_content, unusable, version_of

_ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = {
    "linear": nn.Identity, "swish": nn.Hardswish, "relu": nn.ReLU, "leakyrelu": nn.LeakyReLU, "elu": nn.ELU,
    "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "rrelu": nn.RReLU, "hardtanh": nn.Hardtanh, "relu6": nn.ReLU6,
    "hardsigmoid": nn.Hardsigmoid, "silu": nn.SiLU, "mish": nn.Mish, "hardswish": nn.Hardswish, "celu": nn.CELU,
    "selu": nn.SELU, "gelu": nn.GELU, "hardshrink": nn.Hardshrink, "logsigmoid": nn.LogSigmoid,
    "softplus": nn.Softplus, "softshrink": nn.Softshrink, "prelu": nn.PReLU, "softsign": nn.Softsign,
    "tanhshrink": nn.Tanhshrink, "softmin": partial(nn.Softmin, dim=0), "softmax": partial(nn.Softmax, dim=0),
    "softmax2d": nn.Softmax2d, "logsoftmax": partial(nn.LogSoftmax, dim=0),
}  # fmt: skip
"""By the names in files: torch's own in lower case, and three of A1111's. The last ones get three dimensions without
being told which is meant, and then take the first."""
_OLD_NAMES = (("linear1.", "linear.0."), ("linear2.", "linear.1."))
"""What the layers were called at first."""
_PLAIN_STRUCTURE = (1, 2, 1)
_OLD_DROPOUT = 0.3
_REMEMBERED = 2
_PLACES = (".to_k", ".to_v")
"""Endings of the layers' names whose input is changed: by the first network of a width, and by the second."""


@dataclass(frozen=True, slots=True)
class HypernetworkUse:
    """One hypernetwork as a prompt asks for it."""

    file: NetworkOnDisk
    strength: float


@dataclass(frozen=True, slots=True, eq=False)
class Hypernetwork:
    """By the width of what attention reads: the network for the keys and the one for the values, in float32."""

    path: Path
    pairs: Mapping[int, tuple[nn.Module, nn.Module]]


@dataclass(frozen=True, slots=True)
class _Structure:
    """How the networks of a file are built.

    `sizes`: widths of input, hidden layers and output, as multiples of the width; `dropout`: which of them are followed
    by a dropout, which does nothing here but count as a layer.
    """

    sizes: tuple[float, ...]
    activation: str | None
    normed: bool
    activates_output: bool
    dropout: tuple[bool, ...]


def read_hypernetwork(file: NetworkOnDisk) -> Hypernetwork:
    """Return what the file holds. Raises NetworkUnavailable."""
    content = read_content(file.path)
    pairs = {
        width: pair for width, pair in content.items() if isinstance(width, int) and isinstance(pair, list | tuple)
    }
    if not pairs or any(len(pair) < 2 for pair in pairs.values()):
        raise unusable(file.path, "it holds no hypernetwork")
    try:
        structure = _structure(content)
        built = {
            width: (_built(width, pair[0], structure), _built(width, pair[1], structure))
            for width, pair in pairs.items()
        }
    except (RuntimeError, TypeError, ValueError, LookupError, AttributeError) as error:
        raise unusable(file.path, f"its tensors are not those that it describes ({error})") from error
    return Hypernetwork(file.path, built)


def _structure(content: Mapping[Any, Any]) -> _Structure:
    """Return the structure that a file describes; what it lacks means what it meant when files lacked it."""
    sizes = tuple(float(size) for size in content.get("layer_structure") or _PLAIN_STRUCTURE)
    if len(sizes) < 2 or sizes[0] != 1 or sizes[-1] != 1:
        raise ValueError(f"layers of the sizes {sizes}")
    activation = content.get("activation_func")
    if activation is not None and activation not in _ACTIVATIONS:
        raise ValueError(f"the activation {activation!r} is unknown")
    return _Structure(
        sizes,
        activation,
        bool(content.get("is_layer_norm", False)),
        bool(content.get("activate_output", True)),
        _dropout(content, len(sizes)),
    )


def _dropout(content: Mapping[Any, Any], count: int) -> tuple[bool, ...]:
    given = content.get("dropout_structure")
    if given is not None:
        return tuple(bool(each) for each in given)
    if not content.get("use_dropout", False):
        return (False,) * count
    return (False, *[True] * (count - 3), bool(content.get("last_layer_dropout", False)), False)


def _built(width: int, tensors: Mapping[str, Tensor], structure: _Structure) -> nn.Module:
    layers: list[nn.Module] = []
    last = len(structure.sizes) - 2
    for place, (inside, outside) in enumerate(pairwise(structure.sizes)):
        layers.append(nn.Linear(int(width * inside), int(width * outside), device="meta"))
        if structure.activation not in (None, "linear") and (place < last or structure.activates_output):
            layers.append(_ACTIVATIONS[str(structure.activation)]())
        if structure.normed:
            layers.append(nn.LayerNorm(int(width * outside), device="meta"))
        if structure.dropout[place + 1]:
            layers.append(nn.Identity())
    network = nn.Sequential(*layers)
    renamed = {}
    for name, tensor in tensors.items():
        for old, new in _OLD_NAMES:
            name = name.replace(old, new) if name.startswith(old) else name
        renamed[name.removeprefix("linear.")] = tensor.to(torch.float32)
    network.load_state_dict(renamed, assign=True)
    return network.eval().requires_grad_(False)


class HypernetworkPatcher:
    """Has a U-Net's attention go through exactly the hypernetworks that were asked for last; no weight is changed."""

    def __init__(self, unet: nn.Module) -> None:
        """Take the U-Net, whose layers for keys and values are called to_k and to_v."""
        self._layers = {
            name: module
            for name, module in unet.named_modules()
            if isinstance(module, nn.Linear) and name.endswith(_PLACES)
        }
        self._kept: dict[Version, Hypernetwork] = {}
        self._hooks: list[torch.utils.hooks.RemovableHandle] = []
        self._state: tuple[HypernetworkUse, ...] = ()
        self._refused: dict[HypernetworkUse, str] = {}

    def set(self, uses: Sequence[HypernetworkUse]) -> Mapping[HypernetworkUse, str]:
        """Use these, and return those that cannot be used with the reason in a sentence."""
        if tuple(uses) == self._state:
            return self._refused
        self.clear()
        refused: dict[HypernetworkUse, str] = {}
        chain: list[tuple[Hypernetwork, float]] = []
        for use in uses:
            try:
                chain.append((self._get(use.file), use.strength))
            except NetworkUnavailable as error:
                refused[use] = str(error)
        for name, layer in self._layers.items() if chain else ():
            side = _PLACES.index(name[name.rindex(".") :])
            self._hooks.append(layer.register_forward_pre_hook(_Passage(chain, side)))
        self._state, self._refused = tuple(uses), refused
        return refused

    def clear(self) -> None:
        """Use none."""
        while self._hooks:
            self._hooks.pop().remove()
        self._state, self._refused = (), {}

    def _get(self, file: NetworkOnDisk) -> Hypernetwork:
        version = version_of(file.path)
        network = self._kept.pop(version, None) or read_hypernetwork(file)
        widths = {layer.in_features for layer in self._layers.values()}
        if not widths & network.pairs.keys():
            own, known = sorted(network.pairs), sorted(widths)
            raise unusable(file.path, f"it was made for another kind of model (its widths are {own}, not {known})")
        self._kept[version] = network
        while len(self._kept) > _REMEMBERED:
            del self._kept[next(iter(self._kept))]
        return network


@dataclass(slots=True, eq=False)
class _Passage:
    """What a layer's input goes through: (…, tokens, width) of one network after the other."""

    chain: Sequence[tuple[Hypernetwork, float]]
    side: int

    def __call__(self, layer: nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        context: Tensor = arguments[0]
        for network, strength in self.chain:
            pair = network.pairs.get(context.shape[-1])
            if pair is not None:
                exact = context.float()
                changed = pair[self.side].to(context.device)(exact)
                context = (exact + changed * strength).to(context.dtype)
        return (context, *arguments[1:])

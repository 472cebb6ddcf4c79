"""LoRA networks as A1111's built-in extension has them: a `Network` with a module for each layer that it changes.

What an extension changes in them, strengths or tensors, is what the engine then uses; see `_lora_networks.py`.
"""

from __future__ import annotations

import enum
from collections import namedtuple
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from modules.a1111._ldm_layers import bare
from modules.library.network_files import NetworkFile
from modules.networks.kinds.base import Core, LayerChange
from modules.networks.kinds.low_rank import GeneralLowRank, LowRank
from modules.networks.kinds.products import Factors, Hadamard, Kronecker
from modules.networks.kinds.rotation import Butterfly, Rotation
from modules.networks.kinds.simple import Difference, Rescaling

NetworkWeights = namedtuple("NetworkWeights", ["network_key", "sd_key", "w", "sd_module"])
_CONVOLUTION = 4
_TEXT_NAMES = ("transformer", "0_", "1_", "model_")


class SdVersion(enum.Enum):
    """For which kind of model a network was made."""

    Unknown = 1
    SD1 = 2
    SD2 = 3
    SDXL = 4


class NetworkOnDisk:
    """A network's file."""

    def __init__(self, name: str, filename: str, file: NetworkFile | None = None) -> None:
        self.name, self.filename, self.file = name, filename, file
        self.is_safetensors = Path(filename).suffix.lower() == ".safetensors"
        self.hash = self.shorthash = None

    @property
    def metadata(self) -> dict[str, Any]:
        """What the file says of itself."""
        return dict(self.file.metadata) if self.file is not None else {}

    @property
    def alias(self) -> str:
        """The name that its maker gave it."""
        return (self.file.alias if self.file is not None else "") or self.name

    @property
    def sd_version(self) -> SdVersion:
        """For which kind of model it was made, as its maker says."""
        told = str(self.metadata.get("ss_base_model_version", ""))
        if told.startswith("sdxl_"):
            return SdVersion.SDXL
        if str(self.metadata.get("ss_v2", "")) == "True":
            return SdVersion.SD2
        return SdVersion.SD1 if self.metadata else SdVersion.Unknown

    def get_alias(self) -> str:
        """Return the name that prompts have for it."""
        return self.name

    def read_hash(self) -> None:
        """Do nothing: the library computes hashes when they are needed."""


class Network:
    """One network in use. `te_multiplier`, `unet_multiplier`: its strengths; `modules`: by the layer's name."""

    def __init__(self, name: str, network_on_disk: Any) -> None:
        self.name = name
        self.network_on_disk = network_on_disk
        self.te_multiplier = self.unet_multiplier = 1.0
        self.dyn_dim: int | None = None
        self.bundle_embeddings: dict[str, Any] = {}
        self.mtime = self.mentioned_name = None
        self._made: dict[str, NetworkModule] | None = None
        self._make: Any = None

    @property
    def modules(self) -> dict[str, NetworkModule]:
        """Its changes; the file is read when they are asked for."""
        if self._made is None:
            self._made = self._make(self) if self._make is not None else {}
        return self._made

    @property
    def looked_at(self) -> bool:
        """Whether somebody has asked for its changes."""
        return self._made is not None


class ModuleType:
    """Makes modules of one kind."""

    def create_module(self, net: Network, weights: Any) -> Any:
        """Return nothing: Easel's own kinds read all files."""
        return None


class NetworkModule:
    """What a network does to one layer."""

    def __init__(self, net: Network, written: str, sd_key: str, layer: nn.Module, change: LayerChange) -> None:
        self.network, self.network_key, self.sd_key, self.sd_module = net, written, sd_key, layer
        self.shape = layer.weight.shape
        self.bias, self.dora_scale = change.offset, change.magnitude
        self.dim, self.scale = change.core.rank, change.scale
        self.alpha = self.dim * change.scale if self.dim and change.scale is not None else None
        self._change = change
        for name, tensor in _tensors(change.core).items():
            _put(self, name, tensor, layer)
        self._given = tuple(_tensors(change.core))
        given = [_get(self, name) for name in self._given]
        self._state: Any = (change.scale, *((tensor, _writings(tensor)) for tensor in given))
        self._now = change

    def multiplier(self) -> float:
        """Return its strength."""
        on_text = self.sd_key.startswith(_TEXT_NAMES)
        return float(self.network.te_multiplier if on_text else self.network.unet_multiplier)

    def calc_scale(self) -> float:
        """Return the factor that belongs to the file."""
        return float(self.scale if self.scale is not None else 1.0)

    def calc_updown(self, orig_weight: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return what is added to a weight and to its layer's bias, with the strength."""
        delta = self.change().delta(orig_weight.float()).to(orig_weight) * self.multiplier()
        bias = self._change.bias
        return delta, None if bias is None else bias.to(orig_weight) * self.multiplier()

    def change(self) -> LayerChange:
        """Return what it does now: the file's own object as long as nobody has changed anything."""
        now = {name: _get(self, name) for name in self._given}
        scale = self.calc_scale()
        state = (scale, *((tensor, _writings(tensor)) for tensor in now.values()))
        if not _alike(state, self._state):
            self._state = state
            self._now = replace(self._change, core=_with(self._change.core, now), scale=scale)
        return self._now


class NetworkModuleLora(NetworkModule):
    """A product of two matrices: `up_model` after `down_model`, in few files with `mid_model` between them."""

    mid_model: Any = None

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return a layer's output with what the network adds for the input `x`."""
        inside = self.down_model(x)
        inside = inside if self.mid_model is None else self.mid_model(inside)
        return y + self.up_model(inside) * self.multiplier() * self.calc_scale()


class NetworkModuleHada(NetworkModule):
    """A product by elements."""


class NetworkModuleLokr(NetworkModule):
    """A Kronecker product."""


class NetworkModuleFull(NetworkModule):
    """A whole difference."""


class NetworkModuleIa3(NetworkModule):
    """A rescaling."""


class NetworkModuleGLora(NetworkModule):
    """A product that depends on the weight."""


class NetworkModuleOFT(NetworkModule):
    """A rotation."""


_FIELDS: Mapping[type[Core], tuple[type[NetworkModule], Mapping[str, str]]] = MappingProxyType({
    LowRank: (NetworkModuleLora, {"up_model.weight": "up", "down_model.weight": "down", "mid_model.weight": "mid"}),
    GeneralLowRank: (NetworkModuleGLora, {"w1a": "a1", "w1b": "b1", "w2a": "a2", "w2b": "b2"}),
    Hadamard: (NetworkModuleHada, {
        "w1a": "first.left", "w1b": "first.right", "t1": "first.middle", "w2a": "second.left", "w2b": "second.right",
        "t2": "second.middle",
    }),
    Kronecker: (NetworkModuleLokr, {
        "w1": "first", "w1a": "first.left", "w1b": "first.right", "w2": "second", "w2a": "second.left",
        "w2b": "second.right", "t2": "second.middle",
    }),
    Difference: (NetworkModuleFull, {"weight": "difference"}), Rescaling: (NetworkModuleIa3, {"w": "factors"}),
    Rotation: (NetworkModuleOFT, {"oft_blocks": "blocks"}), Butterfly: (NetworkModuleOFT, {"oft_blocks": "blocks"}),
})  # fmt: skip
"""A1111's class for each kind of change, and its attributes for the tensors of ours."""


def module_of(net: Network, written: str, sd_key: str, layer: nn.Module, change: LayerChange) -> NetworkModule:
    """Return what A1111 has for a change of one layer."""
    return _FIELDS.get(type(change.core), (NetworkModule, {}))[0](net, written, sd_key, layer, change)


def _tensors(core: Core) -> dict[str, Tensor]:
    fields = _FIELDS.get(type(core), (NetworkModule, {}))[1]
    found = {name: _inside(core, path) for name, path in fields.items()}
    return {name: tensor for name, tensor in found.items() if isinstance(tensor, Tensor)}


def _inside(core: Any, path: str) -> Any:
    for name in path.split("."):
        core = getattr(core, name, None)
    return core


def _with(core: Core, tensors: Mapping[str, Tensor]) -> Core:
    """Return a core with other tensors, by A1111's names."""
    fields = _FIELDS[type(core)][1]
    changes: dict[str, Any] = {}
    for name, tensor in tensors.items():
        first, _, second = fields[name].partition(".")
        plain = tensor.detach()
        if second:
            pair: Factors = changes.get(first) or getattr(core, first)
            changes[first] = replace(pair, **{second: plain})
        else:
            changes[first] = plain
    return replace(core, **changes)


def _put(module: NetworkModule, name: str, tensor: Tensor, layer: nn.Module) -> None:
    # What is made in inference mode does not count how often it is written to.
    with torch.inference_mode(False):
        own = nn.Parameter(tensor.detach().clone(), requires_grad=False)
    part, _, weight = name.partition(".")
    if not weight:
        setattr(module, name, own)
        return
    convolution = tensor.dim() == _CONVOLUTION
    made = bare(nn.Conv2d if convolution else nn.Linear)
    made.weight, made.bias = own, None
    if convolution:
        inner = part == "down_model" and isinstance(layer, nn.Conv2d)
        made.stride, made.padding, made.dilation, made.groups, made.padding_mode = (1, 1), (0, 0), (1, 1), 1, "zeros"
        if inner:
            made.stride, made.padding = layer.stride, layer.padding
        made.kernel_size, made._reversed_padding_repeated_twice = tuple(tensor.shape[2:]), [0, 0, 0, 0]  # noqa: SLF001
    setattr(module, part, made)


def _writings(tensor: Tensor) -> int:
    """Return how often a tensor was written to, as far as it knows."""
    return 0 if tensor.is_inference() else tensor._version  # noqa: SLF001


def _alike(one: Any, other: Any) -> bool:
    """Say whether scale and tensors, with how often these were written to, are what they were."""
    pairs = zip(one[1:], other[1:], strict=True)
    return one[0] == other[0] and all(a[0] is b[0] and a[1] == b[1] for a, b in pairs)


def _get(module: NetworkModule, name: str) -> Tensor:
    value: Tensor = _inside(module, name)
    return value

"""LoRA files in kohya's layout: for each layer two small matrices whose product is added to the layer's weight.

Paper: https://arxiv.org/abs/2106.09685; for convolutions https://arxiv.org/abs/2309.14859, with `mid` section 3.3.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

import torch
from torch import Tensor

from modules.networks.reading import NetworkOnDisk, Version, read_content, unusable, version_of

LAYER_PREFIX = "lora_"
_UP, _DOWN, _MID, _ALPHA = "lora_up.weight", "lora_down.weight", "lora_mid.weight", "alpha"
_PARTS = frozenset((_UP, _DOWN, _MID, _ALPHA))
_REMEMBERED = 4
"""Files; the largest ones for SD 1.x take some hundred MB."""


@dataclass(frozen=True, slots=True, eq=False)
class LowRank:
    """The change of one layer.

    `up`: (out, rank) or (out, rank, 1, 1); `down`: (rank, in) or (rank, in, rows, columns); `mid`, only of some
    convolutions: (rank of up, rank of down, rows, columns); `alpha`: it was trained at the strength alpha / rank,
    None: at 1.
    """

    up: Tensor
    down: Tensor
    mid: Tensor | None = None
    alpha: float | None = None

    @property
    def scale(self) -> float:
        """The factor that belongs to the matrices' product."""
        return 1.0 if self.alpha is None else self.alpha / self.down.shape[0]

    @property
    def consistent(self) -> bool:
        """Say whether the parts can be multiplied with each other."""
        if self.up.dim() < 2 or self.down.dim() < 2 or prod(self.up.shape[2:]) != 1:
            return False
        if self.mid is None:
            return self.up.shape[1] == self.down.shape[0]
        inner = (self.up.shape[1], self.down.shape[0])
        return self.mid.dim() == 4 and tuple(self.mid.shape[:2]) == inner and prod(self.down.shape[2:]) == 1

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the change as the file has it; layers may have more or fewer dimensions of length 1."""
        outer = (self.up.shape[0], self.down.shape[1])
        return (*outer, *(self.down if self.mid is None else self.mid).shape[2:])

    def fits(self, weight_shape: Sequence[int]) -> bool:
        """Say whether the change can be added to a weight of that shape."""
        return _plain(self.shape) == _plain(weight_shape)

    def delta(self, weight_shape: Sequence[int], dyn: int | None = None) -> Tensor:
        """Return the change at strength 1, of shape `weight_shape`, in float32 and main memory."""
        change = torch.zeros(tuple(weight_shape))
        self.add_to(change, 1.0, dyn)
        return change

    def add_to(self, weight: Tensor, strength: float, dyn: int | None = None) -> None:
        """Add the change times `strength` to `weight`, which must be in float32; computed on the weight's device.

        `dyn` keeps only so many of the ranks, without changing the scale; like A1111's it does nothing where there is
        a `mid`.
        """
        up = self.up.to(weight.device, torch.float32).flatten(1)
        down = self.down.to(weight.device, torch.float32).flatten(1)
        factor = self.scale * strength
        if self.mid is not None:
            mid = self.mid.to(weight.device, torch.float32)
            weight += torch.einsum("or,rshw,si->oihw", up, mid, down).mul_(factor).reshape(weight.shape)
        elif prod(weight.shape[2:]) == 1:
            weight.view(weight.shape[0], -1).addmm_(up[:, :dyn], down[:dyn], alpha=factor)
        else:
            weight += (up[:, :dyn] @ down[:dyn]).mul_(factor).reshape(weight.shape)


@dataclass(frozen=True, slots=True, eq=False)
class Lora:
    """One file's changes by kohya's name of the layer, and the names in it that are no layer's."""

    path: Path
    modules: Mapping[str, LowRank]
    strangers: tuple[str, ...] = ()


def read_lora(file: NetworkOnDisk) -> Lora:
    """Return what the file holds. Raises NetworkUnavailable when it is broken or no LoRA."""
    content = read_content(file.path)
    nested = content.get("state_dict")
    layers: dict[str, dict[str, Tensor]] = {}
    strangers = []
    for name, value in (nested if isinstance(nested, Mapping) else content).items():
        if not isinstance(value, Tensor):
            continue
        layer, _, part = str(name).partition(".")
        if layer.startswith(LAYER_PREFIX):
            layers.setdefault(layer, {})[part] = value
        else:
            strangers.append(str(name))
    if not layers:
        raise unusable(file.path, "it holds no LoRA in the layout that SD 1.x's have (lora_unet_…, lora_te_…)")
    modules = {layer: _low_rank(file.path, layer, parts) for layer, parts in layers.items()}
    return Lora(file.path, modules, tuple(strangers))


def _low_rank(path: Path, layer: str, parts: Mapping[str, Tensor]) -> LowRank:
    unknown = sorted(set(parts) - _PARTS)
    if unknown:
        raise unusable(path, f"its layer {layer} is of a kind that is not supported yet ({', '.join(unknown)})")
    missing = [part for part in (_UP, _DOWN) if part not in parts]
    if missing:
        raise unusable(path, f"its layer {layer} lacks {' and '.join(missing)}")
    alpha = parts.get(_ALPHA)
    if alpha is not None and alpha.numel() != 1:
        raise unusable(path, f"the alpha of its layer {layer} is no single number")
    change = LowRank(parts[_UP], parts[_DOWN], parts.get(_MID), None if alpha is None else float(alpha))
    if not change.consistent:
        shapes = ", ".join(str(tuple(parts[part].shape)) for part in (_UP, _MID, _DOWN) if part in parts)
        raise unusable(path, f"the parts of its layer {layer} do not fit each other ({shapes})")
    return change


class LoraCache:
    """Keeps the files that were read last, as long as they do not change on disk. For one thread at a time."""

    def __init__(self, limit: int = _REMEMBERED) -> None:
        """Take how many files to keep."""
        self.limit = limit
        self._kept: OrderedDict[Version, Lora] = OrderedDict()

    def get(self, file: NetworkOnDisk) -> Lora:
        """Return what the file holds now. Raises NetworkUnavailable."""
        version = version_of(file.path)
        lora = self._kept.pop(version, None) or read_lora(file)
        self._kept[version] = lora
        while len(self._kept) > self.limit:
            self._kept.popitem(last=False)
        return lora


def _plain(shape: Sequence[int]) -> tuple[int, ...]:
    """Return the shape without the 1 x 1 of such convolutions, which are written with and without it."""
    plain = tuple(shape)
    return plain[:2] if all(length == 1 for length in plain[2:]) else plain

"""What every kind has in common: a change of one layer's weight that is scaled, and perhaps one of its bias."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor


class PartsProblem(Exception):
    """The tensors that a file holds for a layer cannot be used; the text says why, without naming file or layer."""


class Core(ABC):
    """What a kind of network makes of a layer's weight, before any scale."""

    __slots__ = ()

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """The shape of the weights that it is for, as far as it is known: (out, in, …), 0 where anything fits."""

    @property
    def rank(self) -> int | None:
        """The number that `alpha` is divided by; None where alpha is no strength."""
        return None

    @property
    def reads_weight(self) -> bool:
        """Say whether the change depends on the weight that it is added to."""
        return False

    def fits(self, weight_shape: Sequence[int]) -> bool:
        """Say whether the change can be added to a weight of that shape.

        Files have the kernels of convolutions as dimensions of their own or flattened into the one before.
        """
        own = self.shape
        rows = own[0] in (0, weight_shape[0])
        return rows and (0 in own[1:] or prod(own[1:]) == prod(weight_shape[1:]))

    @abstractmethod
    def delta(self, weight: Tensor, dyn: int | None) -> Tensor:
        """Return the change in float32 on the weight's device; it has as many numbers as `weight`, which is float32.

        `dyn` keeps only so many ranks; like A1111, only plain low-rank products know it.
        """

    def add_to(self, weight: Tensor, factor: float, dyn: int | None) -> None:
        """Add the change times `factor` to `weight`, in place."""
        weight += self.delta(weight, dyn).reshape(weight.shape).mul_(factor)


@dataclass(frozen=True, slots=True, eq=False)
class LayerChange:
    """What one network does to one layer.

    `scale` belongs to the change; `offset` is added to the change before it; `magnitude` (DoRA, arXiv:2402.09353)
    gives the changed weight's columns, or rows, their lengths; `bias` is added to the layer's bias.
    """

    core: Core
    scale: float = 1.0
    offset: Tensor | None = None
    magnitude: Tensor | None = None
    bias: Tensor | None = None

    @property
    def reads_weight(self) -> bool:
        """Say whether the change depends on the weight that it is added to."""
        return self.magnitude is not None or self.core.reads_weight

    def fits(self, weight_shape: Sequence[int]) -> bool:
        """Say whether all of it is for a layer with a weight of that shape."""
        if not self.core.fits(weight_shape) or (self.offset is not None and self.offset.numel() != prod(weight_shape)):
            return False
        lengths = 0 if self.magnitude is None else self.magnitude.numel()
        if lengths and lengths != weight_shape[0 if _by_row(self.magnitude, weight_shape) else 1]:
            return False
        return self.bias is None or self.bias.numel() == weight_shape[0]

    def delta(self, weight: Tensor, dyn: int | None = None) -> Tensor:
        """Return the change at strength 1 for `weight`, which is float32, in its shape."""
        change = weight.clone()
        self.add_to(change, 1.0, dyn)
        return change - weight

    def add_to(self, weight: Tensor, strength: float, dyn: int | None = None) -> None:
        """Add the change times `strength` to `weight`, which must be float32; computed on its device."""
        if self.offset is None and self.magnitude is None:
            self.core.add_to(weight, self.scale * strength, dyn)
            return
        change = self.core.delta(weight, dyn).reshape(weight.shape)
        if self.offset is not None:
            change = change + like(self.offset, weight).reshape(weight.shape)
        change = change * self.scale
        if self.magnitude is not None:
            change = _with_lengths(weight + change, like(self.magnitude, weight)) - weight
        weight += change.mul_(strength)


def like(tensor: Tensor, weight: Tensor) -> Tensor:
    """Return a file's tensor in float32 where the weight lies."""
    return tensor.to(weight.device, torch.float32)


def flat(tensor: Tensor, weight: Tensor) -> Tensor:
    """Return a file's tensor as a matrix in float32 where the weight lies."""
    return like(tensor, weight).flatten(1)


def check(holds: bool, parts: Mapping[str, Tensor | None]) -> None:
    """Raise PartsProblem with the shapes of the parts unless they fit each other."""
    if not holds:
        shapes = ", ".join(f"{name} {tuple(part.shape)}" for name, part in parts.items() if part is not None)
        raise PartsProblem(f"the parts do not fit each other ({shapes})")


def _by_row(magnitude: Tensor | None, weight_shape: Sequence[int]) -> bool:
    """Say whether lengths are for the weight's rows (one per output) and not for its columns (one per input).

    The paper, and so A1111, has lengths of columns, in the shape (1, in, …); LyCORIS since 2025 and peft have (out, 1)
    or (out,). A1111 puts the latter over lengths of columns, which makes noise of them.
    """
    if magnitude is None or magnitude.dim() == 0:
        return False
    return not (magnitude.dim() > 1 and magnitude.shape[0] == 1) and magnitude.shape[0] == weight_shape[0]


def _with_lengths(weight: Tensor, magnitude: Tensor) -> Tensor:
    """Return the weight with columns (or rows) of those lengths; those that are zero stay so."""
    kept = 0 if _by_row(magnitude, weight.shape) else 1
    others = [place for place in range(weight.dim()) if place != kept]
    lengths = torch.linalg.vector_norm(weight, dim=others, keepdim=True).clamp_min(torch.finfo(weight.dtype).tiny)
    factors = magnitude.reshape(lengths.shape) / lengths
    return weight.mul(factors)

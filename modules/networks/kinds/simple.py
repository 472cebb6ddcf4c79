"""Changes that are written down as they are: full differences, those of norms, and IA3's factors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from modules.networks.kinds.base import Core, PartsProblem, like


@dataclass(frozen=True, slots=True, eq=False)
class Difference(Core):
    """The difference itself, of any shape; None where only the bias changes."""

    difference: Tensor | None

    @property
    def shape(self) -> tuple[int, ...]:
        """The difference's own."""
        return (0,) if self.difference is None else tuple(self.difference.shape)

    def fits(self, weight_shape: Sequence[int]) -> bool:
        """Say whether the difference is for a weight of that shape."""
        # A dataclass with slots is made anew, so that super() alone would name the class before.
        return self.difference is None or super(Difference, self).fits(weight_shape)

    def delta(self, weight: Tensor, dyn: int | None) -> Tensor:
        """Return the difference."""
        return torch.zeros_like(weight) if self.difference is None else like(self.difference, weight).clone()


@dataclass(frozen=True, slots=True, eq=False)
class Rescaling(Core):
    """IA3 (https://arxiv.org/abs/2205.05638): the weight times one factor per output, or per input."""

    factors: Tensor
    on_input: bool

    def __post_init__(self) -> None:
        if self.factors.numel() != max(self.factors.shape, default=0):
            raise PartsProblem(f"factors of shape {tuple(self.factors.shape)} are no list")

    @property
    def shape(self) -> tuple[int, ...]:
        """As far as it is known."""
        return (0, self.factors.numel()) if self.on_input else (self.factors.numel(), 0)

    @property
    def reads_weight(self) -> bool:
        """The change is the weight times something."""
        return True

    def fits(self, weight_shape: Sequence[int]) -> bool:
        """Say whether there is one factor for each input, or output, of a weight of that shape."""
        return len(weight_shape) > 1 and weight_shape[1 if self.on_input else 0] == self.factors.numel()

    def delta(self, weight: Tensor, dyn: int | None) -> Tensor:
        """Return the weight times the factors."""
        sides = [1] * weight.dim()
        sides[1 if self.on_input else 0] = -1
        return weight * like(self.factors, weight).reshape(sides)

"""LoHa and LoKr: changes that are products of two matrices element by element, or block by block.

Papers: https://arxiv.org/abs/2108.06098 (Hadamard), https://arxiv.org/abs/2309.14859 section 3 (both, and cores).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from modules.networks.kinds.base import Core, PartsProblem, check, flat, like


@dataclass(frozen=True, slots=True, eq=False)
class Factors:
    """A matrix in two factors, or a convolution's kernels as a `middle` between them.

    Without `middle`: `left` (out, rank), `right` (rank, in, …). With it: `middle` (rank, rank, rows, columns), `left`
    (rank, out), `right` (rank, in).
    """

    left: Tensor
    right: Tensor
    middle: Tensor | None = None

    def __post_init__(self) -> None:
        matrices = self.left.dim() == 2 and self.right.dim() > 1
        if self.middle is None:
            holds = matrices and self.left.shape[1] == self.right.shape[0]
        else:
            inner = (self.left.shape[0], self.right.shape[0]) if matrices else ()
            holds = self.middle.dim() == 4 and tuple(self.middle.shape[:2]) == inner and self.right.dim() == 2
        check(holds, {"a": self.left, "b": self.right, "t": self.middle})

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the product."""
        if self.middle is None:
            return (self.left.shape[0], *self.right.shape[1:])
        return (self.left.shape[1], self.right.shape[1], *self.middle.shape[2:])

    def product(self, weight: Tensor) -> Tensor:
        """Return the product in float32 where the weight lies, in its shape."""
        left = like(self.left, weight)
        if self.middle is not None:
            middle, right = like(self.middle, weight), like(self.right, weight)
            return torch.einsum("rshw,ro,si->oihw", middle, left, right)
        return (left @ flat(self.right, weight)).reshape(self.shape)


@dataclass(frozen=True, slots=True, eq=False)
class Hadamard(Core):
    """LoHa: two low-rank matrices multiplied element by element."""

    first: Factors
    second: Factors

    def __post_init__(self) -> None:
        if prod(self.first.shape) != prod(self.second.shape) or self.first.shape[0] != self.second.shape[0]:
            raise PartsProblem(f"the parts do not fit each other ({self.first.shape} and {self.second.shape})")

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the change as the file has it."""
        return self.first.shape

    @property
    def rank(self) -> int:
        """The rank of the first matrix."""
        return int(self.first.right.shape[0])

    def delta(self, weight: Tensor, dyn: int | None) -> Tensor:
        """Return the product."""
        first = self.first.product(weight)
        return first * self.second.product(weight).reshape(first.shape)


@dataclass(frozen=True, slots=True, eq=False)
class Kronecker(Core):
    """LoKr: every element of `first`, (a, c), times all of `second`, (b, d, …), side by side: (ab, cd, …).

    Each of the two is whole or in factors.
    """

    first: Tensor | Factors
    second: Tensor | Factors

    def __post_init__(self) -> None:
        if len(self.first.shape) != 2 or len(self.second.shape) not in (2, 4):
            shapes = f"{tuple(self.first.shape)} and {tuple(self.second.shape)}"
            raise PartsProblem(f"the parts do not fit each other ({shapes})")

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the change as the file has it."""
        first, second = self.first.shape, self.second.shape
        return (first[0] * second[0], first[1] * second[1], *second[2:])

    @property
    def rank(self) -> int | None:
        """The rank of the last matrix that is in factors; with both of them whole alpha is no strength."""
        for part in (self.second, self.first):
            if isinstance(part, Factors):
                return int(part.right.shape[0])
        return None

    def delta(self, weight: Tensor, dyn: int | None) -> Tensor:
        """Return the product."""
        first, second = _whole(self.first, weight), _whole(self.second, weight)
        if second.dim() == 4:
            first = first[:, :, None, None]
        return torch.kron(first, second.contiguous())


def _whole(part: Tensor | Factors, weight: Tensor) -> Tensor:
    return part.product(weight) if isinstance(part, Factors) else like(part, weight)

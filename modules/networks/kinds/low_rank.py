"""LoRA and LoCon: the product of two small matrices, for convolutions perhaps with a third one between them.

Papers: https://arxiv.org/abs/2106.09685; for convolutions https://arxiv.org/abs/2309.14859, with `mid` section 3.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from modules.networks.kinds.base import Core, check, flat, like


@dataclass(frozen=True, slots=True, eq=False)
class LowRank(Core):
    """`up` times `down`.

    `up`: (out, rank) or (out, rank, 1, 1); `down`: (rank, in) or (rank, in, rows, columns); `mid`, only of some
    convolutions: (rank of up, rank of down, rows, columns).
    """

    up: Tensor
    down: Tensor
    mid: Tensor | None = None

    def __post_init__(self) -> None:
        matrices = self.up.dim() > 1 and self.down.dim() > 1 and prod(self.up.shape[2:]) == 1
        if self.mid is None:
            holds = matrices and self.up.shape[1] == self.down.shape[0]
        else:
            inner = (self.up.shape[1], self.down.shape[0]) if matrices else ()
            holds = self.mid.dim() == 4 and tuple(self.mid.shape[:2]) == inner and prod(self.down.shape[2:]) == 1
        check(holds, {"lora_up": self.up, "lora_mid": self.mid, "lora_down": self.down})

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the change as the file has it."""
        kernel = (self.down if self.mid is None else self.mid).shape[2:]
        return (self.up.shape[0], self.down.shape[1], *kernel)

    @property
    def rank(self) -> int:
        """The length that is multiplied away."""
        return int(self.down.shape[0])

    def delta(self, weight: Tensor, dyn: int | None) -> Tensor:
        """Return the product."""
        up, down = flat(self.up, weight), flat(self.down, weight)
        if self.mid is not None:
            return torch.einsum("or,rshw,si->oihw", up, like(self.mid, weight), down)
        return up[:, :dyn] @ down[:dyn]

    def add_to(self, weight: Tensor, factor: float, dyn: int | None) -> None:
        """Add the product times `factor`, for matrices without storing it."""
        if self.mid is None and prod(weight.shape[2:]) == 1:
            up, down = flat(self.up, weight)[:, :dyn], flat(self.down, weight)[:dyn]
            weight.view(weight.shape[0], -1).addmm_(up, down, alpha=factor)
        else:
            weight += self.delta(weight, dyn).mul_(factor).reshape(weight.shape)


@dataclass(frozen=True, slots=True, eq=False)
class GeneralLowRank(Core):
    """GLoRA (https://arxiv.org/abs/2306.07967): W a2 a1 + b2 b1, in the order in which A1111 reads the names.

    `a2`: (in, rank), `a1`: (rank, in), `b2`: (out, rank), `b1`: (rank, in). Newer versions of LyCORIS write the two of
    each pair the other way round, which their shapes show, and only there is alpha a strength.
    """

    a1: Tensor
    a2: Tensor
    b1: Tensor
    b2: Tensor

    def __post_init__(self) -> None:
        holds = all(part.dim() > 1 for part in (self.a1, self.a2, self.b1, self.b2)) and self._multiplies()
        check(holds, {"a1": self.a1, "a2": self.a2, "b1": self.b1, "b2": self.b2})

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the change as the file has it."""
        left, right = self._pairs()[1]
        return (left.shape[0], *right.shape[1:])

    @property
    def rank(self) -> int | None:
        """The length that is multiplied away, in newer files alone: A1111 knows no alpha for these networks."""
        return int(self.b2.shape[0]) if self._newer() else None

    @property
    def reads_weight(self) -> bool:
        """The first half is a product with the weight."""
        return True

    def delta(self, weight: Tensor, dyn: int | None) -> Tensor:
        """Return the sum of both products; of a convolution the first works on its input channels."""
        (left, right), (up, down) = self._pairs()
        on_input = flat(left, weight) @ flat(right, weight)
        moved = torch.einsum("oi...,ij->oj...", weight, on_input)
        return moved + (flat(up, weight) @ flat(down, weight)).reshape(weight.shape)

    def _multiplies(self) -> bool:
        pairs = self._pairs()
        inner = all(left.shape[1] == right.shape[0] and prod(left.shape[2:]) == 1 for left, right in pairs)
        return inner and pairs[0][0].shape[0] == prod(pairs[0][1].shape[1:])

    def _newer(self) -> bool:
        """Say whether the pairs are in the newer order; the rank is the shorter side."""
        return self.a2.shape[0] < self.a2.shape[1]

    def _pairs(self) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Return the pair on the weight's input side and the pair that is added."""
        if self._newer():
            return (self.a1, self.a2), (self.b1, self.b2)
        return (self.a2, self.a1), (self.b2, self.b1)

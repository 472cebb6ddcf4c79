"""OFT and BOFT: the outputs of a layer are turned, in blocks, by orthogonal matrices.

Papers: https://arxiv.org/abs/2306.07280 (OFT, COFT), https://arxiv.org/abs/2311.06243 (BOFT).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from modules.networks.kinds.base import Core, PartsProblem, like

_SMALL = 1e-8
"""Keeps the quotient of lengths finite; A1111's and kohya's."""


@dataclass(frozen=True, slots=True, eq=False)
class Rotation(Core):
    """Turns each group of outputs by a matrix of its own.

    `blocks`: (groups, size, size). They are the rotations themselves (`ready`), or what Cayley's transform makes such
    of; then `constraint` times the number of outputs bounds the length of what is transformed, None: no bound.
    `rescale`: a factor for each output.
    """

    blocks: Tensor
    ready: bool = False
    constraint: float | None = None
    rescale: Tensor | None = None

    def __post_init__(self) -> None:
        if self.blocks.dim() != 3 or self.blocks.shape[1] != self.blocks.shape[2]:
            raise PartsProblem(f"blocks of shape {tuple(self.blocks.shape)} are no square matrices")

    @property
    def shape(self) -> tuple[int, ...]:
        """As far as it is known."""
        return (self.blocks.shape[0] * self.blocks.shape[1], 0)

    @property
    def reads_weight(self) -> bool:
        """The change is the difference to the turned weight."""
        return True

    def delta(self, weight: Tensor, dyn: int | None) -> Tensor:
        """Return the turned weight less the weight."""
        turns = like(self.blocks, weight)
        if not self.ready:
            turns = cayley(turns, self.constraint, weight.shape[0])
        groups = weight.reshape(turns.shape[0], turns.shape[1], -1)
        turned = (turns.transpose(1, 2) @ groups).reshape(weight.shape)
        return _rescaled(turned, self.rescale) - weight


@dataclass(frozen=True, slots=True, eq=False)
class Butterfly(Core):
    """Turns the outputs several times, in other groups each time, so that few small matrices reach all of them.

    `blocks`: (times, groups, size, size), as in `Rotation`.
    """

    blocks: Tensor
    constraint: float | None = None
    rescale: Tensor | None = None

    def __post_init__(self) -> None:
        shape = self.blocks.shape
        if self.blocks.dim() != 4 or shape[2] != shape[3] or shape[2] % 2:
            raise PartsProblem(f"blocks of shape {tuple(shape)} are no square matrices of an even size")
        if self.shape[0] % (2 ** shape[0] * (shape[2] // 2)):
            raise PartsProblem(f"blocks of shape {tuple(shape)} cannot be mixed {shape[0]} times")

    @property
    def shape(self) -> tuple[int, ...]:
        """As far as it is known."""
        return (self.blocks.shape[1] * self.blocks.shape[2], 0)

    @property
    def reads_weight(self) -> bool:
        """The change is the difference to the turned weight."""
        return True

    def delta(self, weight: Tensor, dyn: int | None) -> Tensor:
        """Return the turned weight less the weight."""
        times, groups, size, _ = self.blocks.shape
        turns = cayley(like(self.blocks, weight), self.constraint, weight.shape[0])
        turned = weight.reshape(weight.shape[0], -1)
        for time in range(times):
            # Partners lie `stride` apart; they are brought side by side, turned in groups, and put back.
            stride = 2**time * (size // 2)
            mixed = turned.reshape(-1, 2, stride, turned.shape[1]).transpose(1, 2).reshape(groups, size, -1)
            mixed = (turns[time] @ mixed).reshape(-1, stride, 2, turned.shape[1])
            turned = mixed.transpose(1, 2).reshape(turned.shape)
        return _rescaled(turned.reshape(weight.shape), self.rescale) - weight


def cayley(blocks: Tensor, constraint: float | None, outputs: int) -> Tensor:
    """Return the orthogonal matrices (1 + Q) / (1 - Q) of Q = blocks less their transposes, whose length is bounded."""
    skew = blocks - blocks.transpose(-1, -2)
    if constraint:
        length = torch.linalg.vector_norm(skew)
        skew = skew * ((length.clamp(max=constraint * outputs) + _SMALL) / (length + _SMALL))
    one = torch.eye(skew.shape[-1], device=skew.device)
    # Both factors are functions of the same matrix, so that their order is free.
    turns: Tensor = torch.linalg.solve(one - skew, one + skew)
    return turns


def _rescaled(weight: Tensor, rescale: Tensor | None) -> Tensor:
    if rescale is None:
        return weight
    return weight * like(rescale, weight).reshape(-1, *[1] * (weight.dim() - 1))

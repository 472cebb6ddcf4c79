"""A Brownian path that its seed alone decides, whatever is asked of it and in which order.

The virtual Brownian tree of Li et al. 2020 (arXiv:2001.01328, section 4): the path is known at its ends, and each
halving adds the middle from the Brownian bridge and a draw of its own. Seeds and rounding are those of the library
torchsde 0.2.6, so that the path is the one that pictures elsewhere were made with.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

DIGITS = 6
"""Times are rounded to so many decimal places, at which the halving ends."""

POOL_SIZE = 24
"""How many words of entropy the seeds of the tree are mixed from."""

Draw = Callable[[int], Tensor]
"""Returns standard normal noise of the path's shape, the first that a generator of this seed gives."""


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A part of the path between two times; `key` counts the stretches of the same depth from the left."""

    start: float
    end: float
    depth: int = 0
    key: int = 0

    @property
    def middle(self) -> float:
        return round(0.5 * (self.end + self.start), DIGITS)

    def halves(self) -> tuple[_Stretch, _Stretch]:
        """Return the stretches before and after the middle."""
        depth, key = self.depth + 1, 2 * self.key
        return _Stretch(self.start, self.middle, depth, key), _Stretch(self.middle, self.end, depth, key + 1)


class BrownianTree:
    """The increments of one path; remembers the halves of the last stretch that was asked for, since the next
    begins where that one ended.
    """

    def __init__(self, seed: int, start: float, end: float, draw: Draw) -> None:
        """Take a seed of 0 or more, the path's ends and the source of its noise."""
        self.seed = seed
        self.draw = draw
        self.whole = _Stretch(round(start, DIGITS), round(end, DIGITS))
        first = np.random.SeedSequence(entropy=seed, pool_size=POOL_SIZE).generate_state(3)[0]
        self.total = draw(int(first)) * math.sqrt(end - start)
        self.known: dict[_Stretch, Tensor] = {}

    def increment(self, start: float, end: float) -> Tensor:
        """Return by how much the path grows from `start` to `end`; times beyond its ends are taken for the ends."""
        low, high = self.whole.start, self.whole.end
        times = [round(min(max(time, low), high), DIGITS) for time in (start, end)]
        if times[0] >= times[1]:
            return torch.zeros_like(self.total)
        used: dict[_Stretch, Tensor] = {}
        grown = self._between(self.whole, self.total, (times[0], times[1]), used)
        self.known = used
        first, *others = grown
        for other in others:
            first = first + other
        return first

    def _between(
        self, stretch: _Stretch, growth: Tensor, times: tuple[float, float], used: dict[_Stretch, Tensor]
    ) -> list[Tensor]:
        """Return the growth over the largest stretches that make up `times`, which lie within `stretch`, in order."""
        start, end = times
        if (start, end) == (stretch.start, stretch.end):
            return [growth]
        left, right = stretch.halves()
        left_growth = self._left_growth(stretch, growth, used)
        pieces = []
        if start < left.end:
            pieces += self._between(left, left_growth, (start, min(end, left.end)), used)
        if end > right.start:
            pieces += self._between(right, growth - left_growth, (max(start, right.start), end), used)
        return pieces

    def _left_growth(self, stretch: _Stretch, growth: Tensor, used: dict[_Stretch, Tensor]) -> Tensor:
        """Return the growth over the first half: normal around its share, as the bridge between the ends has it."""
        if stretch in self.known:
            used[stretch] = self.known[stretch]
            return used[stretch]
        before, after = stretch.middle - stretch.start, stretch.end - stretch.middle
        scale = 1 / (stretch.end - stretch.start)
        sequence = np.random.SeedSequence(
            entropy=self.seed, spawn_key=(stretch.key, stretch.depth), pool_size=POOL_SIZE
        )
        noise = self.draw(int(sequence.generate_state(4)[0]))
        used[stretch] = before * growth * scale + math.sqrt(before * after * scale) * noise
        return used[stretch]

"""Seeds to noise. Every picture of a batch has a generator of its own, so picture k of a batch is the single picture
of seed + k, whatever the batch size and whatever ran before.

Three sources, under A1111's names: "CPU" and "GPU" are torch's generators of that device; "NV" computes on any device
what torch gives on an NVIDIA card: Philox 4x32-10 (Salmon et al. 2011, doi:10.1145/2063384.2063405) with the
Box-Muller transform.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from modules.core.parameters import NOISE_SOURCES
from modules.sampling.brownian import BrownianTree

ALMOST_PARALLEL = 0.9995
"""From this mean cosine on, two noises are blended in a line and not along an arc."""

_PHILOX_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_PHILOX_KEY_STEPS = (np.uint64(0x9E3779B9), np.uint64(0xBB67AE85))
_PHILOX_ROUNDS = 10
_LOW_BITS = np.uint64(0xFFFFFFFF)
_HIGH_SHIFT = np.uint64(32)


class NoiseGenerator(Protocol):
    """Draws standard normal noise; each draw continues where the last one ended."""

    def randn(self, shape: Sequence[int]) -> Tensor:
        """Return float32 noise of `shape`, mean 0 and variance 1."""


class TorchGenerator:
    """Noise from torch's own generator on `device`; a GPU's differs from the CPU's and between vendors."""

    def __init__(self, seed: int, device: torch.device) -> None:
        # torch has no generator of its own on Apple's devices that a seed would make repeatable across versions.
        self.device = torch.device("cpu") if device.type == "mps" else device
        self.generator = torch.Generator(self.device).manual_seed(seed)

    def randn(self, shape: Sequence[int]) -> Tensor:
        """Return float32 noise of `shape` on the generator's device."""
        return torch.randn(tuple(shape), generator=self.generator, device=self.device)


class PhiloxGenerator:
    """The noise of torch on an NVIDIA card, computed on the CPU."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.draws = 0

    def randn(self, shape: Sequence[int]) -> Tensor:
        """Return float32 noise of `shape`.

        Element i of draw n is the first pair of words of the block with counter (n, 0, i, 0) and the seed as key.
        """
        count = math.prod(shape)
        index = np.arange(count, dtype=np.uint64)
        zeros = np.zeros(count, dtype=np.uint64)
        first, second = _philox([zeros + np.uint64(self.draws), zeros, index, zeros], self.seed)
        self.draws += 1
        return torch.from_numpy(_box_muller(first, second).reshape(tuple(shape)))


def _philox(counter: list[np.ndarray], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the first two 32-bit words of each block; `counter`: four arrays of 32-bit words held in uint64."""
    key = [np.uint64(seed & 0xFFFFFFFF), np.uint64(seed >> 32 & 0xFFFFFFFF)]
    a, b, c, d = counter
    for _ in range(_PHILOX_ROUNDS):
        left = a * _PHILOX_MULTIPLIERS[0]
        right = c * _PHILOX_MULTIPLIERS[1]
        a, b, c, d = (
            (right >> _HIGH_SHIFT) ^ b ^ key[0],
            right & _LOW_BITS,
            (left >> _HIGH_SHIFT) ^ d ^ key[1],
            left & _LOW_BITS,
        )
        key = [(word + step) & _LOW_BITS for word, step in zip(key, _PHILOX_KEY_STEPS, strict=True)]
    return a, b


def _box_muller(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return one standard normal float32 per pair of 32-bit words."""
    uniform = (first.astype(np.float64) + 0.5) * 2.0**-32
    angle = (second.astype(np.float64) + 0.5) * (2.0**-32 * 2 * math.pi)
    normal: np.ndarray = np.sqrt(-2 * np.log(uniform)) * np.sin(angle)
    return normal.astype(np.float32)


@dataclass(frozen=True, slots=True)
class NoiseSeeds:
    """What the noise of a batch is made from: one seed per picture.

    With a `subseed_strength` (0 to 1) the first noise is turned towards that of the `subseeds`; a picture without one
    takes 0. `resize_from`: (rows, columns) of the latents whose noise is put into the middle of the first noise.
    `seed_delta` is added to the seeds for all noise after the first ("eta noise seed delta").
    """

    seeds: tuple[int, ...]
    subseeds: tuple[int, ...] = ()
    subseed_strength: float = 0.0
    resize_from: tuple[int, int] | None = None
    seed_delta: int = 0

    def subseed(self, place: int) -> int | None:
        """Return the subseed of a picture of the batch, None where the batch has no variation."""
        if not self.subseeds or self.subseed_strength == 0:
            return None
        return self.subseeds[place] if place < len(self.subseeds) else 0


class BatchNoise:
    """The noise of one batch: one generator per picture."""

    def __init__(self, seeds: NoiseSeeds, shape: Sequence[int], source: str, device: torch.device) -> None:
        """Take what seeds the noise; `shape`: (channels, height/8, width/8) of one picture's latents."""
        self.seeds = seeds
        self.shape = tuple(shape)
        self.source = source
        self.device = device
        self.generators = [self._generator(seed) for seed in seeds.seeds]
        self.is_first = True

    def draw(self) -> Tensor:
        """Return the next noise: (batch, channels, height/8, width/8), float32, on the device."""
        if self.is_first:
            self.is_first = False
            return self._first()
        return torch.stack([generator.randn(self.shape).to(self.device) for generator in self.generators])

    def _first(self) -> Tensor:
        noise = torch.stack([self._first_of(place) for place in range(len(self.generators))])
        if self.seeds.seed_delta:
            self.generators = [self._generator(seed + self.seeds.seed_delta) for seed in self.seeds.seeds]
        return noise

    def _first_of(self, place: int) -> Tensor:
        """Return the first noise of one picture: (channels, height/8, width/8).

        Noise of another size comes from a generator of its own, so that the picture's own has given one draw only.
        """
        rows, columns = self.seeds.resize_from or self.shape[1:]
        shape = (self.shape[0], rows, columns)
        resized = shape != self.shape
        generator = self._generator(self.seeds.seeds[place]) if resized else self.generators[place]
        noise = generator.randn(shape).to(self.device)
        subseed = self.seeds.subseed(place)
        if subseed is not None:
            other = self._generator(subseed).randn(shape).to(self.device)
            noise = slerp(self.seeds.subseed_strength, noise, other)
        return pasted(noise, self.generators[place].randn(self.shape).to(self.device)) if resized else noise

    def _generator(self, seed: int) -> NoiseGenerator:
        return _generator(seed, self.source, self.device)


def slerp(share: float, low: Tensor, high: Tensor) -> Tensor:
    """Turn `low` towards `high` by `share` (0 to 1) along an arc (Shoemake 1985, doi:10.1145/325334.325242).

    Both are (channels, rows, columns), and every column of a channel is turned by itself, as A1111 does. So is its
    blend of two that are almost parallel, whose shares stand the other way round.
    """
    cosine = ((low / low.norm(dim=1, keepdim=True)) * (high / high.norm(dim=1, keepdim=True))).sum(1)
    if cosine.mean() > ALMOST_PARALLEL:
        return low * share + high * (1 - share)
    angle = cosine.clamp(-1, 1).acos()
    sine = angle.sin()
    # Columns of a single row are parallel or opposite: there is no arc, and the blend is a line.
    flat = sine == 0
    low_share = torch.where(flat, 1 - share, ((1 - share) * angle).sin() / sine)
    high_share = torch.where(flat, share, (share * angle).sin() / sine)
    return low_share.unsqueeze(1) * low + high_share.unsqueeze(1) * high


def pasted(noise: Tensor, ground: Tensor) -> Tensor:
    """Return `ground` with `noise` in its middle, cut where it is larger; both are (channels, rows, columns).

    An odd difference of sizes is rounded down, towards more of a cut, as A1111 does.
    """
    rows = _overlap(noise.shape[1], ground.shape[1])
    columns = _overlap(noise.shape[2], ground.shape[2])
    whole = ground.clone()
    whole[:, rows[1], columns[1]] = noise[:, rows[0], columns[0]]
    return whole


def _overlap(size: int, ground_size: int) -> tuple[slice, slice]:
    """Return which part of the noise goes to which part of the ground, along one axis."""
    margin = (ground_size - size) // 2
    if margin >= 0:
        return slice(0, size), slice(margin, margin + size)
    return slice(-margin, size + margin), slice(0, size + 2 * margin)


def _generator(seed: int, source: str, device: torch.device) -> NoiseGenerator:
    if source == "NV":
        return PhiloxGenerator(seed)
    if source == "CPU":
        return TorchGenerator(seed, torch.device("cpu"))
    if source == "GPU":
        return TorchGenerator(seed, device)
    raise ValueError(f"noise source {source!r} is none of {', '.join(NOISE_SOURCES)}")


class BrownianNoise:
    """Noise whose value depends on the interval of sigma that it is for: increments of one Brownian path per picture.

    So a run with other steps walks the same path, which keeps pictures of SDE samplers alike over step counts.
    """

    def __init__(
        self,
        seeds: Sequence[int],
        x: Tensor,
        sigma_min: float,
        sigma_max: float,
        source: str,
        shared: bool = False,
    ) -> None:
        """Take one seed per picture of the batch `x`, and the span of the sigmas; `sigma_min` is positive.

        `shared`: one path for the whole batch instead, as A1111 has it without "batch determinism": its seed is the
        first number of a generator seeded with the last picture's, which is all that A1111 leaves to it.
        """
        shape = x.shape if shared else x.shape[1:]
        if shared:
            generator = torch.Generator().manual_seed(seeds[-1])
            seeds = [int(torch.randint(0, 2**63 - 1, [], generator=generator))]
        # The ends are rounded as a float32 tensor rounds them: a Brownian path shows the last bit of its times.
        ends = float(torch.tensor(sigma_min)), float(torch.tensor(sigma_max))

        def draw(seed: int) -> Tensor:
            return _generator(seed, source, x.device).randn(shape).to(x)

        self.batched = not shared
        self.trees = [BrownianTree(seed, *ends, draw) for seed in seeds]

    def __call__(self, sigma: float, sigma_next: float) -> Tensor:
        """Return unit noise, (batch, channels, rows, columns), for the step between two sigmas; 0 if they are equal."""
        low, high = sorted(float(torch.tensor(end)) for end in (sigma, sigma_next))
        sign = -1 if sigma_next < sigma else 1
        increments = [tree.increment(low, high) for tree in self.trees]
        whole = torch.stack(increments) if self.batched else increments[0]
        length = abs(sigma - sigma_next) ** 0.5
        return whole * sign / length if length else torch.zeros_like(whole)

"""Seeds to noise. Every picture of a batch has a generator of its own, so picture k of a batch is the single picture
of seed + k, whatever the batch size and whatever ran before.

Three sources, under A1111's names: "CPU" and "GPU" are torch's generators of that device; "NV" computes on any device
what torch gives on an NVIDIA card: Philox 4x32-10 (Salmon et al. 2011, doi:10.1145/2063384.2063405) with the
Box-Muller transform.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
import torchsde
from torch import Tensor

from modules.sampling.registry import NOISE_SOURCES

# The tree rounds its own ends and then warns that the same ends, asked for again, lie outside by the last bit.
warnings.filterwarnings("ignore", message=r"Should have t[ab][<>]=t[01]", module="torchsde")

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


class BatchNoise:
    """The noise of one batch: one generator per picture."""

    def __init__(self, seeds: Sequence[int], shape: Sequence[int], source: str, device: torch.device) -> None:
        """Take one seed per picture; `shape`: (channels, height/8, width/8) of one picture's latents."""
        self.shape = tuple(shape)
        self.device = device
        self.generators: list[NoiseGenerator] = [_generator(seed, source, device) for seed in seeds]

    def draw(self) -> Tensor:
        """Return the next noise: (batch, channels, height/8, width/8), float32, on the device."""
        return torch.stack([generator.randn(self.shape).to(self.device) for generator in self.generators])


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

    So a run with other steps walks the same path, which keeps pictures of SDE samplers alike over step counts. The tree
    is torchsde's (Li et al. 2020, arXiv:2001.01328, section 4).
    """

    def __init__(self, seeds: Sequence[int], x: Tensor, sigma_min: float, sigma_max: float) -> None:
        """Take one seed per picture of the batch `x`, and the span of the sigmas; `sigma_min` is positive."""
        zeros = torch.zeros_like(x[0])
        ends = {"t0": torch.tensor(sigma_min), "t1": torch.tensor(sigma_max)}
        self.trees = [torchsde.BrownianTree(w0=zeros, entropy=seed, **ends) for seed in seeds]

    def __call__(self, sigma: float, sigma_next: float) -> Tensor:
        """Return unit noise, (batch, channels, rows, columns), for the step between two different sigmas."""
        low, high = sorted((sigma, sigma_next))
        sign = -1 if sigma_next < sigma else 1
        # As tensors in float32: the tree compares them with its own ends, which it keeps in that precision.
        ends = torch.tensor(low), torch.tensor(high)
        increments = torch.stack([tree(*ends) for tree in self.trees])
        noise: Tensor = increments * sign / (high - low) ** 0.5
        return noise

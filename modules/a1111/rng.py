"""A1111's modules.rng: seeds to noise, over Easel's own generators, so that it is that of the engine's pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from modules.a1111 import devices
from modules.a1111._host import HOST
from modules.a1111.shared_options import options
from modules.sampling.noise import BatchNoise, NoiseGenerator, NoiseSeeds, PhiloxGenerator, TorchGenerator, slerp

__all__ = ["slerp"]


def create_generator(seed: int) -> torch.Generator | PhiloxGenerator:
    """Return a generator of the chosen kind."""
    made = _generator(seed)
    return made.generator if isinstance(made, TorchGenerator) else made


def _generator(seed: int) -> TorchGenerator | PhiloxGenerator:
    source = options().randn_source
    if source == "NV":
        return PhiloxGenerator(int(seed))
    device = torch.device("cpu") if source == "CPU" else torch.device(devices.device)
    return TorchGenerator(int(seed), device)


def _drawn(generator: Any, shape: Sequence[int]) -> Tensor:
    if isinstance(generator, torch.Generator):
        return torch.randn(tuple(shape), generator=generator, device=generator.device).to(devices.device)
    drawn: Tensor = generator.randn(shape)
    return drawn.to(devices.device)


def manual_seed(seed: int) -> None:
    """Begin the one generator that is not of any picture anew."""
    HOST.own_state["rng"] = _generator(seed)


def _common() -> NoiseGenerator:
    return HOST.state("rng", lambda: _generator(0))


def randn(seed: int, shape: Sequence[int], generator: Any = None) -> Tensor:
    """Return the noise of a seed; with a generator what that draws next."""
    if generator is not None:
        return _drawn(generator, shape)
    manual_seed(seed)
    return _drawn(_common(), shape)


def randn_local(seed: int, shape: Sequence[int]) -> Tensor:
    """Return the noise of a seed, and leave all other generators as they are."""
    return _drawn(_generator(seed), shape)


def randn_like(x: Tensor) -> Tensor:
    """Return what the common generator draws next, in the shape of a tensor."""
    return _drawn(_common(), x.shape).to(x)


def randn_without_seed(shape: Sequence[int], generator: Any = None) -> Tensor:
    """Return what a generator, or the common one, draws next."""
    return _drawn(_common() if generator is None else generator, shape)


class ImageRNG:
    """The noise of a batch: `next` draws for all its pictures, (batch, channels, height/8, width/8)."""

    def __init__(
        self, shape: Sequence[int], seeds: Sequence[int], subseeds: Sequence[int] | None = None,
        subseed_strength: float = 0.0, seed_resize_from_h: int = 0, seed_resize_from_w: int = 0,
    ) -> None:  # fmt: skip
        self.shape = tuple(map(int, shape))
        self.seeds = seeds
        self.subseeds = subseeds
        self.subseed_strength = subseed_strength
        self.seed_resize_from_h = seed_resize_from_h
        self.seed_resize_from_w = seed_resize_from_w
        resized = seed_resize_from_h > 0 and seed_resize_from_w > 0
        self._noise = BatchNoise(
            NoiseSeeds(
                tuple(map(int, seeds)), tuple(map(int, subseeds or ())), float(subseed_strength or 0),
                (int(seed_resize_from_h) // 8, int(seed_resize_from_w) // 8) if resized else None,
                int(options().eta_noise_seed_delta or 0),
            ),
            self.shape, options().randn_source, torch.device(devices.device),
        )  # fmt: skip

    @property
    def generators(self) -> list[Any]:
        """One generator for each picture."""
        return [each.generator if isinstance(each, TorchGenerator) else each for each in self._noise.generators]

    @property
    def is_first(self) -> bool:
        """Whether nothing was drawn yet."""
        return self._noise.is_first

    @is_first.setter
    def is_first(self, value: bool) -> None:
        self._noise.is_first = value

    def first(self) -> Tensor:
        """Draw the noise that pictures begin with."""
        self._noise.is_first = True
        return self._noise.draw()

    def next(self) -> Tensor:
        """Draw the noise that pictures begin with, and when that is done the noise of samplers' steps."""
        return self.first() if self._noise.is_first else self._noise.draw()

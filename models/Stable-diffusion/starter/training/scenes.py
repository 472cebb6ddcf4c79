"""What there is to see in a training picture.

The scenes are deliberately few: a thing is drawn large in one of three places, or at half size in one of a few slots
whose centres lie on the latent's grid of 8 pixels. A small network then learns every one of them well, instead of an
average of many.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from training.rendering import SIDE, Pixels, Placement, compose, palette_colour
from training.subjects import COLOURS

LARGE, SMALL = 104, 56  # longer side of a glyph, in pixels
LEFT, MIDDLE, RIGHT = 32, 64, 96
SLOTS = MappingProxyType(
    {
        "": (MIDDLE, MIDDLE),
        "on the left": (LEFT, MIDDLE),
        "on the right": (RIGHT, MIDDLE),
        "at the top": (MIDDLE, LEFT),
        "at the bottom": (MIDDLE, RIGHT),
    }
)
# How often each kind of scene is trained on.
SHARES = MappingProxyType({"single": 0.56, "shifted": 0.18, "small": 0.07, "two": 0.09, "three": 0.05, "pair": 0.05})


@dataclass(frozen=True)
class Scene:
    """A kind (a key of SHARES), a background (a key of COLOURS), the things, and where a small thing stands."""

    kind: str
    background: str
    items: tuple[Placement, ...]
    position: str = ""

    @property
    def subject(self) -> int:
        """The first thing's number."""
        return self.items[0].subject


def large(subject: int, background: str, shift: int = 0) -> Scene:
    """One large thing, in the middle or ``shift`` pixels to the right of it."""
    place = Placement(subject, MIDDLE + shift, MIDDLE, LARGE)
    return Scene("shifted" if shift else "single", background, (place,))


def small(subject: int, background: str, position: str) -> Scene:
    """One small thing in a slot."""
    return Scene("small", background, (Placement(subject, *SLOTS[position], SMALL),), position)


def row(left: int, right: int, background: str) -> Scene:
    """Two small things side by side, of one or two sorts."""
    items = (Placement(left, LEFT, MIDDLE, SMALL), Placement(right, RIGHT, MIDDLE, SMALL))
    return Scene("two" if left == right else "pair", background, items)


def triangle(subject: int, background: str) -> Scene:
    """Three small things of one sort, one above two."""
    places = ((MIDDLE, LEFT), (LEFT, RIGHT), (RIGHT, RIGHT))
    return Scene("three", background, tuple(Placement(subject, x, y, SMALL) for x, y in places))


def training_scenes(count: int, seed: int) -> tuple[Scene, ...]:
    """The whole pool for ``count`` subjects: every large view on every colour, and a sample of the others."""
    rng = random.Random(f"scenes {seed}")
    colours = tuple(COLOURS)
    pool = [large(k, colour, shift) for k in range(count) for colour in colours for shift in (-8, 0, 8)]
    for k in range(count):
        pool += [small(k, c, position) for position, c in zip(SLOTS, rng.sample(colours, len(SLOTS)), strict=True)]
        pool += [row(k, k, c) for c in rng.sample(colours, 4)]
        pool += [triangle(k, c) for c in rng.sample(colours, 3)]
        if count > 1:
            pool += [row(k, (k + rng.randrange(1, count)) % count, c) for c in rng.sample(colours, 3)]
    return tuple(pool)


def draw(scene: Scene, glyphs: tuple[Pixels, ...]) -> Pixels:
    """The scene's picture, (SIDE, SIDE, 3) in 0..1."""
    return compose(glyphs, scene.items, palette_colour(scene.background).tolist())


def loose_picture(rng: random.Random, glyphs: tuple[Pixels, ...]) -> Pixels:
    """A picture for the autoencoder alone: any glyph at any place and size, on any colour or a gradient of two."""
    size = rng.randint(48, 120)
    place = Placement(rng.randrange(len(glyphs)), rng.uniform(40, SIDE - 40), rng.uniform(40, SIDE - 40), size)
    picture = compose(glyphs, (place,), (0, 0, 0))
    cover = 1 - (compose(glyphs, (place,), (1, 1, 1)) - picture)
    first, second = (np.asarray([rng.random() for _ in range(3)], np.float32) for _ in range(2))
    ramp = np.linspace(0, rng.choice((0, 0, 1)), SIDE, dtype=np.float32)
    ramp = ramp[None, :, None] if rng.random() < 0.5 else ramp[:, None, None]
    return (picture + (1 - cover) * (first * (1 - ramp) + second * ramp)).clip(0, 1).astype(np.float32)

"""Pictures drawn from the font: glyphs with transparency, laid over plain colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from training.subjects import COLOURS

FONT = Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
BITMAP_SIZE = 109  # the one size, in pixels, that the font's bitmaps have
SIDE = 128  # of a picture, in pixels

Pixels = NDArray[np.float32]


class FontMissingError(FileNotFoundError):
    """Noto Color Emoji is not installed (Debian's package fonts-noto-color-emoji)."""


@dataclass(frozen=True)
class Placement:
    """A glyph's centre and longer side in pixels of a SIDE x SIDE picture."""

    subject: int
    x: float
    y: float
    size: int


def draw_glyph(character: str, font: Path = FONT) -> Pixels | None:
    """One glyph cut to its visible part and centred in a square.

    Returns (n, n, 4) in 0..1 with premultiplied alpha, or None where the font has no such glyph.
    """
    if not font.is_file():
        raise FontMissingError(f"{font} is missing: install the package fonts-noto-color-emoji")
    canvas = Image.new("RGBA", (160, 160), (0, 0, 0, 0))
    face = ImageFont.truetype(str(font), BITMAP_SIZE)
    ImageDraw.Draw(canvas).text((8, 16), character, font=face, embedded_color=True)
    box = canvas.getbbox()
    if box is None:
        return None
    visible = canvas.crop(box)
    side = max(visible.size)
    square = Image.new("RGBA", (side, side), (0, 0, 0, 0))
    square.paste(visible, ((side - visible.width) // 2, (side - visible.height) // 2))
    pixels = np.asarray(square, np.float32) / 255
    return np.concatenate([pixels[..., :3] * pixels[..., 3:], pixels[..., 3:]], axis=2)


def draw_glyphs(characters: Sequence[str], font: Path = FONT) -> tuple[Pixels, ...]:
    """All the glyphs; one that the font lacks is an error that names it."""
    drawn = [(character, draw_glyph(character, font)) for character in characters]
    missing = [character for character, glyph in drawn if glyph is None]
    if missing:
        raise ValueError(f"{font} has no glyph for {' '.join(missing)}")
    return tuple(glyph for _, glyph in drawn if glyph is not None)


def resized(glyph: Pixels, size: int) -> Pixels:
    """A premultiplied glyph at another size: (n, n, 4) to (size, size, 4), in 0..1."""
    method = Image.Resampling.LANCZOS if size < glyph.shape[0] else Image.Resampling.BICUBIC
    channels = [Image.fromarray(np.ascontiguousarray(glyph[..., k])).resize((size, size), method) for k in range(4)]
    stacked: Pixels = np.stack([np.asarray(channel, np.float32) for channel in channels], axis=2)
    return np.clip(stacked, 0, 1, dtype=np.float32)


def lay_over(picture: Pixels, glyph: Pixels, x: float, y: float, size: int) -> None:
    """Draw the glyph centred at (x, y) onto the (h, w, 3) picture, in place; what lies outside is cut off."""
    height, width = picture.shape[:2]
    left, top = round(x - size / 2), round(y - size / 2)
    x0, y0, x1, y1 = max(0, left), max(0, top), min(width, left + size), min(height, top + size)
    if x1 <= x0 or y1 <= y0:
        return
    part = resized(glyph, size)[y0 - top : y1 - top, x0 - left : x1 - left]
    picture[y0:y1, x0:x1] = picture[y0:y1, x0:x1] * (1 - part[..., 3:]) + part[..., :3]


def plain(colour: Sequence[float]) -> Pixels:
    """A SIDE x SIDE x 3 picture of one colour; colour and result in 0..1."""
    return np.ones((SIDE, SIDE, 3), np.float32) * np.asarray(colour, np.float32)


def palette_colour(name: str) -> Pixels:
    """A named colour as (3,) in 0..1."""
    return np.asarray(COLOURS[name], np.float32) / 255


def compose(glyphs: Sequence[Pixels], placements: Sequence[Placement], background: Sequence[float]) -> Pixels:
    """The finished picture, (SIDE, SIDE, 3) in 0..1."""
    picture = plain(background)
    for item in placements:
        lay_over(picture, glyphs[item.subject], item.x, item.y, item.size)
    return picture.clip(0, 1)

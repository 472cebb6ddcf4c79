"""A picture cut into tiles that overlap, and put together again without a seam."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image

Place = tuple[int, int]
"""Left and top of a tile in pixels."""


@dataclass(frozen=True, slots=True)
class TileGrid:
    """How a picture of `width` x `height` pixels is cut; `overlap`: the fewest pixels that two neighbours share.

    A tile is no larger than the picture, and the overlap smaller than a tile.
    """

    width: int
    height: int
    tile_width: int
    tile_height: int
    overlap: int

    def places(self) -> list[Place]:
        """Return every tile's place, row by row; the tiles are spread evenly."""
        lefts = _starts(self.width, self.tile_width, self.overlap)
        return [(left, top) for top in _starts(self.height, self.tile_height, self.overlap) for left in lefts]

    def cut(self, picture: Image.Image, place: Place) -> Image.Image:
        """Return the tile of a picture at a place."""
        left, top = place
        return picture.crop((left, top, left + self.tile_width, top + self.tile_height))

    def joined(self, tiles: Mapping[Place, Image.Image]) -> Image.Image:
        """Return the RGB picture of all tiles; each is faded in over the first pixels that it shares with another."""
        whole = Image.new("RGB", (self.width, self.height))
        across, down = _fade(self.overlap, self.tile_height), _fade(self.overlap, self.width).transpose(_TURN)
        for top in _starts(self.height, self.tile_height, self.overlap):
            row = Image.new("RGB", (self.width, self.tile_height))
            for left in _starts(self.width, self.tile_width, self.overlap):
                _lay(row, tiles[left, top], (left, 0), across if left else None)
            _lay(whole, row, (0, top), down if top else None)
        return whole


_TURN = Image.Transpose.TRANSPOSE


def _starts(length: int, tile: int, overlap: int) -> list[int]:
    count = max(1, math.ceil((length - overlap) / (tile - overlap)))
    step = (length - tile) / (count - 1) if count > 1 else 0.0
    # The last one ends where the picture does, however the step was rounded.
    return [*(int(number * step) for number in range(count - 1)), length - tile]


def _fade(width: int, height: int) -> Image.Image:
    """Return a grey ramp from black on the left, `width` pixels wide."""
    shades = (np.arange(width, dtype=np.float32) * 255 / max(width, 1)).astype(np.uint8)
    return Image.fromarray(np.broadcast_to(shades, (height, width)).copy(), "L")


def _lay(whole: Image.Image, part: Image.Image, place: Place, fade: Image.Image | None) -> None:
    """Put `part` at its place; where there is a fade, that is how its left or upper border comes in."""
    if fade is None:
        whole.paste(part, place)
        return
    hard = Image.new("L", part.size, 255)
    hard.paste(fade, (0, 0))
    whole.paste(part, place, mask=hard)

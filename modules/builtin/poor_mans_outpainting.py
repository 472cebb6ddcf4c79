"""Poor man's outpainting: a picture grows on all sides at once, tile by tile.

Arguments, sizes and masks are those of A1111's script. Other than there as many pictures are made as the request asks
for, and tiles are never larger than the grown picture.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from PIL import Image

from modules.builtin.growing import (
    LATENT_MASK,
    MASK,
    PICTURE,
    Growth,
    blur_parameter,
    described,
    first_picture,
    frame,
    pass_request,
    pixels_parameter,
    sides_parameter,
    whole_number,
)
from modules.core.parameter import Parameter
from modules.core.picture_parameters import FILL, MASKED_CONTENTS
from modules.core.request import GenerationRequest
from modules.core.result import GeneratedImage, GenerationResult
from modules.hooks.nested import PassRunner, each_picture
from modules.hooks.plugins import PluginDescription
from modules.hooks.registry import RunStart
from modules.hooks.spec import CallNext, Generation, RunListener
from modules.imaging.tiles import Place, TileGrid

NAME = "poor_mans_outpainting"
_KEY = "Outpainting"

DESCRIPTION = PluginDescription(
    NAME,
    "Poor man's outpainting",
    (
        pixels_parameter(_KEY),
        blur_parameter(_KEY, 4),
        Parameter(
            "masked_content", "Masked content", "choice", FILL, "What stands in the new parts in the beginning.",
            choices=MASKED_CONTENTS, infotext=f"{_KEY} masked content",
        ),
        sides_parameter(_KEY),
    ),
    place="script",
    tabs=("img2img",),
    numbered=frozenset({"masked_content"}),
)  # fmt: skip


class PoorMansOutpainting:
    """The plugin."""

    description = DESCRIPTION

    def listen(self, run: RunStart) -> RunListener:
        """Take part in a run."""
        return TilePainter(run)


@dataclass(frozen=True, slots=True)
class GrownPicture:
    """A picture with room around it, which of it is new, and how it is cut."""

    picture: Image.Image
    mask: Image.Image
    latent_mask: Image.Image
    tiles: TileGrid
    new: frozenset[Place]
    """Where the tiles stand that are not all old."""


class TilePainter(RunListener):
    """Outpainting in one run."""

    def __init__(self, run: RunStart) -> None:
        """Take the values that the request has."""
        self._pixels = whole_number(run.values, "pixels")
        self._blur = whole_number(run.values, "mask_blur")
        self._content = str(run.values["masked_content"])
        self._sides = str(run.values["direction"])

    def around_generate(self, generation: Generation, call_next: CallNext) -> GenerationResult:
        """Make every picture in as many passes as there are tiles with anything new."""
        generation = described(generation)
        grown = self._grown(first_picture(generation), generation.request)

        def tiled(index: int) -> GeneratedImage:
            runner = PassRunner(generation, index, len(grown.new))
            tiles = {place: grown.tiles.cut(grown.picture, place) for place in grown.tiles.places()}
            first = None
            for place in tiles:
                if place in grown.new:
                    made = self._paint(runner, grown, place)
                    tiles[place] = made.pixels
                    first = first or made
            if first is None:
                raise ValueError("no side to grow on")
            return replace(first, index=index, pixels=grown.tiles.joined(tiles))

        return each_picture(generation, tiled)

    def _grown(self, start: Image.Image, request: GenerationRequest) -> GrownPicture:
        growth = Growth.of(start.size, self._pixels, self._sides)
        size = growth.grown(start.size)
        picture = Image.new("RGB", size)
        picture.paste(start, (growth.left, growth.up))
        tile = min(request.width, size[0]), min(request.height, size[1])
        tiles = TileGrid(*size, *tile, min(self._pixels, tile[0] // 2, tile[1] // 2))

        def old(place: Place) -> bool:
            left, top = place
            beside = left >= growth.left and left + tile[0] <= size[0] - growth.right
            return beside and top >= growth.up and top + tile[1] <= size[1] - growth.down

        return GrownPicture(
            picture,
            _new_part(size, growth, self._blur * 2),
            _new_part(size, growth, self._blur // 2),
            tiles,
            frozenset(place for place in tiles.places() if not old(place)),
        )

    def _paint(self, runner: PassRunner, grown: GrownPicture, place: Place) -> GeneratedImage:
        """Return a tile with its new part painted; each tile's seed is one more than that of the one before."""
        tiles, request = grown.tiles, runner.generation.request
        pictures = {
            PICTURE: tiles.cut(grown.picture, place),
            MASK: tiles.cut(grown.mask, place),
            LATENT_MASK: tiles.cut(grown.latent_mask, place),
        }
        blur = self._blur * 2
        values = {
            **runner.one_picture(),
            "seed": request.image_seed(runner.index) + runner.done,
            "masked_content": self._content,
            "mask_blur_x": blur,
            "mask_blur_y": blur,
        }
        size = tiles.tile_width, tiles.tile_height
        return runner.run(pass_request(request, NAME, values, size), pictures)


def _new_part(size: tuple[int, int], growth: Growth, reach: int) -> Image.Image:
    """Return the mask of what is new and of `reach` pixels of the old beside it."""
    inside = (
        growth.left + (reach if growth.left else 0),
        growth.up + (reach if growth.up else 0),
        size[0] - growth.right - (reach if growth.right else 0),
        size[1] - growth.down - (reach if growth.down else 0),
    )
    return frame(size, inside)

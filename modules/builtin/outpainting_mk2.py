"""Outpainting mk2: a picture grows side by side, each begun with noise that looks like the rest of it.

Arguments, sizes and masks are those of A1111's script. Other than there every picture of a batch has its own seed in
each batch, and one that is no multiple of 8 wide or high is painted to its edge.
"""

from __future__ import annotations

import math
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
from modules.core.picture_parameters import ORIGINAL_CONTENT
from modules.core.result import GeneratedImage, GenerationResult
from modules.hooks.nested import PassRunner, each_picture
from modules.hooks.plugins import PluginDescription
from modules.hooks.registry import RunStart
from modules.hooks.spec import Box, CallNext, Generation, RunListener
from modules.imaging.matched_noise import with_matched_noise

NAME = "outpainting_mk2"
_KEY = "Outpainting"
_MULTIPLE, _LATENT = 64, 8
Size = tuple[int, int]

DESCRIPTION = PluginDescription(
    NAME,
    "Outpainting mk2",
    (
        pixels_parameter(_KEY),
        blur_parameter(_KEY, 8),
        sides_parameter(_KEY),
        Parameter(
            "fall_off_exponent", "Fall-off exponent (lower=higher detail)", "number", 1.0,
            "How fast the details of the noise fade that a side begins with.",
            minimum=0, maximum=4, step=0.01, infotext=f"{_KEY} fall-off exponent",
        ),
        Parameter(
            "color_variation", "Color variation", "number", 0.05, "How colourful that noise is.",
            minimum=0, maximum=1, step=0.01, infotext=f"{_KEY} color variation",
        ),
    ),
    place="script",
    tabs=("img2img",),
    note="Recommended: 80 to 100 sampling steps, sampler Euler a, denoising strength 0.8.",
    # The first is a line of text on A1111's form.
    arguments=("", "pixels", "mask_blur", "direction", "fall_off_exponent", "color_variation"),
)  # fmt: skip


class OutpaintingMk2:
    """The plugin."""

    description = DESCRIPTION

    def listen(self, run: RunStart) -> RunListener:
        """Take part in a run."""
        return SidePainter(run)


@dataclass(frozen=True, slots=True)
class Side:
    """One side that a picture grows on, by `pixels`. A pass works on a strip there of at most the request's size."""

    name: str
    pixels: int

    @property
    def across(self) -> bool:
        """Whether the picture grows in width."""
        return self.name in ("left", "right")

    @property
    def before(self) -> bool:
        """Whether what is new comes before what there is."""
        return self.name in ("left", "up")

    def inside(self, size: Size, whole: Size, reach: Size) -> Box:
        """Return what is old of a picture of `size` pixels that was put into `whole`, less `reach` at the border."""
        box = [0, 0, size[0], size[1]]
        axis = 0 if self.across else 1
        if self.before:
            box[axis] = self.pixels + reach[axis]
        else:
            box[2 + axis] = whole[axis] - self.pixels - reach[axis]
        return box[0], box[1], box[2], box[3]

    def strip(self, whole: Size, size: Size, most: Size) -> Box:
        """Return the part of `whole` that is worked on: this side of it, as long as the picture of `size` pixels."""
        box = [0, 0, *whole]
        axis = 0 if self.across else 1
        length = min(most[axis], math.ceil(size[axis] / _LATENT) * _LATENT)
        if self.before:
            box[2 + axis] = length
        else:
            box[axis] = whole[axis] - length
        return box[0], box[1], box[2], box[3]


class SidePainter(RunListener):
    """Outpainting in one run."""

    def __init__(self, run: RunStart) -> None:
        """Take the values that the request has."""
        values = run.values
        self._pixels = whole_number(values, "pixels")
        self._blur = whole_number(values, "mask_blur")
        self._sides = str(values["direction"])
        self._exponent = float(values["fall_off_exponent"])
        self._colours = float(values["color_variation"])

    def around_generate(self, generation: Generation, call_next: CallNext) -> GenerationResult:
        """Make every picture in as many passes as there are sides to grow on."""
        generation = described(generation)
        start = first_picture(generation)
        growth = Growth.of(start.size, self._pixels, self._sides)
        amounts = {"left": growth.left, "right": growth.right, "up": growth.up, "down": growth.down}
        sides = [Side(name, pixels) for name, pixels in amounts.items() if pixels > 0]
        # Only in the directions in which it grows at all is the border softened.
        reach = self._blur if growth.left or growth.right else 0, self._blur if growth.up or growth.down else 0

        def grown(index: int) -> GeneratedImage:
            runner = PassRunner(generation, index, len(sides))
            picture, first = start, None
            for side in sides:
                picture, made = self._grow(runner, picture, side, reach)
                first = first or made
            if first is None:
                raise ValueError("no side to grow on")
            return replace(first, index=index, pixels=picture)

        return each_picture(generation, grown)

    def _grow(
        self, runner: PassRunner, picture: Image.Image, side: Side, reach: Size
    ) -> tuple[Image.Image, GeneratedImage]:
        """Return the picture with a further side, and what the pass made."""
        size = picture.width + side.pixels * side.across, picture.height + side.pixels * (not side.across)
        whole = math.ceil(size[0] / _MULTIPLE) * _MULTIPLE, math.ceil(size[1] / _MULTIPLE) * _MULTIPLE
        canvas = Image.new("RGB", whole)
        canvas.paste(picture, (side.pixels if side.across and side.before else 0,
                               side.pixels if not side.across and side.before else 0))  # fmt: skip
        mask = frame(whole, side.inside(size, whole, reach))
        canvas = with_matched_noise(canvas, mask, self._exponent, self._colours)
        request = runner.generation.request
        strip = side.strip(whole, size, (request.width, request.height))
        worked = strip[2] - strip[0], strip[3] - strip[1]
        twice = reach[0] * 2, reach[1] * 2
        pictures = {
            PICTURE: canvas.crop(strip),
            MASK: mask.crop(strip),
            LATENT_MASK: frame(worked, side.inside(size, worked, twice)),
        }
        values = {**runner.one_picture(), "masked_content": ORIGINAL_CONTENT,
                  "mask_blur_x": reach[0] * 4, "mask_blur_y": reach[1] * 4}  # fmt: skip
        made = runner.run(pass_request(request, NAME, values, worked), pictures)
        canvas.paste(made.pixels, strip[:2])
        return canvas.crop((0, 0, *size)), made

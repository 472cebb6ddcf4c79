"""What part of a picture is painted anew: masks blurred and inverted, the region around them, what stands in it before.

The order is A1111's: invert, blur, then the region. Masks are 8-bit grey ("L"), white where is painted.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageChops, ImageFilter
from scipy.ndimage import correlate1d

from modules.imaging.overlays import without

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels; right and bottom are the first outside."""

_THRESHOLD = 128
_UNITS = 256
"""What a blur's weights add up to."""
_FILL_BLURS = ((256, 1), (64, 1), (16, 2), (4, 4), (2, 2), (0, 1))
"""Radius in pixels and how often the blurred picture is laid over what is there."""


def mask_of(picture: Image.Image, rounded: bool = True) -> Image.Image:
    """Return the mask that a picture means: its own transparency if it has any, else its brightness.

    `rounded`: transparent pixels are either masked or not; soft inpainting wants their shades kept.
    """
    if picture.mode not in ("RGBA", "LA") or picture.getchannel("A").getextrema() == (255, 255):
        return picture.convert("L")
    alpha = picture.getchannel("A")
    return alpha.point(lambda value: 255 if value > _THRESHOLD else 0) if rounded else alpha


def blurred(mask: Image.Image, across: float, down: float) -> Image.Image:
    """Return the mask softened by a Gaussian of these standard deviations in pixels, 0 for none.

    Kernels reach 2.5 standard deviations to either side, and edges are mirrored, as in A1111.
    """
    values = np.asarray(mask, dtype=np.int32)
    for axis, deviation in ((1, across), (0, down)):
        if deviation > 0:
            summed = correlate1d(values, _gaussian(deviation), axis=axis, mode="mirror")
            values = (summed + _UNITS // 2) // _UNITS
    return Image.fromarray(values.astype(np.uint8), "L")


def region_around(mask: Image.Image, padding: int) -> Box | None:
    """Return the smallest box with everything that is masked, `padding` pixels larger on each side where there is room.

    None: nothing is masked.
    """
    box = mask.getbbox()
    if box is None:
        return None
    left, top, right, bottom = box
    return (
        max(left - padding, 0), max(top - padding, 0),
        min(right + padding, mask.width), min(bottom + padding, mask.height),
    )  # fmt: skip


def with_aspect(box: Box, width: int, height: int, picture: tuple[int, int]) -> Box:
    """Return the box grown to the aspect of `width` x `height` as far as the picture's size allows, moved inside it."""
    left, top, right, bottom = box
    if (right - left) / (bottom - top) > width / height:
        wanted = int((right - left) * height / width - (bottom - top))
        top, bottom = _grown(top, bottom, wanted, picture[1])
    else:
        wanted = int((bottom - top) * width / height - (right - left))
        left, right = _grown(left, right, wanted, picture[0])
    return left, top, right, bottom


def filled(picture: Image.Image, mask: Image.Image) -> Image.Image:
    """Return the picture with the colours around the mask drawn into it, far and blurred ones below near ones."""
    whole = Image.new("RGBA", picture.size)
    outside = without(picture, mask)
    for radius, times in _FILL_BLURS:
        layer = outside.filter(ImageFilter.GaussianBlur(radius)).convert("RGBA")
        for _ in range(times):
            whole.alpha_composite(layer)
    return whole.convert("RGB")


def doubled(mask: Image.Image) -> Image.Image:
    """Return the mask twice as bright, so that what is half masked by blur counts wholly, as for whole pictures."""
    return ImageChops.add(mask, mask)


def _gaussian(deviation: float) -> np.ndarray:
    """Return the kernel in whole numbers whose sum is `_UNITS`, as OpenCV has it for 8-bit pictures.

    What rounding leaves over at one place goes on to the next, from the edge to the middle.
    """
    reach = int(2.5 * deviation + 0.5)
    exact = np.exp(-(np.arange(-reach, reach + 1, dtype=np.float64) ** 2) / (2 * deviation**2))
    exact *= _UNITS / exact.sum()
    kernel, over = np.zeros(2 * reach + 1, dtype=np.int32), 0.0
    for place in range(reach):
        kernel[place] = kernel[-1 - place] = round(exact[place] + over)
        over += exact[place] - kernel[place]
    kernel[reach] = _UNITS - kernel.sum()
    return kernel


def _grown(start: int, end: int, by: int, limit: int) -> tuple[int, int]:
    """Return the span grown by so much, half at each end, and moved so that it lies between 0 and `limit`."""
    start, end = start - by // 2, end + by - by // 2
    if end >= limit:
        start, end = start - (end - limit), limit
    if start < 0:
        start, end = 0, end - start
    return start, min(end, limit)

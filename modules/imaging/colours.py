"""Colours of a result brought back to those of the picture that it was made of, as A1111's colour correction does.

The distribution of each channel of CIE L*a*b* is matched to the original's, and then the brightness that the result had
before is put back, so that hues alone move.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float64]

_STRIP_ROWS = 256
"""Rows that are calculated at once: large pictures would take gigabytes as floating numbers."""
_TO_XYZ = np.array([[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]])
"""Linear sRGB to CIE XYZ, in the figures that OpenCV has."""
_WHITE = np.array([0.950456, 1.0, 1.088754])
"""D65."""
_DARK, _DARK_SLOPE, _DARK_OFFSET, _DARK_LIGHTNESS = 0.008856, 7.787, 16 / 116, 903.3
"""Below this share of white, CIE replaces the cube root by a straight line."""
_BRIGHTNESS = np.array([0.299, 0.587, 0.114])
_LEVELS = 256


def with_colours_of(picture: Image.Image, original: Image.Image) -> Image.Image:
    """Return an RGB picture with the colours of another, which may have any size, and its own brightness."""
    pixels = np.asarray(picture.convert("RGB"))
    lab, wanted = (_in_strips(_lab, each) for each in (pixels, np.asarray(original.convert("RGB"))))
    tables = [matching_levels(lab[..., channel], wanted[..., channel]) for channel in range(3)]
    matched = np.stack([table[lab[..., channel]] for channel, table in enumerate(tables)], axis=-1)
    both = np.concatenate([matched, pixels], axis=-1)
    found = _in_strips(lambda strip: _with_brightness(_rgb(strip[..., :3]), strip[..., 3:]), both)
    return Image.fromarray(found, "RGB")


def matching_levels(levels: Bytes, wanted: Bytes) -> Bytes:
    """Return what each of the 256 levels becomes so that they are distributed as those of `wanted`, of any shapes.

    Between levels that `wanted` has it is interpolated, and rounded down.
    """
    shares = np.cumsum(np.bincount(levels.reshape(-1), minlength=_LEVELS)) / levels.size
    counts = np.bincount(wanted.reshape(-1), minlength=_LEVELS)
    present = np.nonzero(counts)[0]
    return np.interp(shares, np.cumsum(counts[present]) / wanted.size, present).astype(np.uint8)


def _lab(pixels: Bytes) -> Bytes:
    """Return L*, a* and b* as 8 bits each: L* from 0 to 100 as 0 to 255, the others moved by 128."""
    shares = pixels / 255.0
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    x, y, z = np.moveaxis(linear @ _TO_XYZ.T / _WHITE, -1, 0)
    lightness = np.where(y > _DARK, 116 * np.cbrt(y) - 16, _DARK_LIGHTNESS * y)
    red_green, yellow_blue = 500 * (_root(x) - _root(y)), 200 * (_root(y) - _root(z))
    lab = np.stack([lightness * 255 / 100, red_green + 128, yellow_blue + 128], axis=-1)
    return _levels(np.rint(lab))


def _rgb(lab: Bytes) -> Bytes:
    """Return sRGB pixels of L*a*b* as `_lab` gives it."""
    lightness, red_green, yellow_blue = np.moveaxis(lab.astype(np.float64), -1, 0)
    lightness = lightness * 100 / 255
    dark = lightness <= _DARK_LIGHTNESS * _DARK
    middle = np.where(dark, _DARK_SLOPE * lightness / _DARK_LIGHTNESS + _DARK_OFFSET, (lightness + 16) / 116)
    y = np.where(dark, lightness / _DARK_LIGHTNESS, middle**3)
    x, z = (_cube(root) for root in (middle + (red_green - 128) / 500, middle - (yellow_blue - 128) / 200))
    linear = np.clip(np.stack([x, y, z], axis=-1) * _WHITE @ np.linalg.inv(_TO_XYZ).T, 0, 1)
    shares = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return _levels(np.rint(shares * 255))


def _with_brightness(pixels: Bytes, bright: Bytes) -> Bytes:
    """Return pixels as bright as others are: "luminosity" of the W3C's Compositing and Blending 1, 10.2.

    What leaves the range of colours is drawn towards grey; levels are rounded down, as in A1111.
    """
    colours = pixels / 255.0
    colours += ((bright / 255.0) @ _BRIGHTNESS - colours @ _BRIGHTNESS)[..., None]
    grey = (colours @ _BRIGHTNESS)[..., None]
    least, most = colours.min(-1, keepdims=True), colours.max(-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        colours = np.where(least < 0, grey + (colours - grey) * grey / (grey - least), colours)
        colours = np.where(most > 1, grey + (colours - grey) * (1 - grey) / (most - grey), colours)
    return _levels(colours * 255)


def _levels(values: Floats) -> Bytes:
    return np.clip(values, 0, 255).astype(np.uint8)


def _root(values: Floats) -> Floats:
    return np.where(values > _DARK, np.cbrt(values), _DARK_SLOPE * values + _DARK_OFFSET)


def _cube(roots: Floats) -> Floats:
    return np.where(roots > np.cbrt(_DARK), roots**3, (roots - _DARK_OFFSET) / _DARK_SLOPE)


def _in_strips(change: Callable[[Any], Bytes], pixels: Bytes) -> Bytes:
    """Return what `change` makes of the rows, some at a time."""
    return np.concatenate([change(pixels[row : row + _STRIP_ROWS]) for row in range(0, len(pixels), _STRIP_ROWS)])

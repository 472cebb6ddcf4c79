"""Masks from how much a picture changed, as soft inpainting lays the original over its result.

The meaning of every number is that of A1111's extension of the name, so that pictures come out the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from modules.imaging.fitting import RESIZE_AND_FILL, fitted

Plane = NDArray[np.float32]
_DEVIATION = 1.5
_REACH = 2
"""The kernel's size to either side, in latents."""
_NARROWEST = 1.0
"""The least weight that the filter takes its mean over."""
_SPREAD, _MIDDLE = (0.9, 1.0), (0.25, 0.75)
"""What the two filters take of a neighbourhood: its largest values first, then the mean of what is usual."""
_SMOOTHING = 4
"""Pixels by which a mask is blurred once it is enlarged."""
_ALMOST_ONE = 1.00001


@dataclass(frozen=True, slots=True)
class ChangeRules:
    """How much change hides the original; `preservation` and `influence` say how far the painted mask decides."""

    preservation: float
    influence: float
    threshold: float
    contrast: float


def change_mask(distance: Plane, painted: Plane, rules: ChangeRules, size: tuple[int, int]) -> Image.Image:
    """Return which part of a result hides the original: 8-bit grey of `size`, white where it does.

    `distance`: how far apart the latents of both are, `painted`: 0 to 1, both of rows x columns.
    """
    change = usual_value(usual_value(distance, *_SPREAD), *_MIDDLE)
    hidden = 1 - smoothed(_kept(change / _half_distance(painted, rules), rules.contrast))
    shades = np.nan_to_num(255 * hidden, nan=0.0).astype(np.uint8)
    whole = fitted(Image.fromarray(shades, "L"), *size, RESIZE_AND_FILL).convert("L")
    return whole.filter(ImageFilter.GaussianBlur(_SMOOTHING))


def usual_value(values: Plane, lowest: float, highest: float) -> Plane:
    """Return for each place the weighted mean of those of its neighbours that lie between two shares of their order.

    Shares of 0 and 1 give a weighted mean, 0.5 and 0.5 a median, 1 and 1 a maximum; at least a weight of 1 counts.
    """
    weights = neighbour_weights()
    rows, columns = values.shape
    padded = np.pad(values.astype(np.float64), _REACH)
    inside = np.pad(np.ones_like(values, dtype=np.float64), _REACH)
    places = [(row, column) for row in range(weights.shape[0]) for column in range(weights.shape[1])]
    near = np.stack([padded[row : row + rows, column : column + columns] for row, column in places])
    weight = np.stack([
        inside[row : row + rows, column : column + columns] * weights[row, column] for row, column in places
    ])  # fmt: skip
    order = np.argsort(near, axis=0, kind="stable")
    near, weight = np.take_along_axis(near, order, axis=0), np.take_along_axis(weight, order, axis=0)
    upper = np.cumsum(weight, axis=0)
    begin, end = _window(upper[-1], lowest, highest)
    overlap = np.clip(np.minimum(end, upper) - np.maximum(begin, upper - weight), 0, None)
    return np.asarray((near * overlap).sum(axis=0) / overlap.sum(axis=0), dtype=np.float32)


def neighbour_weights() -> NDArray[np.float64]:
    """Return the filter's kernel, (5, 5): a Gaussian drawn down so that it ends in 0 just outside."""
    squares = np.arange(-_REACH, _REACH + 1, dtype=np.float64) ** 2
    gaussian = np.exp(-(squares[:, None] + squares[None, :]) / _DEVIATION**2)
    outside = math.exp(-((_REACH + 1) ** 2) / _DEVIATION**2)
    return np.clip((gaussian - outside) / (1 - outside), 0, None)


def smoothed(values: Plane) -> Plane:
    """Return 6x^5 - 15x^4 + 10x^3 of values from 0 to 1: steep in the middle, flat at both ends."""
    return np.asarray(values**3 * (values * (6 * values - 15) + 10))


def _half_distance(painted: Plane, rules: ChangeRules) -> Plane:
    """Return the distance at which half of the original is left."""
    mask = 1 - np.clip(painted, 0, 1) ** np.float32(rules.preservation / 2)
    share = 0.5 * (1 - rules.influence) + mask * rules.influence
    return np.asarray(rules.threshold * (share / (_ALMOST_ONE - share)), dtype=np.float32)


def _kept(change: Plane, contrast: float) -> Plane:
    """Return how much of the original is left, 0 to 1, where it changed by `change` half distances."""
    return np.asarray(1 / (1 + change ** np.float32(contrast)), dtype=np.float32)


def _window(
    total: NDArray[np.float64], lowest: float, highest: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return where the counted weight begins and ends; too narrow a window is widened about its middle, inside."""
    begin, end = total * lowest, total * highest
    narrow, middle = end - begin < _NARROWEST, (begin + end) / 2
    begin, end = np.where(narrow, middle - _NARROWEST / 2, begin), np.where(narrow, middle + _NARROWEST / 2, end)
    over = narrow & (end > total)
    begin, end = np.where(over, total - _NARROWEST, begin), np.where(over, total, end)
    under = narrow & (begin < 0)
    return np.where(under, 0, begin), np.where(under, _NARROWEST, end)

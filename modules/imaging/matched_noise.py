"""Noise that looks like the rest of a picture, with which outpainting begins.

The noise gets the picture's spectrum, and then its colours by matching histograms. The steps and their constants are
those of A1111's second outpainting script, after the g-diffuser project.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.float64]
"""(height, width, 3), 0 to 1."""
Spectrum = NDArray[np.complex128]

_NEW = 1e-6
"""A mask's shade above which a pixel gets noise's colours."""
_OLD = 1e-3
"""A mask's shade below which a pixel's colours are taken as an example."""
_SEED = 0
"""The noise is always the same; what differs from picture to picture is the noise of their own seeds."""


def with_matched_noise(picture: Image.Image, mask: Image.Image, exponent: float, colours: float) -> Image.Image:
    """Return an RGB picture with noise where `mask`, 8-bit grey, is white.

    `exponent`: how fast the noise's details fade, 0 to 4: lower values give finer ones. `colours`: 0 for grey noise, 1
    for each colour by itself.
    """
    pixels = np.asarray(picture.convert("RGB"), dtype=np.float64) / 255
    shade = np.asarray(mask.convert("L"), dtype=np.float64) / 255
    shades = shade[..., None]
    noise = _shaped_noise(pixels, shades, exponent, colours)
    new, old = shade > _NEW, shade < _OLD
    if new.any():
        noise[new] = matched_histograms(noise[new], pixels[old] if old.any() else pixels.reshape(-1, 3))
    mixed = pixels * (1 - shades) + noise * shades
    return Image.fromarray((np.clip(mixed, 0, 1) * 255).astype(np.uint8), "RGB")


def matched_histograms(values: Pixels, example: Pixels) -> Pixels:
    """Return values, (count, 3), moved so that each colour is distributed as in `example`, (any count, 3)."""
    matched = np.empty_like(values)
    for channel in range(values.shape[1]):
        _, place, counts = np.unique(values[:, channel], return_inverse=True, return_counts=True)
        levels, wanted = np.unique(example[:, channel], return_counts=True)
        share, wanted_share = np.cumsum(counts) / len(values), np.cumsum(wanted) / len(example)
        matched[:, channel] = np.interp(share, wanted_share, levels)[place]
    return matched


def _shaped_noise(pixels: Pixels, shades: Pixels, exponent: float, colours: float) -> Pixels:
    """Return noise of the picture's spectrum, spread over 0 to 1."""
    # What is new is filled with the mean, which disturbs the spectrum less than black would.
    known = _without_scale(pixels * (1 - shades)) + pixels.mean() * shades
    spectrum = _spectrum(known)
    strength = np.abs(spectrum)
    phase: Spectrum = np.divide(spectrum, strength, out=np.zeros_like(spectrum), where=strength > 0)
    noise = np.random.default_rng(_SEED).random(pixels.shape)
    noise = noise * colours + (1 - colours) * noise.mean(axis=2, keepdims=True)
    smooth = np.real(_picture(_spectrum(noise) * _window(*pixels.shape[:2])[..., None]))
    loudness = np.abs(_spectrum(smooth)) ** 2 * strength**exponent
    shaped = np.real(_picture((phase * loudness).astype(np.complex128)))
    return _without_scale(shaped - shaped.min())


def _without_scale(values: Pixels) -> Pixels:
    """Return values divided by their largest."""
    largest = values.max()
    return values / largest if largest > 0 else values


def _window(height: int, width: int) -> Pixels:
    """Return how much of each frequency is kept: 1 in the middle, falling with the square of the distance."""
    shorter = min(height, width)
    down = (np.arange(height) / height * 2 - 1) * (height / shorter)
    across = (np.arange(width) / width * 2 - 1) * (width / shorter)
    return np.asarray(1 / ((down[:, None] ** 2 + 1) * (across[None, :] ** 2 + 1)))


def _spectrum(values: Pixels) -> Spectrum:
    """Return the spectrum of each colour, with the lowest frequency in the middle."""
    moved = np.fft.fftshift(values, axes=(0, 1))
    return np.asarray(np.fft.ifftshift(np.fft.fft2(moved, axes=(0, 1), norm="ortho"), axes=(0, 1)))


def _picture(spectrum: Spectrum) -> Spectrum:
    """Return what has this spectrum."""
    moved = np.fft.fftshift(spectrum, axes=(0, 1))
    return np.asarray(np.fft.ifftshift(np.fft.ifft2(moved, axes=(0, 1), norm="ortho"), axes=(0, 1)))

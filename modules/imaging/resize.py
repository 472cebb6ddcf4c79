"""Pictures made larger: the upscalers that need no model, and how one is brought to an exact size."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from PIL import Image

Resize = Callable[[Image.Image, int, int], Image.Image]
"""Returns a picture in a width and a height, in pixels."""
NO_UPSCALER = "None"
LARGEST_SCALED = 256_000_000
"""Pixels to which a picture is enlarged on the way; only one that is extremely long or high would need more."""
_MULTIPLE = 8
"""Upscalers give sizes in whole latents."""

LATENT_UPSCALERS: Mapping[str, tuple[str, bool]] = {
    "Latent": ("bilinear", False),
    "Latent (antialiased)": ("bilinear", True),
    "Latent (bicubic)": ("bicubic", False),
    "Latent (bicubic antialiased)": ("bicubic", True),
    "Latent (nearest)": ("nearest", False),
    "Latent (nearest-exact)": ("nearest-exact", False),
}
"""Label to torch's interpolation mode and whether it is antialiased: these enlarge latents instead of pictures."""

_RESAMPLING: Mapping[str, Image.Resampling] = {
    "Lanczos": Image.Resampling.LANCZOS,
    "Nearest": Image.Resampling.NEAREST,
}
PIXEL_UPSCALERS = (NO_UPSCALER, *_RESAMPLING)
UPSCALERS = (*LATENT_UPSCALERS, *PIXEL_UPSCALERS)


def upscaled(picture: Image.Image, width: int, height: int, upscaler: str) -> Image.Image:
    """Return `picture` in `width` x `height` pixels; what the upscaler leaves to do, Lanczos does, as in A1111."""
    scale = scale_to(picture, width, height)
    if upscaler != NO_UPSCALER and scale > 1:
        picture = _upscale(picture, scale, _resampler(_RESAMPLING[upscaler]))
    return picture if picture.size == (width, height) else picture.resize((width, height), Image.Resampling.LANCZOS)


def scale_to(picture: Image.Image, width: int, height: int) -> float:
    """Return how many times as large an upscaler makes a picture that is to cover a size; 1 where it is left out."""
    scale = max(width / picture.width, height / picture.height)
    return scale if scale > 1 and picture.width * picture.height * scale * scale <= LARGEST_SCALED else 1


def plain(picture: Image.Image, width: int, height: int) -> Image.Image:
    """Return the picture in `width` x `height` pixels by Lanczos alone."""
    return upscaled(picture, width, height, NO_UPSCALER)


def _resampler(kind: Image.Resampling) -> Callable[[Image.Image, float], Image.Image]:
    return lambda picture, scale: picture.resize((int(picture.width * scale), int(picture.height * scale)), kind)


def _upscale(
    picture: Image.Image, scale: float, enlarge: Callable[[Image.Image, float], Image.Image]
) -> Image.Image:
    """Return the picture `scale` times as large, in multiples of 8 pixels."""
    width, height = (int(side * scale // _MULTIPLE * _MULTIPLE) for side in picture.size)
    enlarged = enlarge(picture, scale)
    if enlarged.size == (width, height):
        return enlarged
    return enlarged.resize((width, height), Image.Resampling.LANCZOS)

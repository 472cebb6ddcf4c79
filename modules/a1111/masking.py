"""A1111's modules.masking: the part of a picture around what is masked."""

from __future__ import annotations

from typing import Any

from PIL import Image

from modules.imaging.masks import filled, region_around, with_aspect


def get_crop_region_v2(mask: Any, pad: int = 0) -> tuple[int, int, int, int] | None:
    """Return left, top, right and bottom of what is masked, with padding; None where nothing is."""
    return region_around(_mask(mask), pad)


def get_crop_region(mask: Any, pad: int = 0) -> tuple[int, int, int, int]:
    """Return the same; where nothing is masked, a box that is none, as A1111 has it."""
    image = _mask(mask)
    found = region_around(image, pad)
    if found is not None:
        return found
    return max(image.width - pad, 0), max(image.height - pad, 0), min(pad, image.width), min(pad, image.height)


def expand_crop_region(
    crop_region: Any, processing_width: int, processing_height: int, image_width: int, image_height: int
) -> tuple[int, int, int, int]:
    """Return the box grown to the aspect that is worked in, inside the picture."""
    return with_aspect(tuple(crop_region), processing_width, processing_height, (image_width, image_height))


def fill(image: Image.Image, mask: Image.Image) -> Image.Image:
    """Return the picture with colours from around the mask in it."""
    return filled(image.convert("RGB"), mask.convert("L"))


def _mask(mask: Any) -> Image.Image:
    return mask.convert("L") if isinstance(mask, Image.Image) else Image.fromarray(mask).convert("L")

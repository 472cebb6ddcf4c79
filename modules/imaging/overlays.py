"""Pictures with holes, laid over others so that only a part of these is seen. Masks are 8-bit grey ("L")."""

from __future__ import annotations

from PIL import Image, ImageOps


def overlay_of(picture: Image.Image, mask: Image.Image) -> Image.Image:
    """Return the original with holes where is painted: RGBA, laid over the result so that the rest stays as it was."""
    return without(picture, mask).convert("RGBA")


def without(picture: Image.Image, mask: Image.Image) -> Image.Image:
    """Return the picture without what is masked, colours multiplied by how much is left (RGBa), rounded as in A1111."""
    left = Image.new("RGBa", picture.size)
    left.paste(picture.convert("RGBA").convert("RGBa"), mask=ImageOps.invert(mask.convert("L")))
    return left

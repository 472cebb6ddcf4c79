"""A picture brought to the size that is worked in, in A1111's four resize modes."""

from __future__ import annotations

import math

from PIL import Image

from modules.imaging.resize import LARGEST_SCALED, Resize, plain

JUST_RESIZE, CROP_AND_RESIZE, RESIZE_AND_FILL, LATENT_UPSCALE = range(4)
RESIZE_MODES = ("Just resize", "Crop and resize", "Resize and fill", "Just resize (latent upscale)")
"""By number, as the API and forms have them; the last one resizes latents, not the picture."""


def fitted(picture: Image.Image, width: int, height: int, mode: int, resize: Resize = plain) -> Image.Image:
    """Return the picture in `width` x `height` pixels.

    "Just resize" stretches it. "Crop and resize" keeps its aspect and cuts off what is over, half on either side.
    "Resize and fill" keeps all of it and continues its outermost rows or columns into what is left.
    """
    if mode == CROP_AND_RESIZE:
        picture = _middle(picture, width, height)
        return _centred(_scaled(picture, width, height, resize, covering=True), width, height)
    if mode == RESIZE_AND_FILL:
        inside = _scaled(picture, width, height, resize, covering=False)
        return _with_edges(_centred(inside, width, height), inside, width, height)
    return resize(picture, width, height)


def flattened(picture: Image.Image, background: str) -> Image.Image:
    """Return the picture in RGB, transparent pixels in the colour `background` ("#ffffff")."""
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    layers = Image.new("RGBA", picture.size, background)
    layers.alpha_composite(picture.convert("RGBA"))
    return layers.convert("RGB")


def _middle(picture: Image.Image, width: int, height: int) -> Image.Image:
    """Return what stays of a very long or high picture that covers the size; the rest would be enlarged in vain."""
    scale = max(width / picture.width, height / picture.height)
    if picture.width * picture.height * scale * scale <= LARGEST_SCALED:
        return picture
    across, down = min(picture.width, math.ceil(width / scale)), min(picture.height, math.ceil(height / scale))
    left, top = (picture.width - across) // 2, (picture.height - down) // 2
    return picture.crop((left, top, left + across, top + down))


def _scaled(picture: Image.Image, width: int, height: int, resize: Resize, covering: bool) -> Image.Image:
    """Return the picture in its own aspect, as small as covers the size or as large as fits into it."""
    wider = width / height > picture.width / picture.height
    if wider == covering:
        size = width, picture.height * width // picture.width
    else:
        size = picture.width * height // picture.height, height
    return resize(picture, max(size[0], 1), max(size[1], 1))


def _centred(picture: Image.Image, width: int, height: int) -> Image.Image:
    whole = Image.new("RGB", (width, height))
    whole.paste(picture, (width // 2 - picture.width // 2, height // 2 - picture.height // 2))
    return whole


def _with_edges(whole: Image.Image, inside: Image.Image, width: int, height: int) -> Image.Image:
    """Return `whole` with the first and last rows, or columns, of what is `inside` continued to its edges."""
    left, top = width // 2 - inside.width // 2, height // 2 - inside.height // 2
    right, bottom = left + inside.width, top + inside.height
    for box, edge in (
        ((0, 0, width, top), (0, 0, inside.width, 1)),
        ((0, bottom, width, height), (0, inside.height - 1, inside.width, inside.height)),
        ((0, 0, left, height), (0, 0, 1, inside.height)),
        ((right, 0, width, height), (inside.width - 1, 0, inside.width, inside.height)),
    ):
        size = box[2] - box[0], box[3] - box[1]
        if min(size) > 0 and (inside.width == width or inside.height == height):
            whole.paste(inside.crop(edge).resize(size, Image.Resampling.NEAREST), box[:2])
    return whole

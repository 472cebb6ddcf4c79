"""Picture files of any kind brought to 8 bits, the right way up, and how a damaged one is found out cheaply."""

from __future__ import annotations

import contextlib
import io
import struct
import warnings
import zlib

import numpy as np
from PIL import Image, ImageOps

FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "GIF", "BMP", "TIFF")
"""What is opened at all: Pillow reads many more, some of them by running other programs."""
BROKEN = (
    OSError, ValueError, SyntaxError, EOFError, struct.error, zlib.error, KeyError, IndexError, TypeError,
    RuntimeError, OverflowError,
)  # fmt: skip
"""What Pillow raises for files that are cut off or made up."""

_QUICKLY_DECODED = 4_000_000
"""Pixels: decoding so many takes some 50 ms."""
_DRAFT = 8
"""By how much JPEG pictures can be decoded smaller, which reads all of the file and costs little."""
_SIXTEEN_BITS = 65_535


def open_file(content: bytes) -> Image.Image:
    """Return a picture whose pixels are not decoded yet; the first one of a file that holds several.

    Raises `Image.DecompressionBombError` and `BROKEN`.
    """
    with warnings.catch_warnings():
        # Whoever opens a file holds its size against a limit of his own.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return Image.open(io.BytesIO(content), formats=FORMATS)


def check_whole(content: bytes) -> None:
    """Raise one of `BROKEN` when a picture's file is cut off or damaged, decoding large ones in part at most."""
    with open_file(content) as picture:
        if picture.width * picture.height > _QUICKLY_DECODED:
            if picture.format == "PNG":
                # Reads all chunks with their check sums.
                picture.verify()
                return
            if picture.format == "WEBP":
                if len(content) < struct.unpack("<I", content[4:8])[0] + 8:
                    raise OSError("image file is truncated")
                return
            picture.draft("RGB", (picture.width // _DRAFT, picture.height // _DRAFT))
        picture.load()


def upright(picture: Image.Image) -> Image.Image:
    """Return a picture decoded and turned as its metadata says, in "L", "LA", "RGB" or "RGBA" of 8 bits each.

    16 bits are scaled, not cut off at 255. Raises `BROKEN`.
    """
    picture.load()
    turned = picture
    with contextlib.suppress(*BROKEN):
        # Metadata may be made up; the picture is none the worse for it.
        turned = ImageOps.exif_transpose(picture)
    return eight_bits(turned)


def eight_bits(picture: Image.Image) -> Image.Image:
    """Return a picture in "L", "LA", "RGB" or "RGBA"; whole numbers are taken for 16 bits, floating ones for 0 to 1."""
    if picture.mode.startswith("I"):
        values = np.clip(np.asarray(picture).astype(np.int64), 0, _SIXTEEN_BITS)
        return Image.fromarray(((values * 255 + _SIXTEEN_BITS // 2) // _SIXTEEN_BITS).astype(np.uint8), "L")
    if picture.mode == "F":
        shades = np.nan_to_num(np.asarray(picture, dtype=np.float64), nan=0.0, posinf=1.0, neginf=0.0)
        return Image.fromarray(np.round(np.clip(shades, 0, 1) * 255).astype(np.uint8), "L")
    if picture.mode in ("LA", "RGBA") or (picture.mode in ("L", "RGB") and not picture.has_transparency_data):
        return picture
    if picture.mode == "1":
        return picture.convert("L")
    return picture.convert("RGBA" if picture.has_transparency_data else "RGB")

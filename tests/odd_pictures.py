"""Pictures as users hand them in: every kind that must work, and those that must be refused."""

import io
import struct
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

SIZE = (40, 24)


def file_of(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def declared(width: int, height: int) -> bytes:
    """A small PNG file that says it is of this size."""
    header = b"IHDR" + struct.pack(">II", width, height) + bytes([8, 2, 0, 0, 0])
    small = file_of(Image.new("RGB", (8, 6)))
    return small[:12] + header + struct.pack(">I", zlib.crc32(header)) + small[33:]


def _palette() -> bytes:
    picture = Image.new("P", SIZE, 1)
    picture.putpalette([255, 0, 0, 0, 0, 255])
    picture.paste(0, (0, 0, 20, 24))
    return file_of(picture, transparency=0)


def _turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return file_of(Image.new("RGB", SIZE, "red"), "JPEG", exif=exif)


def _noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(2).integers(0, 255, (height, width, 3), dtype=np.uint8), "RGB")


_FRAMES = [Image.new("RGB", SIZE, colour) for colour in ("red", "blue")]

ODD_FILES: Mapping[str, bytes] = {
    "one pixel": file_of(Image.new("RGB", (1, 1), "red")),
    "a line of 40000 pixels": file_of(Image.new("RGB", (40_000, 1), "red")),
    "16 bits": file_of(Image.fromarray(np.full((24, 40), 0x8080, dtype=np.uint16))),
    "CMYK": file_of(Image.new("CMYK", SIZE, (0, 255, 255, 0)), "JPEG"),
    "palette with transparency": _palette(),
    "animated": file_of(_FRAMES[0], "GIF", save_all=True, append_images=_FRAMES[1:], duration=50),
    "turned": _turned(),
    "black and white": file_of(Image.new("1", SIZE, 1)),
    "transparent": file_of(Image.new("RGBA", SIZE, (255, 0, 0, 0))),
    "webp": file_of(_noise(*SIZE), "WEBP"),
}
EXPECTED: Mapping[str, tuple[str, tuple[int, int]]] = {
    "one pixel": ("RGB", (1, 1)),
    "a line of 40000 pixels": ("RGB", (40_000, 1)),
    "16 bits": ("L", SIZE),
    "CMYK": ("RGB", SIZE),
    "palette with transparency": ("RGBA", SIZE),
    "animated": ("RGB", SIZE),
    "turned": ("RGB", (24, 40)),
    "black and white": ("L", SIZE),
    "transparent": ("RGBA", SIZE),
    "webp": ("RGB", SIZE),
}
"""The mode and size in which each comes out of the store."""

BAD_FILES: Mapping[str, bytes] = {
    "cut off": file_of(_noise(200, 200), "JPEG")[:9000],
    "empty": b"",
    "bomb": declared(12_000, 12_000),
    "vector": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
}

"""Pictures that users hand in, kept as files named by the hash of their content, so that a request stays small."""

from __future__ import annotations

import contextlib
import hashlib
import re
import time
from collections.abc import Callable, Container
from pathlib import Path

from PIL import Image

from modules.core.errors import FieldProblem, InvalidRequest
from modules.gallery.saving import storage_errors, write_whole
from modules.imaging.opening import BROKEN, check_whole, open_file, upright

LARGEST_MEGAPIXELS = 64
"""Of a picture that is handed in, unless the options say otherwise: 8000 x 8000."""
MOST_MEGAPIXELS = 170
"""Pillow opens none that is much larger."""
_MILLION = 1_000_000
_DIGEST = re.compile(r"[0-9a-f]{64}")
_ORIENTATION = 0x0112
"""The EXIF tag that says how a picture is turned."""
_LYING = range(5, 9)
"""Its values that swap width and height."""


class InputStore:
    """Keeps pictures in one folder; the same content is kept once. `megapixels`: how large they may be now."""

    def __init__(self, folder: Path, megapixels: Callable[[], int] = lambda: LARGEST_MEGAPIXELS) -> None:
        self._folder = folder
        self._megapixels = megapixels

    def keep(self, content: bytes, field: str = "image", name: str = "") -> str:
        """Return the hash under which the picture is kept from now on.

        Raises InvalidRequest, naming `field` and the file's `name`, for what is no picture, too large or damaged a
        one, and StorageFailed.
        """
        megapixels = self._megapixels()
        with open_picture(content, field, megapixels, name) as picture:
            kind = picture.format
        digest = hashlib.sha256(content).hexdigest()
        path = self._folder / digest
        if path.is_file():
            path.touch()
            return digest
        try:
            check_whole(content)
        except BROKEN as error:
            raise _refusal(field, name, f"a {kind} picture that is cut off or damaged", megapixels) from error
        with storage_errors(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            write_whole(path, content)
        return digest

    def load(self, digest: str) -> Image.Image:
        """Return a kept picture, the right way up and of 8 bits: "L", "LA", "RGB" or "RGBA".

        Raises InvalidRequest when it is gone or cannot be decoded.
        """
        picture = open_picture(self.content(digest), "image")
        try:
            return upright(picture)
        except BROKEN as error:
            raise _refusal("image", "", f"a {picture.format} picture that is damaged", self._megapixels()) from error

    def size(self, digest: str) -> tuple[int, int]:
        """Return width and height in pixels of a kept picture, the right way up, without decoding it."""
        with open_picture(self.content(digest), "image") as picture:
            width, height = picture.size
            return (height, width) if picture.getexif().get(_ORIENTATION) in _LYING else (width, height)

    def content(self, digest: str) -> bytes:
        """Return a kept picture's file as it was handed in. Raises InvalidRequest when it is gone."""
        return self.find(digest).read_bytes()

    def forget_old(self, needed: Container[str], seconds: float) -> int:
        """Delete pictures that were not handed in for so long and are not among `needed`; return how many went."""
        gone = 0
        for path in self._folder.iterdir() if self._folder.is_dir() else ():
            if not _DIGEST.fullmatch(path.name) or path.name in needed:
                continue
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < time.time() - seconds:
                    path.unlink()
                    gone += 1
        return gone

    def find(self, digest: str) -> Path:
        """Return where a kept picture's file lies. Raises InvalidRequest when it is gone."""
        path = self._folder / digest
        if not _DIGEST.fullmatch(digest) or not path.is_file():
            problem = FieldProblem("image", "Image", digest or "an empty value", "the hash of a picture that was kept")
            raise InvalidRequest([problem])
        return path


def open_picture(content: bytes, field: str, megapixels: int = MOST_MEGAPIXELS, name: str = "") -> Image.Image:
    """Return a picture whose pixels are not decoded yet. Raises InvalidRequest, naming `field` and the file."""
    try:
        picture = open_file(content)
    except Image.DecompressionBombError as error:
        found = f"a picture of more than {MOST_MEGAPIXELS} megapixels"
        raise _refusal(field, name, found, megapixels) from error
    except BROKEN as error:
        found = f"{len(content)} bytes that are no picture" if content else "an empty file"
        raise _refusal(field, name, found, megapixels) from error
    if picture.width * picture.height > megapixels * _MILLION:
        raise _refusal(field, name, f"a picture of {picture.width} x {picture.height} pixels", megapixels)
    return picture


def _refusal(field: str, name: str, found: str, megapixels: int) -> InvalidRequest:
    allowed = f"a PNG, JPEG, WebP, AVIF, GIF, BMP or TIFF picture of at most {megapixels} megapixels"
    return InvalidRequest([FieldProblem(field, field, f"{name}, {found}," if name else found, allowed)])

"""Pictures that users hand in, kept as files named by the hash of their content, so that a request stays small."""

from __future__ import annotations

import hashlib
import io
import re
import warnings
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from modules.core.errors import FieldProblem, InvalidRequest
from modules.gallery.saving import storage_errors, write_whole

LARGEST_PIXELS = 64_000_000
"""Pixels of a picture that is handed in: 8000 x 8000."""
ALLOWED = f"a PNG, JPEG, WebP, AVIF or GIF picture of at most {LARGEST_PIXELS // 1_000_000} megapixels"
_DIGEST = re.compile(r"[0-9a-f]{64}")


class InputStore:
    """Keeps pictures in one folder; the same content is kept once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, content: bytes, field: str = "image") -> str:
        """Return the hash under which the picture is kept from now on.

        Raises InvalidRequest, naming `field`, for what is no picture or too large a one, and StorageFailed.
        """
        open_picture(content, field).close()
        digest = hashlib.sha256(content).hexdigest()
        path = self._folder / digest
        if not path.is_file():
            with storage_errors(self._folder):
                self._folder.mkdir(parents=True, exist_ok=True)
                write_whole(path, content)
        return digest

    def load(self, digest: str) -> Image.Image:
        """Return a kept picture, turned as its metadata says. Raises InvalidRequest when it is gone."""
        return ImageOps.exif_transpose(open_picture(self.content(digest), "image"))

    def content(self, digest: str) -> bytes:
        """Return a kept picture's file as it was handed in. Raises InvalidRequest when it is gone."""
        path = self._folder / digest
        if not _DIGEST.fullmatch(digest) or not path.is_file():
            problem = FieldProblem("image", "Image", digest or "an empty value", "the hash of a picture that was kept")
            raise InvalidRequest([problem])
        return path.read_bytes()


def open_picture(content: bytes, field: str) -> Image.Image:
    """Return a picture whose pixels are not decoded yet. Raises InvalidRequest, naming `field`."""
    try:
        with warnings.catch_warnings():
            # Our own limit, below, is the stricter one.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(content))
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError) as error:
        found = f"{len(content)} bytes that are no picture" if content else "an empty file"
        raise InvalidRequest([FieldProblem(field, field, found, ALLOWED)]) from error
    if picture.width * picture.height > LARGEST_PIXELS:
        found = f"a picture of {picture.width} x {picture.height} pixels"
        raise InvalidRequest([FieldProblem(field, field, found, ALLOWED)])
    return picture

"""The pictures beside model files: found by A1111's names, served small, replaced and removed."""

from __future__ import annotations

import hashlib
import io
import os
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from modules.core.errors import FieldProblem, InvalidRequest, StorageFailed
from modules.imaging.metadata import embed
from modules.library.writing import write_whole

PREVIEW_FORMATS = ("png", "jpg", "jpeg", "webp", "gif")
LARGEST_PIXELS = 64_000_000
"""Pixels of a picture that becomes a preview."""
LARGEST_FILE = 96 * 1024 * 1024
"""Bytes of a preview that somebody has put beside a model."""
KEPT_SIDE = 1024
"""Pixels: larger previews are made smaller when they are set."""
SMALL_SIDE = 512
"""Pixels of a card's picture."""
_SMALL_QUALITY = 82
_AT_ONCE = 2
_ALLOWED = f"a PNG, JPEG, WebP or GIF picture of at most {LARGEST_PIXELS // 1_000_000} megapixels"
_BROKEN = (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError, SyntaxError)


@dataclass(frozen=True, slots=True)
class _Listed:
    changed: int
    names: Mapping[str, str]


class Neighbours:
    """The names of the files in the folders of models; a folder is only listed again when something came or went."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._folders: dict[str, _Listed] = {}

    def of(self, folder: str) -> Mapping[str, str]:
        """Return the names in a folder by their lower-case forms; none for one that cannot be read."""
        try:
            changed = Path(folder).stat().st_mtime_ns
        except OSError:
            return {}
        with self._lock:
            known = self._folders.get(folder)
        if known is not None and known.changed == changed:
            return known.names
        try:
            with os.scandir(folder) as entries:
                names = {entry.name.lower(): entry.name for entry in entries}
        except OSError:
            names = {}
        with self._lock:
            self._folders[folder] = _Listed(changed, names)
        return names

    def forget(self, folder: str) -> None:
        """List a folder again: the clock may be too coarse to show a change that just happened."""
        with self._lock:
            self._folders.pop(folder, None)


@dataclass(frozen=True, slots=True)
class PictureNames:
    """What the preview of a model may be called: `stem` is the model's name without its ending.

    `marked`: pictures without the mark ".preview" may be models themselves, as some embeddings are, so those with it
    count first and only they are written and deleted.
    """

    folder: Path
    stem: str
    marked: bool = False

    def candidates(self) -> list[str]:
        """Return the names in the order in which they count, which is A1111's."""
        marks = (".preview", "") if self.marked else ("", ".preview")
        if self.marked:
            return [f"{self.stem}{mark}.{ending}" for mark in marks for ending in PREVIEW_FORMATS]
        return [f"{self.stem}{mark}.{ending}" for ending in PREVIEW_FORMATS for mark in marks]

    def find(self, neighbours: Neighbours) -> Path | None:
        """Return the picture that counts."""
        names = neighbours.of(str(self.folder))
        found = (names[name] for wanted in self.candidates() if (name := wanted.lower()) in names)
        return next((self.folder / name for name in found), None)

    def may_be_deleted(self, path: Path) -> bool:
        """Say whether a picture is surely nothing but a preview."""
        return not self.marked or path.stem.lower() == f"{self.stem}.preview".lower()


class Thumbnails:
    """Small versions of previews, made when first asked for and kept until the preview changes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._places = threading.BoundedSemaphore(_AT_ONCE)

    def of(self, picture: Path) -> Path:
        """Return the file of the small version, a WebP. Raises InvalidRequest when the picture cannot be read."""
        with _readable(picture.name):
            status = picture.stat()
        name = hashlib.blake2s(os.fsencode(picture), digest_size=12).hexdigest()
        small = self._folder / name[:2] / f"{name}-{status.st_mtime_ns:x}-{status.st_size:x}.webp"
        if not small.is_file():
            with self._places:
                self._make(picture, small, status.st_size)
            for old in small.parent.glob(f"{name}-*.webp"):
                if old != small:
                    old.unlink(missing_ok=True)
        return small

    def _make(self, picture: Path, small: Path, size: int) -> None:
        if size > LARGEST_FILE:
            raise _refused(picture.name, f"a file of {size:,} bytes")
        with _readable(picture.name):
            content = picture.read_bytes()
        image = _opened(content, picture.name)
        with _readable(picture.name):
            image.draft("RGB", (SMALL_SIDE, SMALL_SIDE))
            out = io.BytesIO()
            _shrunk(image, SMALL_SIDE).save(out, "WEBP", quality=_SMALL_QUALITY, method=2)
        write_whole(small, out.getvalue())


def save_preview(names: PictureNames, content: bytes, text: str | None = None) -> None:
    """Make a picture that was handed in the model's preview. `text`: the infotext that it keeps.

    Nothing else of what was handed in is written: the picture is decoded and encoded anew.
    Raises InvalidRequest for what is no picture or too large a one, StorageFailed.
    """
    image = _opened(content, "image")
    with _readable("image"):
        encoded = embed(_shrunk(image, KEPT_SIDE), text, "png")
    write_whole(names.folder / names.candidates()[0], encoded)


def remove_previews(names: PictureNames, neighbours: Neighbours) -> None:
    """Delete all pictures that count as the model's preview. Raises StorageFailed."""
    folder = str(names.folder)
    neighbours.forget(folder)
    while (path := names.find(neighbours)) is not None:
        if not names.may_be_deleted(path):
            raise StorageFailed(f"{path.name} is left alone, since it may hold the model itself; delete it by hand.")
        try:
            path.unlink()
        except OSError as error:
            raise StorageFailed(f"{path} could not be deleted: {error.strerror or error}.") from error
        neighbours.forget(folder)


def _opened(content: bytes, field: str) -> Image.Image:
    """Return a picture whose pixels are not decoded yet. Raises InvalidRequest."""
    with _readable(field, f"{len(content):,} bytes that are no picture"), warnings.catch_warnings():
        # Our own limit, below, is the stricter one.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        image = Image.open(io.BytesIO(content), formats=("PNG", "JPEG", "WEBP", "GIF"))
    if image.width * image.height > LARGEST_PIXELS:
        raise _refused(field, f"a picture of {image.width} x {image.height} pixels")
    return image


def _shrunk(image: Image.Image, side: int) -> Image.Image:
    """Return the (first) picture upright, at most `side` pixels wide and high, without metadata."""
    turned = ImageOps.exif_transpose(image)
    has_alpha = turned.mode in ("RGBA", "LA", "PA") or "transparency" in turned.info
    plain = turned.convert("RGBA" if has_alpha else "RGB")
    plain.thumbnail((side, side), Image.Resampling.LANCZOS)
    plain.info.clear()
    return plain


@contextmanager
def _readable(field: str, found: str = "a broken picture") -> Iterator[None]:
    try:
        yield
    except _BROKEN as error:
        raise _refused(field, found) from error


def _refused(field: str, found: str) -> InvalidRequest:
    return InvalidRequest([FieldProblem(field, "Preview", found, _ALLOWED)])

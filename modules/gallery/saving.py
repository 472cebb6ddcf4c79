"""Finished pictures become files: numbered without gaps, never overwriting, whole or not at all.

outputs/txt2img-images/2026-01-31/00000-1234.png, with the infotext in its text chunk `parameters`.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import itertools
import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from filelock import FileLock, Timeout
from PIL.PngImagePlugin import PngInfo

from modules.core.errors import StorageFailed
from modules.core.result import AS_ALWAYS, GeneratedImage, Place
from modules.imaging.infotext import PNG_CHUNK
from modules.imaging.metadata import embed

logger = logging.getLogger(__name__)

UNSAVED_FOLDER = "unsaved"
"""Below outputs/: pictures that go when their job leaves the queue's list."""
LOCK_SECONDS = 30.0
"""How long to wait for another process that saves at the same time; a save holds the lock for milliseconds."""
LOCK_FILE = Path(".easel") / "pictures.lock"
NUMBERED = re.compile(r"(\d{5,})-.*\.png")

LONGEST_STEM = 200
"""Bytes of UTF-8; with a number and an ending, names stay below the 255 that file systems take."""
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*]')
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
"""Names that are no files on Windows."""

_LARGEST_SIDES = {"jpg": 65_535, "webp": 16_383}
"""How many pixels wide and high a picture of a format may be."""

Claim = Callable[[Path, str], None]


@dataclass(frozen=True, slots=True)
class GridSaving:
    """What is other for grids; `file_format`: "png", "jpg" or "webp", where the grid is not too large for that."""

    folder: str = "txt2img-grids"
    picture_folder: str = "img2img-grids"
    folder_per_day: bool = True
    file_format: str = "png"


@dataclass(frozen=True, slots=True)
class SavingRules:
    """The options that saving heeds: folders below outputs/, one more per day, the infotext in the file.

    `folder` is for txt2img, `picture_folder` for img2img; `grids` are the rules for grids.
    """

    folder: str = "txt2img-images"
    picture_folder: str = "img2img-images"
    folder_per_day: bool = True
    infotext: bool = True
    grids: GridSaving = GridSaving()


class PictureStore:
    """Saves pictures below one outputs folder; several processes may do so at once."""

    def __init__(
        self,
        outputs: Path,
        rules: Callable[[], SavingRules] = SavingRules,
        today: Callable[[], date] = date.today,
    ) -> None:
        self._outputs = outputs
        self._rules = rules
        self._today = today

    def save(self, image: GeneratedImage, kept: bool, on_claim: Claim, place: Place = AS_ALWAYS) -> Path:
        """Write one picture and return its path; one that is not to be kept goes to a folder of its own.

        What `place` names goes before that. `on_claim` gets the final path and the file's sha256 before anything is
        written, so that whoever finds the claim later can tell whether the file got there. Raises StorageFailed naming
        the path and the reason.
        """
        rules = self._rules()
        if place.series:
            return self._save_grid(image, kept, on_claim, place)
        content = encode_png(image, with_infotext=rules.infotext)
        own = rules.picture_folder if image.over_picture else rules.folder
        folder = self._outputs / (place.folder or (own if kept else UNSAVED_FOLDER))
        if rules.folder_per_day and not place.folder:
            folder /= self._today().isoformat()
        with storage_errors(folder), self._locked():
            folder.mkdir(parents=True, exist_ok=True)
            name = f"{next_number(folder):05d}-{image.seed}"
            path = free_path(folder, file_stem(place.stem)) if place.stem else folder / f"{name}.png"
            on_claim(path, hashlib.sha256(content).hexdigest())
            write_whole(path, content)
        return path

    def _save_grid(self, image: GeneratedImage, kept: bool, on_claim: Claim, place: Place) -> Path:
        rules = self._rules()
        grids = rules.grids
        ending = grids.file_format if max(image.pixels.size) <= _LARGEST_SIDES.get(grids.file_format, 0) else "png"
        if ending == "png":
            content = encode_png(image, with_infotext=rules.infotext)
        else:
            content = embed(image.pixels, image.infotext if rules.infotext else None, ending)
        own = grids.picture_folder if image.over_picture else grids.folder
        folder = self._outputs / (place.folder or (own if kept else UNSAVED_FOLDER))
        if grids.folder_per_day and not place.folder:
            folder /= self._today().isoformat()
        with storage_errors(folder), self._locked():
            folder.mkdir(parents=True, exist_ok=True)
            series = file_stem(place.series)
            stem = f"{series}-{next_in_series(folder, series):04d}-{image.seed}"
            path = free_path(folder, stem, f".{ending}")
            on_claim(path, hashlib.sha256(content).hexdigest())
            write_whole(path, content)
        return path

    def discard(self, path: Path) -> None:
        """Clear away the unfinished file of a save to `path` that was killed."""
        with contextlib.suppress(OSError):
            unfinished(path).unlink(missing_ok=True)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other processes from choosing a number meanwhile; the lock of a killed process is free."""
        lock_path = self._outputs / LOCK_FILE
        lock_path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(lock_path, timeout=LOCK_SECONDS):
                yield
        except Timeout as error:
            raise StorageFailed(
                f"Another program has held {lock_path} for {LOCK_SECONDS:.0f} s; end it and try again."
            ) from error


def encode_png(image: GeneratedImage, with_infotext: bool = True) -> bytes:
    """Return the picture as a PNG file; equal pixels and infotext give equal bytes."""
    chunks = PngInfo()
    if with_infotext and image.infotext:
        chunks.add_text(PNG_CHUNK, image.infotext)
    buffer = io.BytesIO()
    image.pixels.save(buffer, "PNG", pnginfo=chunks)
    return buffer.getvalue()


def next_number(folder: Path) -> int:
    """Return one more than the highest number that a picture in the folder has, 0 for the first."""
    with os.scandir(folder) as entries:
        numbers = [int(match[1]) for entry in entries if (match := NUMBERED.fullmatch(entry.name))]
    return max(numbers, default=-1) + 1


def next_in_series(folder: Path, series: str) -> int:
    """Return one more than the highest number that a picture of a series has in the folder, 0 for the first."""
    numbered = re.compile(re.escape(series) + r"-(\d{4,})-.*")
    with os.scandir(folder) as entries:
        return max((int(match[1]) for entry in entries if (match := numbered.fullmatch(entry.name))), default=-1) + 1


def file_stem(name: str) -> str:
    """Return a name that any system takes as that of a file, without folders; names of users may hold anything."""
    sound = _FORBIDDEN.sub("_", name.encode(errors="replace").decode())
    plain = sound.encode()[:LONGEST_STEM].decode(errors="ignore").strip(". ")
    return f"_{plain}" if not plain or _DEVICES.fullmatch(plain) else plain


def free_path(folder: Path, stem: str, ending: str = ".png") -> Path:
    """Return a path for a picture that is not taken: stem.png, else stem-1.png, stem-2.png, …"""
    numbers = itertools.count(1)
    path = folder / f"{stem}{ending}"
    while path.exists():
        path = folder / f"{stem}-{next(numbers)}{ending}"
    return path


def unfinished(path: Path) -> Path:
    """Return the name under which a file is written before it gets its own."""
    return path.with_name(f".{path.name}.part")


def write_whole(path: Path, content: bytes) -> None:
    """Put a file in its place in one step, on disk for good when this returns; replaces what was there."""
    part = unfinished(path)
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


@contextmanager
def storage_errors(place: Path) -> Iterator[None]:
    """Turn what the operating system says about a write into StorageFailed with the place and the reason."""
    try:
        yield
    except OSError as error:
        where = error.filename or place
        raise StorageFailed(f"The picture could not be saved to {where}: {error.strerror or error}.") from error


def _sync_folder(folder: Path) -> None:
    """Make a rename last through a power cut, where the system can do that for folders."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

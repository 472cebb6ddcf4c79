"""Unpacking an extension from a zip file: nothing outside its folder, no links, no bombs."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path, PurePosixPath

from modules.core.errors import ExtensionFailed

MOST_FILES = 20_000
LARGEST_CONTENT = 2 * 1024**3
"""Bytes of all files together, unpacked."""
_CHUNK = 1024 * 1024
_LEFT_OUT = frozenset({".git", "__MACOSX", "__pycache__"})


def unpack(archive: Path, target: Path) -> None:
    """Unpack into `target`, which is made; a single folder around everything is left out. Raises ExtensionFailed."""
    try:
        with zipfile.ZipFile(archive) as opened:
            wanted = _wanted(opened)
            top = _common_top(list(wanted.values()))
            target.mkdir(parents=True)
            left = LARGEST_CONTENT
            for entry, path in wanted.items():
                place = target.joinpath(*(path.parts[1:] if top else path.parts))
                place.parent.mkdir(parents=True, exist_ok=True)
                left -= _write(opened, entry, place, left)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise ExtensionFailed(f"The zip file cannot be read: {error}.") from error
    except OSError as error:
        raise ExtensionFailed(f"The zip file cannot be unpacked: {error.strerror or error}.") from error


def suggested_name(archive: Path) -> str:
    """Return the name of the single folder around everything; "" where there is none, or nothing can be read."""
    try:
        with zipfile.ZipFile(archive) as opened:
            return _common_top(list(_wanted(opened).values()))
    except (zipfile.BadZipFile, OSError, ExtensionFailed):
        return ""


def _wanted(opened: zipfile.ZipFile) -> dict[zipfile.ZipInfo, PurePosixPath]:
    """Return the files to unpack with their places. Raises ExtensionFailed when any is suspect."""
    wanted: dict[zipfile.ZipInfo, PurePosixPath] = {}
    for entry in opened.infolist():
        path = PurePosixPath(entry.filename)
        if not _is_safe(entry.filename) or stat.S_ISLNK(entry.external_attr >> 16):
            raise ExtensionFailed(f"The zip file is not unpacked: {entry.filename[:200]!r} would lie elsewhere.")
        if not entry.is_dir() and not _LEFT_OUT & set(path.parts):
            wanted[entry] = path
    if not wanted:
        raise ExtensionFailed("The zip file holds no files.")
    if len(wanted) > MOST_FILES or sum(entry.file_size for entry in wanted) > LARGEST_CONTENT:
        raise ExtensionFailed(f"The zip file is too large: at most {MOST_FILES} files and 2 GiB are unpacked.")
    return wanted


def _is_safe(name: str) -> bool:
    path = PurePosixPath(name)
    strange = any(character in name for character in "\\:\0") or any(ord(character) < 32 for character in name)
    return bool(path.parts) and not strange and not path.is_absolute() and ".." not in path.parts


def _common_top(paths: list[PurePosixPath]) -> str:
    tops = {path.parts[0] for path in paths}
    return tops.pop() if len(tops) == 1 and all(len(path.parts) > 1 for path in paths) else ""


def _write(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, place: Path, left: int) -> int:
    """Write one file and return its true size, which the archive may have told wrong."""
    size = 0
    with opened.open(entry) as source, place.open("xb") as file:
        while chunk := source.read(_CHUNK):
            size += len(chunk)
            if size > left:
                raise ExtensionFailed("The zip file is not what it says: it unpacks to more than 2 GiB.")
            file.write(chunk)
    return size

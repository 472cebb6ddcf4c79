"""The addresses by which extensions' parts of the page load pictures and files: A1111's `/file=PATH`, and Gradio's.

Only what lies in an extension's folder, among the outputs or in Gradio's folder of handed-in files is served: no
settings, no database, nothing hidden. Gradio's own route would serve all of the outputs, the database too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter, HTTPException
from starlette.responses import FileResponse

from modules.web.asset_server import Asset, make_asset

FILE_ADDRESS = "/file="
GRADIO_ADDRESS = "/gradio_api/file="
SHOWN_TYPES = frozenset({
    ".png", ".jpg", ".jpeg", ".webp", ".gif", ".avif", ".bmp", ".mp4", ".webm", ".mp3", ".wav", ".txt", ".json", ".csv",
})  # fmt: skip
"""What is shown in the page; another file of the users', such as a page, would run as if it were ours."""
REFUSED_TYPES = frozenset({".py", ".pyc", ".db", ".sqlite", ".sqlite3", ".db-wal", ".db-shm"})
"""What is served of no folder."""
MIME_TYPES: Mapping[str, str] = {".js": "text/javascript", ".mjs": "text/javascript", ".css": "text/css"}
LARGEST_KEPT = 4 * 1024 * 1024
"""Bytes of a script that is kept in memory."""


@dataclass(frozen=True, slots=True)
class Places:
    """What may be served: `outputs`, `cache` with Gradio's files, extensions' folders by their addresses' beginning.

    `root`: what paths that are not absolute are relative to.
    """

    outputs: Path
    cache: Path
    root: Path
    folders: Callable[[], Mapping[str, Path]]


@dataclass(frozen=True, slots=True)
class _KeptScript:
    file: Path
    stamp: str
    asset: Asset


class ForeignScripts:
    """What extensions load into the page, kept in memory and compressed for as long as the files stay as they are.

    Found are only addresses that the page itself names: those whose query is when the file was changed.
    """

    def __init__(self, places: Places) -> None:
        self._places = places
        self._kept: dict[str, _KeptScript] = {}

    def find(self, path: str, query: str) -> Asset | None:
        """Return the script or style sheet of an address; None for all others, and once the file is another."""
        suffix = Path(path).suffix.lower()
        if not path.startswith(FILE_ADDRESS) or suffix not in MIME_TYPES or not query:
            return None
        kept = self._kept.get(path)
        try:
            if kept is None or kept.stamp != query or stamp_of(kept.file) != query:
                kept = self._read(path, query, f"{MIME_TYPES[suffix]}; charset=utf-8")
        except OSError:
            return None
        return None if kept is None else kept.asset

    def _read(self, path: str, query: str, media_type: str) -> _KeptScript | None:
        self._kept.pop(path, None)
        found = find_file(path.removeprefix(FILE_ADDRESS), self._places)
        folders = self._places.folders().values()
        if found is None or not any(found.is_relative_to(folder.resolve()) for folder in folders):
            return None
        if stamp_of(found) != query or found.stat().st_size > LARGEST_KEPT:
            return None
        self._kept[path] = _KeptScript(found, query, make_asset(found.read_bytes(), media_type))
        return self._kept[path]


def stamp_of(path: Path) -> str:
    """Return what an address of a file has as its query: the milliseconds of its last change."""
    return str(path.stat().st_mtime_ns // 1_000_000)


def make_file_router(places: Places) -> APIRouter:
    """Return the routes; they are to come before those of our own pictures, who know fewer places."""
    router = APIRouter()

    @router.api_route(GRADIO_ADDRESS + "{path:path}", methods=["GET", "HEAD"], include_in_schema=False)
    @router.api_route(FILE_ADDRESS + "{path:path}", methods=["GET", "HEAD"], include_in_schema=False)
    def read_file(path: str) -> FileResponse:
        """Return a file."""
        found = find_file(path, places)
        if found is None:
            raise HTTPException(404, "There is no such file, or it is not for the page.")
        suffix = found.suffix.lower()
        of_user = found.is_relative_to(places.cache.resolve()) and suffix not in SHOWN_TYPES
        name = found.name if of_user else None
        return FileResponse(found, media_type=MIME_TYPES.get(suffix), filename=name)

    return router


def find_file(path: str, places: Places) -> Path | None:
    """Return the file that an address means, None where it must not be served or is not there."""
    folders = places.folders()
    try:
        wanted = _placed(path, places.root, folders).resolve()
        for folder in (*folders.values(), places.cache):
            if wanted.is_relative_to(folder.resolve()):
                return wanted if wanted.is_file() and _may_be_seen(wanted.relative_to(folder.resolve())) else None
        outputs = places.outputs.resolve()
        shown = wanted.is_relative_to(outputs) and wanted.suffix.lower() in SHOWN_TYPES
        return wanted if shown and wanted.is_file() and _may_be_seen(wanted.relative_to(outputs)) else None
    except (OSError, ValueError):
        return None


def _placed(path: str, root: Path, folders: Mapping[str, Path]) -> Path:
    """Return the path that is meant; an extension may lie elsewhere than its address says."""
    for beginning, folder in folders.items():
        if path == beginning or path.startswith(f"{beginning}/"):
            return folder / path[len(beginning) + 1 :]
    return root / path


def _may_be_seen(path: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.parts)
    return not hidden and path.suffix.lower() not in REFUSED_TYPES

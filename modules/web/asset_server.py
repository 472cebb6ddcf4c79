"""Serves scripts and styles, Gradio's and ours, from memory.

Loading the page takes a hundred such files. Gradio reads and compresses each of them again for every browser, which
on a slow machine is most of the time until the page can be used. All of them have a digest in their address, so they
never change under it: here each is compressed once, and browsers may keep it for good.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from modules.web.frontend import changed

FOREVER = "private, max-age=31536000, immutable"
COMPRESSION_LEVEL = 6
MEDIA_TYPES: Mapping[str, str] = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """What is sent to browsers: a script, a style sheet or a page, also compressed."""

    content: bytes
    compressed: bytes
    media_type: str


MoreAssets = Callable[[str, str], Asset | None]
"""Finds what belongs to a path and its query; None for what is not its own."""


class AssetServer:
    """ASGI application that answers for files directly inside some folders and hands everything else on to `app`.

    `folders` maps the beginning of an address, with its last slash, to a folder. `more` finds others, which have
    something in their query that changes with them.
    """

    def __init__(self, app: ASGIApp, folders: Mapping[str, Path], more: MoreAssets | None = None) -> None:
        self._app = app
        self._more = more
        self._folders = dict(folders)
        self._names = {folder: frozenset(file.name for file in folder.iterdir()) for folder in folders.values()}
        self._loaded: dict[str, Asset] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer for a known file, else hand the request on."""
        reads = scope["type"] == "http" and scope["method"] in ("GET", "HEAD")
        asset = self._find(scope["path"], scope["query_string"].decode("latin-1")) if reads else None
        if asset is None:
            await self._app(scope, receive, send)
            return
        await answer_with(asset, scope, FOREVER)(scope, receive, send)

    def _find(self, path: str, query: str = "") -> Asset | None:
        if path in self._loaded:
            return self._loaded[path]
        beginning, _, name = path.rpartition("/")
        folder = self._folders.get(beginning + "/")
        media_type = MEDIA_TYPES.get(Path(name).suffix)
        # Only names that the folder itself lists are opened, so no name can lead out of it.
        if folder is None or media_type is None or name not in self._names[folder]:
            return self._more(path, query) if self._more is not None else None
        self._loaded[path] = make_asset(changed((folder / name).read_bytes()), media_type)
        return self._loaded[path]


def make_asset(content: bytes, media_type: str, level: int = COMPRESSION_LEVEL) -> Asset:
    """Return an asset with its compressed form. `level`: 1 (quick) to 9 (small)."""
    return Asset(content, gzip.compress(content, level), media_type)


def answer_with(asset: Asset, scope: Scope, cache_control: str) -> Response:
    """Return the answer to a request, compressed where the browser takes that."""
    headers = {"cache-control": cache_control, "content-type": asset.media_type, "vary": "Accept-Encoding"}
    if "gzip" not in Headers(scope=scope).get("accept-encoding", ""):
        return Response(asset.content, headers=headers)
    return Response(asset.compressed, headers={**headers, "content-encoding": "gzip"})

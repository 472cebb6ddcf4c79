"""Puts our style sheets, scripts and the page's facts into Gradio's HTML, where they run before Gradio does.

Gradio's own `head=` travels in its configuration and takes effect a second later, after a flash of unstyled page.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from modules.web.asset_server import Asset, answer_with, make_asset
from modules.web.panels import PageFiles

SOCIAL_TAGS = re.compile(rb'<meta\s+(?:property="og:|name="twitter:)[^>]*/>\s*')
OWN_NAME = re.compile(rb"<script>(\s*const ce = .{0,1000}?)</script>", re.S)
"""A script of Gradio's page with a name for all scripts, which may be that of one of an extension's."""
PLACE = re.compile(rb'(<meta\s+name="viewport"[^>]*>)')
STYLES = (
    "palette.css",
    "page.css",
    "generation.css",
    "source.css",
    "folds.css",
    "tools.css",
    "library.css",
    "pnginfo.css",
    "canvas.css",
    "batch.css",
    "queue.css",
    "tasks.css",
    "panels.css",
    "extensions.css",
    "settings.css",
    "overlays.css",
    "dialogs.css",
)

Facts = Callable[[Scope], Mapping[str, object]]
"""Tells what the page has to know, which depends on who asks for it."""
LATE_SCRIPTS = ("a1111", "library", "panels", "downloads", "merger", "extension", "canvas", "source", "batch")
GLOBALS = (
    "a1111_globals.js", "a1111_events.js", "a1111_settings.js", "a1111_actions.js", "a1111_sending.js",
    "a1111_document.js",
)  # fmt: skip
"""What extensions' scripts call, in order; only there when there are extensions."""


PROXY_HEADERS = ("x-forwarded-host", "x-forwarded-proto", "x-gradio-server")
"""What Gradio looks at to learn by which address it is asked, besides the host."""
KEPT_PAGES = 4
"""By how many addresses a page is usually asked for at most: this machine's names, and those on the network."""
QUICK_COMPRESSION = 4
"""For what is made while a browser waits."""
NOT_KEPT = "no-store"

Key = tuple[str, ...]
_Name = TypeVar("_Name")
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class _Frame:
    """Gradio's page, split where our head belongs."""

    before: bytes
    after: bytes

    def around(self, head: str) -> bytes:
        """Return the whole page."""
        return self.before + head.encode() + self.after


class PageHead:
    """ASGI application that rewrites the answer to `/` and leaves all others alone.

    Gradio's part depends on the address alone by which it is asked for, but takes it a quarter of a second with ten
    extensions: it is kept, and so is the whole as long as our part stays the same.
    `files` tells what extensions load into the page; None where there are none.
    """

    def __init__(
        self, app: ASGIApp, folder: Path, address: str, facts: Facts, files: Callable[[], PageFiles] | None = None
    ) -> None:
        self._app = app
        self._assets = address
        self._facts = facts
        self._files = files
        # What the first paint needs travels with the page: no request to wait for, no flash of the other scheme.
        self._scheme = (folder / "scheme.js").read_text(encoding="utf-8")
        self._styles = "".join((folder / name).read_text(encoding="utf-8") for name in STYLES)
        # These scripts are fetched when what they are for is opened.
        names = (path.name for path in folder.glob("*.js") if not path.name.startswith(LATE_SCRIPTS))
        scripts = sorted(name for name in names if name not in ("scheme.js", "main.js"))
        self._preloads = [f"{address}/{name}" for name in scripts]
        self._frames: dict[Key, _Frame] = {}
        self._pages: dict[tuple[Key, str], Asset] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request; `/` is held back until it is complete."""
        if scope["type"] != "http" or scope["path"] != "/":
            await self._app(scope, receive, send)
            return
        key = _key(scope)
        if key is not None and key in self._frames:
            await self._answer(key, self._frames[key], scope)(scope, receive, send)
            return
        await self._ask(key, scope, receive, send)

    async def _ask(self, key: Key | None, scope: Scope, receive: Receive, send: Send) -> None:
        """Have Gradio make its page, and keep it where it would be the same for the next one who asks."""
        start: Message = {}
        body = bytearray()

        async def send_rewritten(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
                return
            if message["type"] != "http.response.body":
                await send(message)
                return
            body.extend(message.get("body", b""))
            if message.get("more_body", False):
                return
            frame = _split(bytes(body))
            if key is not None and start["status"] == 200 and body:
                _keep(self._frames, key, frame)
            page = frame.around(self._head(scope)) if body else b""
            headers = MutableHeaders(scope=start)
            headers["cache-control"] = NOT_KEPT
            if body:
                headers["content-length"] = str(len(page))
            await send(start)
            await send({"type": "http.response.body", "body": page})

        await self._app(scope, receive, send_rewritten)

    def _answer(self, key: Key, frame: _Frame, scope: Scope) -> Response:
        head = self._head(scope)
        page = self._pages.get((key, head))
        if page is None:
            page = make_asset(frame.around(head), "text/html; charset=utf-8", QUICK_COMPRESSION)
            _keep(self._pages, (key, head), page)
        return answer_with(page, scope, NOT_KEPT)

    def _head(self, scope: Scope) -> str:
        # "<" is escaped so that no text among the facts can end the script element.
        facts = json.dumps(dict(self._facts(scope))).replace("<", "\\u003c")
        preloads = "".join(f'<link rel="modulepreload" href="{address}">' for address in self._preloads)
        return (
            f'<link rel="icon" type="image/svg+xml" href="{self._assets}/favicon.svg">'
            f'<script type="application/json" id="easel-facts">{facts}</script>'
            f"<script>{self._scheme}</script><style>{self._styles}</style>{preloads}"
            f'<script type="module" src="{self._assets}/main.js"></script>{self._foreign()}'
        )

    def _foreign(self) -> str:
        """Return what extensions bring: their scripts run in order, and before Gradio's."""
        if self._files is None:
            return ""
        files = self._files()
        told = json.dumps(dict(files.facts or {})).replace("<", "\\u003c")
        own = [f"{self._assets}/{name}" for name in GLOBALS]
        # An end of the style element within a sheet would let its rest into the page.
        sheets = [sheet.replace("</", "<\\/") for sheet in files.css]
        return "".join(
            (
                f'<script type="application/json" id="a1111-facts">{told}</script>',
                "<script>globalThis.easelMountAll = true</script>",
                *(f'<link rel="stylesheet" href="{html.escape(each)}">' for each in files.styles),
                *(f"<style>{sheet}</style>" for sheet in sheets),
                *(_script(address) for address in (*own, *files.scripts)),
            )
        )


def _script(address: str) -> str:
    kind = ' type="module"' if address.partition("?")[0].endswith(".mjs") else ""
    return f'<script{kind} src="{html.escape(address)}"></script>'


def _key(scope: Scope) -> Key | None:
    """Return what Gradio's page depends on; None for an unusual request, whose answer is made for it alone."""
    headers = Headers(scope=scope)
    usual = scope["method"] == "GET" and not scope.get("query_string")
    if not usual or any(name in headers for name in PROXY_HEADERS):
        return None
    return (scope["scheme"], headers.get("host", ""), scope.get("root_path", ""))


def _split(page: bytes) -> _Frame:
    page = OWN_NAME.sub(rb"<script>{\1}</script>", SOCIAL_TAGS.sub(b"", page))
    found = PLACE.search(page)
    place = found.end() if found else max(0, page.find(b"</head>"))
    return _Frame(page[:place], page[place:])


def _keep(kept: dict[_Name, _Value], key: _Name, value: _Value) -> None:
    """Add to what is kept, and let go of the oldest."""
    kept[key] = value
    while len(kept) > KEPT_PAGES:
        del kept[next(iter(kept))]

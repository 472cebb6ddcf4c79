"""A server on loopback that gives files as hubs do: whole, in parts, cut off, slowly, elsewhere or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import json
import struct
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Served:
    """A file of the server, and how it misbehaves.

    `ranges`: it gives parts; `cut_after`: the connection breaks after so many bytes, for each number once;
    `wait_after`: after so many bytes it waits until `go` is set; `token`: who asks must bring it.
    """

    content: bytes
    ranges: bool = True
    etag: str = '"one"'
    cut_after: list[int] = field(default_factory=list)
    wait_after: int | None = None
    token: str = ""
    media_type: str = "application/octet-stream"
    go: threading.Event = field(default_factory=threading.Event)
    lengthless: bool = False


@dataclass(frozen=True)
class Asked:
    path: str
    headers: Mapping[str, str]


class HubServer:
    """`files` by path, `pages` (JSON) by path, `redirects` from path to address; notes every request."""

    def __init__(self) -> None:
        self.files: dict[str, Served] = {}
        self.pages: dict[str, Any] = {}
        self.redirects: dict[str, str] = {}
        self.asked: list[Asked] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def base(self) -> str:
        """The address at which it plays the hubs; `url` is that of any other server."""
        return f"http://localhost:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        for served in self.files.values():
            served.go.set()
        self._server.shutdown()
        self._server.server_close()

    def ranges_asked(self) -> list[str]:
        return [asked.headers["range"] for asked in self.asked if "range" in asked.headers]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                hub.asked.append(Asked(self.path, headers))
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    hub._answer(self, self.path, headers)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler

    def _answer(self, handler: BaseHTTPRequestHandler, path: str, headers: Mapping[str, str]) -> None:
        if path in self.redirects:
            handler.send_response(302)
            handler.send_header("Location", self.redirects[path])
            handler.end_headers()
        elif path in self.pages:
            self._send(handler, json.dumps(self.pages[path]).encode())
        elif path.partition("?")[0] in self.files:
            self._send_file(handler, self.files[path.partition("?")[0]], headers)
        else:
            handler.send_error(404)

    def _send(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def _send_file(self, handler: BaseHTTPRequestHandler, served: Served, headers: Mapping[str, str]) -> None:
        if served.token and headers.get("authorization") != f"Bearer {served.token}":
            handler.send_error(401)
            return
        start = self._start(served, headers)
        if start > len(served.content):
            handler.send_error(416)
            return
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(served.content) - 1}/{len(served.content)}")
        if not served.lengthless:
            handler.send_header("Content-Length", str(len(served.content) - start))
        handler.send_header("Content-Type", served.media_type)
        if served.etag:
            handler.send_header("ETag", served.etag)
        handler.end_headers()
        self._write(handler, served, start)

    def _start(self, served: Served, headers: Mapping[str, str]) -> int:
        asked = headers.get("range", "")
        if not served.ranges or not asked or headers.get("if-range", served.etag) != served.etag:
            return 0
        return int(asked.removeprefix("bytes=").partition("-")[0])

    def _write(self, handler: BaseHTTPRequestHandler, served: Served, start: int) -> None:
        cut = served.cut_after.pop(0) if served.cut_after else None
        for place in range(start, len(served.content), 4096):
            if served.wait_after is not None and place >= served.wait_after:
                served.go.wait(20)
            end = min(place + 4096, len(served.content))
            if cut is not None and end > cut:
                handler.wfile.write(served.content[place:cut])
                handler.wfile.flush()
                handler.connection.shutdown(2)
                return
            handler.wfile.write(served.content[place:end])


@contextlib.contextmanager
def hub_server() -> Iterator[HubServer]:
    server = HubServer()
    try:
        yield server
    finally:
        server.close()


def model_file(*names: str, filler: int = 20_000) -> bytes:
    """The bytes of a safetensors file with tensors of these names, of `filler` bytes each."""
    header = {
        name: {"dtype": "U8", "shape": [filler], "data_offsets": [number * filler, (number + 1) * filler]}
        for number, name in enumerate(names)
    }
    raw = json.dumps(header).encode()
    pieces = [hashlib.sha256(name.encode()).digest() * (filler // 32 + 1) for name in names]
    body = b"".join(piece[:filler] for piece in pieces)
    return struct.pack("<Q", len(raw)) + raw + body


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def never() -> bool:
    return False

"""The outermost gate: which hosts, origins, routes and body sizes are let in, and which headers go out.

A page on the internet can make the browser of somebody who runs Easel send requests to it. So every request must
name a host that is ours (against DNS rebinding), whatever changes something must come from our own page (against
forged posts and cross-site WebSockets), and of Gradio's many routes only those that the page needs are open.
"""

from __future__ import annotations

import ipaddress
import json
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from modules.cli import is_loopback
from modules.web.content_policy import content_policy

LARGEST_BODY = 2 * 1024 * 1024
"""Bytes of a request's body."""
LARGEST_PICTURE_BODY = 96 * 1024 * 1024
"""Bytes of a body that may hold a picture, as it is or as base64, or an extension."""
PICTURE_PATHS = frozenset({
    "/easel/inputs", "/easel/png-info", "/sdapi/v1/txt2img", "/sdapi/v1/img2img", "/sdapi/v1/png-info",
    "/easel/library/preview", "/easel/extensions/zip", "/gradio_api/upload",
})  # fmt: skip
LARGEST_PATH = 4096
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
POLICY_VIOLATION = 1008
"""WebSocket close code; before the handshake is accepted the server turns it into status 403."""

GRADIO_PREFIX = "/gradio_api/"
GRADIO_ROUTES = (
    "app_id", "startup-events", "queue/join", "queue/data", "run/", "heartbeat/", "reset", "cancel", "file=",
)
"""What Gradio's own JavaScript asks for on our page; uploads, proxies, vibe editing and the rest are closed."""
FOREIGN_ROUTES = ("upload", "upload_progress", "component_server")
"""What components need besides that extensions bring: pictures and files that users hand in."""
CLOSED_ROUTES = ("/monitoring", "/login_check", "/pwa_icon", "/config", "/docs", "/redoc", "/openapi.json")

SECURITY_HEADERS = {
    "content-security-policy": content_policy(),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "SAMEORIGIN",
}


class HostNames:
    """The hosts by which this server may be addressed.

    A server on loopback answers to loopback names only. One that listens for others answers to the names of this
    machine and to any address written in digits, which no DNS rebinding can forge (behind NAT it is not one of ours).
    """

    def __init__(self, bound_host: str, more: Iterable[str] = ()) -> None:
        self._open = not is_loopback(bound_host)
        self._names = set(LOOPBACK_NAMES) | {bound_host.lower()} | {name.lower() for name in more}
        if self._open:
            name = socket.gethostname().lower()
            self._names |= {name, f"{name}.local", socket.getfqdn().lower()}

    def add(self, name: str) -> None:
        """Let one more name in, such as that of a tunnel."""
        self._names.add(name.lower())

    def allow(self, host_header: str) -> bool:
        """Say whether a request with this Host header is meant for us."""
        name = _host_name(host_header)
        if name is None:
            return False
        return name in self._names or (self._open and _is_address(name))


@dataclass(frozen=True, slots=True)
class _Refusal:
    """Why a request is not let in, as an HTTP status and a text for a person."""

    status: int
    reason: str


def largest_body(path: str) -> int:
    """Return how many bytes a request for a path may have."""
    return LARGEST_PICTURE_BODY if path in PICTURE_PATHS else LARGEST_BODY


def _too_large(path: str) -> _Refusal:
    return _Refusal(413, f"The request is too large; allowed are {largest_body(path)} bytes.")


class _Exchange:
    """One request's body, counted, and its answer, with our headers on it."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, headers: Mapping[str, str]) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._headers = headers
        self._received = 0
        self._answered = False
        self._refused = False

    async def receive(self) -> Message:
        """Hand on a part of the body; once it is too large, refuse it and let the application see a lost caller."""
        message = await self._receive()
        self._received += len(message.get("body", b""))
        if self._received <= largest_body(self._scope["path"]):
            return message
        if not self._answered and not self._refused:
            self._refused = True
            await _send_refusal(self._scope, _too_large(self._scope["path"]), self._send)
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Hand on a part of the answer, unless the request was refused meanwhile."""
        if self._refused:
            return
        if message["type"] == "http.response.start":
            self._answered = True
            _add_headers(message, self._headers)
        await self._send(message)


class Guard:
    """ASGI application that lets only good requests through to `app`.

    `foreign`: extensions add components. `sites`: tells the websites from which these may load something in the page.
    """

    def __init__(
        self, app: ASGIApp, hosts: HostNames, foreign: bool = False, sites: Callable[[], Sequence[str]] = tuple
    ) -> None:
        self._app = app
        self.hosts = hosts
        self._routes = GRADIO_ROUTES + FOREIGN_ROUTES if foreign else GRADIO_ROUTES
        self._sites = sites

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check one request or socket, then hand it on."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        refusal = self._refuse(scope)
        if refusal is not None:
            await _send_refusal(scope, refusal, send)
        elif scope["type"] == "websocket":
            await self._app(scope, receive, send)
        else:
            policy = {"content-security-policy": content_policy(self._sites())}
            exchange = _Exchange(scope, receive, send, {**SECURITY_HEADERS, **policy})
            await self._app(scope, exchange.receive, exchange.send)

    def _refuse(self, scope: Scope) -> _Refusal | None:
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self.hosts.allow(hosts[0]):
            return _Refusal(400, "This server does not answer to that host name.")
        changes = scope["type"] == "websocket" or scope["method"] not in SAFE_METHODS
        if changes and not comes_from_own_page(headers):
            return _Refusal(403, "This request comes from another site's page.")
        if len(scope["path"]) > LARGEST_PATH:
            return _Refusal(414, "The address is too long.")
        if _is_closed(scope["path"], self._routes):
            return _Refusal(403, "This address is closed.")
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > largest_body(scope["path"]):
            return _too_large(scope["path"])
        return None


def comes_from_own_page(headers: Headers) -> bool:
    """Say whether a request that changes something comes from our page, or from no page at all (a program)."""
    if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        return False
    origins = headers.getlist("origin")
    if not origins:
        return True
    parts = urlsplit(origins[0])
    if len(origins) != 1 or parts.scheme not in ("http", "https") or not parts.netloc:
        return False
    return _without_default_port(parts.netloc, parts.scheme) == _without_default_port(headers["host"], parts.scheme)


def _is_closed(path: str, routes: tuple[str, ...]) -> bool:
    """Say whether a path is one of Gradio's or FastAPI's that the page has no use for."""
    folded = "/" + path.lstrip("/")
    if any(folded == route or folded.startswith(route + "/") for route in CLOSED_ROUTES):
        return True
    if not folded.startswith(GRADIO_PREFIX):
        return False
    return not folded.removeprefix(GRADIO_PREFIX).startswith(routes)


def _without_default_port(netloc: str, scheme: str) -> str:
    return netloc.lower().removesuffix(":443" if scheme == "https" else ":80")


def _host_name(host_header: str) -> str | None:
    """Return the name or address in a Host header, without port and brackets; None when it is malformed."""
    if any(character in host_header for character in "/@?#\\ "):
        return None
    try:
        return urlsplit(f"//{host_header}").hostname
    except ValueError:
        return None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _add_headers(message: Message, wanted: Mapping[str, str] = SECURITY_HEADERS) -> None:
    headers = MutableHeaders(scope=message)
    for name, value in wanted.items():
        headers.setdefault(name, value)


async def _send_refusal(scope: Scope, refusal: _Refusal, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": refusal.reason})
        return
    start: Message = {
        "type": "http.response.start",
        "status": refusal.status,
        "headers": [(b"content-type", b"application/json"), (b"connection", b"close")],
    }
    _add_headers(start)
    await send(start)
    await send({"type": "http.response.body", "body": json.dumps({"detail": refusal.reason}).encode()})

"""Who may come in: one gate before every route, file and socket, whenever the server has credentials.

A person signs in on a page of our own and gets a signed cookie; a program sends HTTP Basic. The API may have
credentials of its own, which open nothing else. Wrong passwords make everybody at that address wait, twice as long
after each.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import html
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from modules.cli import AppConfig
from modules.core.errors import NotAllowed

COOKIE = "easel_session"
SESSION_SECONDS = 14 * 24 * 3600
LOGIN_PATH = "/login"
LOGOUT_PATH = "/logout"
LONGEST_LOGIN_BODY = 4096
FREE_ATTEMPTS = 3
LONGEST_DELAY = 300.0
MOST_REMEMBERED_ADDRESSES = 10_000
UNAUTHORIZED_SOCKET = 1008
API_PATHS = ("/sdapi", "/internal")
"""What the API's own credentials are for, and everything below."""
TEMPLATE = Path(__file__).parent / "assets" / "login.html"


class Sessions:
    """Signs and checks session tokens; a token is `expiry.nonce.user.signature`, valid until the server restarts."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._secret = secrets.token_bytes(32)
        self._clock = clock
        self._ended: dict[str, float] = {}

    def open(self, user: str) -> str:
        """Return a new token for `user`."""
        name = base64.urlsafe_b64encode(user.encode()).decode()
        payload = f"{int(self._clock()) + SESSION_SECONDS}.{secrets.token_urlsafe(16)}.{name}"
        return f"{payload}.{self._sign(payload)}"

    def user_of(self, token: str) -> str | None:
        """Return whose token this is; None when it is forged, expired or signed out."""
        payload, _, signature = token.rpartition(".")
        if not hmac.compare_digest(self._sign(payload).encode(), signature.encode()):
            return None
        expiry, nonce, name = payload.split(".")
        if int(expiry) < self._clock() or nonce in self._ended:
            return None
        return base64.urlsafe_b64decode(name).decode()

    def close(self, token: str) -> None:
        """Make a token worthless."""
        if self.user_of(token) is None:
            return
        now = self._clock()
        self._ended = {nonce: expiry for nonce, expiry in self._ended.items() if expiry >= now}
        expiry, nonce, _, _ = token.split(".")
        self._ended[nonce] = float(expiry)

    def _sign(self, payload: str) -> str:
        return hmac.new(self._secret, payload.encode(), hashlib.sha256).hexdigest()


class AttemptLimiter:
    """Makes an address wait after wrong passwords: 1 s, 2 s, 4 s … beyond the first few."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: dict[str, tuple[int, float]] = {}

    def wait(self, address: str) -> float:
        """Return for how many more seconds `address` must wait before it may try again."""
        _, until = self._failures.get(address, (0, 0.0))
        return max(0.0, until - self._clock())

    def failed(self, address: str) -> None:
        """Count a wrong password."""
        if len(self._failures) >= MOST_REMEMBERED_ADDRESSES:
            self._failures.clear()
        count = self._failures.get(address, (0, 0.0))[0] + 1
        delay = 0.0 if count < FREE_ATTEMPTS else min(LONGEST_DELAY, 2.0 ** (count - FREE_ATTEMPTS))
        self._failures[address] = (count, self._clock() + delay)

    def succeeded(self, address: str) -> None:
        """Forget an address's wrong passwords."""
        self._failures.pop(address, None)


@dataclass(frozen=True, slots=True)
class Credentials:
    """Passwords by user: those that open everything, and those that open the API alone.

    Without any for the page, the page is open; without any at all, the API is too.
    """

    page: Mapping[str, str]
    api: Mapping[str, str] = field(default_factory=dict)

    def of(self, path: str) -> list[Mapping[str, str]]:
        """Return the passwords that open a path; none: it is open to all."""
        opening = [self.page, self.api] if is_api(path) else [self.page]
        return [passwords for passwords in opening if passwords]


class AuthGate:
    """ASGI application that lets only signed-in people and programs through to `app`."""

    def __init__(self, app: ASGIApp, credentials: Credentials, sessions: Sessions, limiter: AttemptLimiter) -> None:
        self._app = app
        self._credentials = credentials
        self._sessions = sessions
        self._limiter = limiter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the sign-in routes, refuse strangers, hand everybody else on with `scope["user_name"]` set."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        if not self._credentials.of(scope["path"]):
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        user = self._find_user(connection)
        if user is None and scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": UNAUTHORIZED_SOCKET, "reason": "sign in first"})
            return
        response = None if scope["type"] == "websocket" else await self._own_response(Request(scope, receive), user)
        if response is not None:
            await response(scope, receive, send)
            return
        scope["user_name"] = user
        await self._app(scope, receive, send)

    async def _own_response(self, request: Request, user: str | None) -> Response | None:
        """Return the answer to a stranger and on the sign-in routes; None when the application should answer."""
        path = request.url.path
        if path == LOGIN_PATH:
            if request.method == "POST":
                return await self._sign_in(request)
            return RedirectResponse("/", 303) if user else _login_page("")
        if path == LOGOUT_PATH and user is not None:
            return self._sign_out(request)
        if user is not None:
            return None
        wait = self._limiter.wait(_address(request))
        if "authorization" in request.headers and wait > 0:
            return _too_many_for_program(wait) if is_api(request.scope["path"]) else _too_many(wait)
        to_the_page = not is_api(request.scope["path"]) and "text/html" in request.headers.get("accept", "")
        if request.method == "GET" and to_the_page:
            return RedirectResponse(LOGIN_PATH, 303)
        challenge = {"www-authenticate": 'Basic realm="Easel", charset="UTF-8"'} if _is_program(request.headers) else {}
        return JSONResponse({"detail": "Sign in first."}, 401, headers=challenge)

    async def _sign_in(self, request: Request) -> Response:
        address = _address(request)
        wait = self._limiter.wait(address)
        if wait > 0:
            return _too_many(wait)
        form = parse_qs((await request.body())[:LONGEST_LOGIN_BODY].decode("utf-8", "replace"), max_num_fields=8)
        user, password = form.get("username", [""])[0], form.get("password", [""])[0]
        if not _matches(self._credentials.page, user, password):
            self._limiter.failed(address)
            return _login_page("The user name or the password is wrong.", status=401)
        self._limiter.succeeded(address)
        response = RedirectResponse("/", 303)
        response.set_cookie(
            COOKIE,
            self._sessions.open(user),
            max_age=SESSION_SECONDS,
            httponly=True,
            samesite="lax",
            secure=_is_https(request),
        )
        return response

    def _sign_out(self, request: Request) -> Response:
        """End the session; by POST only, so that no foreign picture or link can do it."""
        if request.method != "POST":
            return JSONResponse({"detail": "Sign out with POST."}, 405)
        self._sessions.close(request.cookies.get(COOKIE, ""))
        response = RedirectResponse(LOGIN_PATH, 303)
        response.delete_cookie(COOKIE)
        return response

    def _find_user(self, connection: HTTPConnection) -> str | None:
        user = self._sessions.user_of(connection.cookies.get(COOKIE, ""))
        if user is not None:
            return user
        scheme, _, encoded = connection.headers.get("authorization", "").partition(" ")
        address = _address(connection)
        if scheme.lower() != "basic" or self._limiter.wait(address) > 0:
            return None
        try:
            name, _, password = base64.b64decode(encoded, validate=True).decode("utf-8").partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        # Every password is compared, so that the time tells nothing.
        right = [_matches(known, name, password) for known in self._credentials.of(connection.scope["path"])]
        if any(right):
            self._limiter.succeeded(address)
            return name
        self._limiter.failed(address)
        return None


def is_admin(scope: Scope, config: AppConfig) -> bool:
    """Say whether whoever sent a request may download, merge and delete models: where nobody signs in, everybody."""
    return not config.credentials or scope.get("user_name") in (config.admins or config.credentials[0][:1])


def require_admin(request: Request, config: AppConfig) -> None:
    """Raise NotAllowed unless an admin sent the request."""
    if not is_admin(request.scope, config):
        raise NotAllowed("Only an admin may do this. Admins are named with --admin when the server is started.")


def is_api(path: str) -> bool:
    """Say whether a path belongs to the API for programs."""
    return any(path == prefix or path.startswith(f"{prefix}/") for prefix in API_PATHS)


def _matches(credentials: Mapping[str, str], user: str, password: str) -> bool:
    """Compare in a time that tells nothing; an unknown user takes as long as a known one."""
    expected = credentials.get(user, secrets.token_urlsafe(16))
    same = hmac.compare_digest(expected.encode(), password.encode())
    return same and user in credentials


def _login_page(problem: str, status: int = 200) -> Response:
    page = TEMPLATE.read_text(encoding="utf-8").replace("{{problem}}", html.escape(problem))
    return HTMLResponse(page, status, headers={"cache-control": "no-store"})


def _too_many(seconds: float) -> Response:
    whole = int(seconds) + 1
    page = _login_page(f"Too many wrong passwords. Wait {whole} seconds.", status=429)
    page.headers["retry-after"] = str(whole)
    return page


def _too_many_for_program(seconds: float) -> Response:
    whole = int(seconds) + 1
    told = {"detail": f"Too many wrong passwords. Wait {whole} seconds."}
    return JSONResponse(told, 429, headers={"retry-after": str(whole)})


def _address(connection: HTTPConnection) -> str:
    return connection.client.host if connection.client else "unknown"


def _is_https(request: Request) -> bool:
    return request.url.scheme == "https" or request.headers.get("x-forwarded-proto", "") == "https"


def _is_program(headers: Headers) -> bool:
    """Say whether the caller is no browser's page; a challenge there would open the browser's own dialog."""
    return "sec-fetch-mode" not in headers

"""Reading from the web for downloads: https, public addresses, few redirects, and tokens only for whom they are.

Every step of a redirect is checked like the first. A token goes to the origin that it belongs to and to no other, so a
redirect to another host never carries it. Texts of errors name the host and never the whole address, which may hold a
signature.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import httpcore

from modules.core.errors import DownloadFailed
from modules.library.downloads.addresses import CheckedNetwork

MOST_REDIRECTS = 8
LARGEST_ANSWER = 32 * 1024 * 1024
"""Bytes of an answer that is read as a whole."""
AGENT = "Easel"
_REDIRECTS = (301, 302, 303, 307, 308)
_SAFE_IN_ADDRESS = "!#$%&'()*+,/:;=?@[]~"


class ConnectionBroken(DownloadFailed):
    """The connection broke or stalled; the same request may succeed a moment later."""


@dataclass(frozen=True, slots=True)
class Asking:
    """How to ask: more headers, whether http is fine too, and whether the user has cancelled meanwhile."""

    headers: Mapping[str, str]
    allow_http: bool = False
    cancelled: Callable[[], bool] = lambda: False


PLAIN = Asking({})


class Answer:
    """A server's answer, its body still to be read. `headers`: by name in lower case."""

    def __init__(self, response: httpcore.Response, url: str) -> None:
        self.status = response.status
        self.headers = {name.decode().lower(): value.decode("latin-1") for name, value in response.headers}
        self.url = url
        self.host = host_of(url)
        self._response = response

    def chunks(self) -> Iterator[bytes]:
        """Yield the body as it comes. Raises ConnectionBroken."""
        with _translated(self.host):
            yield from self._response.iter_stream()

    def read(self, largest: int = LARGEST_ANSWER) -> bytes:
        """Return the whole body. Raises DownloadFailed when it is larger."""
        body = bytearray()
        for chunk in self.chunks():
            body += chunk
            if len(body) > largest:
                raise DownloadFailed(f"The answer of {self.host} is larger than {largest:,} bytes.")
        return bytes(body)

    def refusal(self, what: str) -> DownloadFailed:
        """Return the error that says why `what` was not given."""
        reasons = {
            401: "it wants to know who asks. Set your token for that site first; the model may need its owner's leave",
            403: "it is not allowed. It may need a token of that site, or its licence to be accepted there first",
            404: "there is no such thing",
            410: "it is gone",
            416: "the part that is missing cannot be had",
            429: "too much was asked of it lately; wait a while",
            451: "it is withheld for legal reasons",
        }
        default = "the server has a problem" if self.status >= 500 else "that is unexpected"
        reason = reasons.get(self.status, default)
        return DownloadFailed(f"{self.host} does not give {what} ({self.status}): {reason}.")


class WebClient:
    """Asks servers for things. Safe to use from several threads."""

    def __init__(
        self,
        token_for: Callable[[str], str] = lambda origin: "",
        *,
        allow_private: bool = False,
        timeout: float = 30.0,
    ) -> None:
        """Take what returns the token for an origin ("https://host"), "" where there is none.

        `allow_private`: let addresses of this machine and of private networks pass; for tests. `timeout`: seconds of
        silence after which a connection counts as broken.
        """
        self._token_for = token_for
        self._allow_private = allow_private
        self._timeout = timeout

    @contextmanager
    def open(self, url: str, asking: Asking = PLAIN) -> Iterator[Answer]:
        """Ask for `url` and follow redirects. Raises DownloadFailed, ConnectionBroken, TaskCancelled."""
        for _ in range(MOST_REDIRECTS + 1):
            _check_address(url, asking.allow_http)
            with self._ask(url, asking) as answer:
                target = answer.headers.get("location")
                if answer.status not in _REDIRECTS or not target:
                    yield answer
                    return
            url = urljoin(url, target)
        raise DownloadFailed(f"{host_of(url)} redirects more than {MOST_REDIRECTS} times.")

    def json(self, url: str, what: str, asking: Asking = PLAIN) -> Any:
        """Return the JSON at `url`; `what` is named in errors. Raises DownloadFailed."""
        return self.json_page(url, what, asking)[0]

    def json_page(self, url: str, what: str, asking: Asking = PLAIN) -> tuple[Any, Mapping[str, str]]:
        """Return the JSON at `url` and the answer's headers; as `json`."""
        with self.open(url, asking) as answer:
            if answer.status != 200:
                raise answer.refusal(what)
            body = answer.read()
        try:
            return json.loads(body), answer.headers
        except ValueError as error:
            raise DownloadFailed(f"{answer.host} does not tell about {what} in a way that is understood.") from error

    @contextmanager
    def _ask(self, url: str, asking: Asking) -> Iterator[Answer]:
        headers = {"User-Agent": AGENT, "Accept": "*/*", "Accept-Encoding": "identity", **asking.headers}
        token = self._token_for(origin_of(url))
        if token:
            headers["Authorization"] = f"Bearer {token}"
        timeouts = dict.fromkeys(("connect", "read", "write", "pool"), self._timeout)
        network = CheckedNetwork(asking.cancelled, allow_private=self._allow_private)
        with _translated(host_of(url)), httpcore.ConnectionPool(network_backend=network) as pool:
            address = quote(url, safe=_SAFE_IN_ADDRESS)
            with pool.stream("GET", address, headers=[*headers.items()], extensions={"timeout": timeouts}) as response:
                yield Answer(response, url)


def host_of(url: str) -> str:
    """Return the host that an address names, "" when it names none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def origin_of(url: str) -> str:
    """Return scheme, host and port of an address, the port only where it is not the scheme's own."""
    parts = urlsplit(url)
    usual = {"https": 443, "http": 80}.get(parts.scheme)
    port = f":{parts.port}" if parts.port not in (None, usual) else ""
    return f"{parts.scheme}://{(parts.hostname or '').lower()}{port}"


def _check_address(url: str, allow_http: bool) -> None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise DownloadFailed("That is no valid address.") from error
    if parts.scheme not in ("https", "http") or not host:
        raise DownloadFailed("Only addresses that begin with https:// or http:// can be downloaded from.")
    if parts.username is not None or parts.password is not None:
        raise DownloadFailed("The address holds a user name or a password, which is not allowed.")
    if parts.scheme == "http" and not allow_http:
        raise DownloadFailed(f"{host} would be asked without encryption (http). Tick “Allow http” if you want that.")


@contextmanager
def _translated(host: str) -> Iterator[None]:
    """Turn the network's errors into ours, with the host and no more of the address in their texts."""
    try:
        yield
    except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.RemoteProtocolError) as error:
        reasons: tuple[tuple[type[Exception], str], ...] = (
            (httpcore.TimeoutException, "it does not answer"),
            (httpcore.ConnectError, "no connection. This machine may be offline, or the name wrong"),
        )
        reason = next((text for kind, text in reasons if isinstance(error, kind)), "the connection broke")
        raise ConnectionBroken(f"{host}: {reason}.") from error
    except (httpcore.LocalProtocolError, httpcore.UnsupportedProtocol, httpcore.ProxyError) as error:
        raise DownloadFailed(f"{host} cannot be asked: the address is not valid.") from error

"""Which addresses of the network downloads may connect to: public ones, so that no link reaches into a private net.

A name is resolved once, every address that it stands for is looked at, and the connection is made to one of these very
addresses, so that a name whose meaning changes in between (DNS rebinding) gains nothing.
"""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Callable, Iterable

import httpcore

from modules.core.errors import DownloadFailed, TaskCancelled

POLL_SECONDS = 0.25
"""While a server says nothing, it is looked so often whether the download was cancelled."""
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
SocketOption = tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]


def is_public(text: str) -> bool:
    """Say whether an address in digits belongs to the public internet, and so does any that is written inside it."""
    address = ipaddress.ip_address(text.partition("%")[0])
    inner = _inner(address)
    return address.is_global and not address.is_multicast and (inner is None or is_public(str(inner)))


def _inner(address: Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that an IPv6 one stands for, if it does."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)


class CheckedNetwork(httpcore.SyncBackend):
    """Connections to public addresses only (to all with `allow_private`), which end soon after `cancelled` says so."""

    def __init__(self, cancelled: Callable[[], bool], *, allow_private: bool) -> None:
        self._cancelled = cancelled
        self._allow_private = allow_private

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SocketOption] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first address of `host` that answers. Raises DownloadFailed for one that is not allowed."""
        problem: Exception | None = None
        for address in self._addresses(host, port):
            if self._cancelled():
                raise TaskCancelled("The download was cancelled.")
            try:
                stream = super().connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                problem = error
            else:
                return _PatientStream(stream, self._cancelled)
        raise problem or httpcore.ConnectError("no address")

    def _addresses(self, host: str, port: int) -> list[str]:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError("the name is not known") from error
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        if not self._allow_private and not all(is_public(address) for address in addresses):
            raise DownloadFailed(f"{host} is an address of this machine or of a private network, which is not allowed.")
        return addresses


class _PatientStream(httpcore.NetworkStream):
    """A stream whose reads wait in small steps, so that cancelling ends them."""

    def __init__(self, stream: httpcore.NetworkStream, cancelled: Callable[[], bool]) -> None:
        self._stream = stream
        self._cancelled = cancelled

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return what has come; raises TaskCancelled, and ReadTimeout when nothing comes for `timeout` seconds."""
        until = None if timeout is None else time.monotonic() + timeout
        while True:
            if self._cancelled():
                raise TaskCancelled("The download was cancelled.")
            try:
                return self._stream.read(max_bytes, POLL_SECONDS)
            except httpcore.ReadTimeout:
                if until is not None and time.monotonic() >= until:
                    raise

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send some bytes."""
        self._stream.write(buffer, timeout)

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()

    def start_tls(
        self, ssl_context: object, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """Go on encrypted; the certificate is checked against the name, not the address."""
        stream = self._stream.start_tls(ssl_context, server_hostname, timeout)  # type: ignore[arg-type]
        return _PatientStream(stream, self._cancelled)

    def get_extra_info(self, info: str) -> object:
        """Return what is known of the connection."""
        return self._stream.get_extra_info(info)

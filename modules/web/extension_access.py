"""Who may install extensions, which are programs: admins at this machine, and others only where the owner said so."""

from __future__ import annotations

from fastapi import Request

from modules.cli import AppConfig, is_loopback
from modules.core.errors import NotAllowed
from modules.web.auth import require_admin

FLAG = "--enable-insecure-extension-access"
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")
"""What a proxy adds; through one anybody may have come, whatever the connection's own address is."""


def why_not(request: Request, config: AppConfig) -> str:
    """Return why nothing may be installed through this request; "" when it may."""
    if config.extension_access:
        return ""
    if config.share:
        # Whoever comes through the tunnel comes from this machine, as far as can be seen.
        return f"While the server is shared (--share) nothing is installed through the page, unless it has {FLAG}."
    client = request.client.host if request.client is not None else ""
    if not _is_local(client) or any(name in request.headers for name in _FORWARDED):
        return f"Only from the server's own machine extensions are installed, unless it was started with {FLAG}."
    return ""


def require_installer(request: Request, config: AppConfig) -> None:
    """Raise NotAllowed unless an admin sent the request from where installing is allowed."""
    require_admin(request, config)
    reason = why_not(request, config)
    if reason:
        raise NotAllowed(reason)


def _is_local(host: str) -> bool:
    # An IPv4 address may come in the clothes of IPv6.
    return is_loopback(host.removeprefix("::ffff:"))

"""A public address through Gradio's tunnel, for `--share`."""

from __future__ import annotations

import logging
import secrets
from urllib.parse import urlsplit

from gradio import exceptions, networking

from modules.cli import AppConfig
from modules.core.errors import EaselError
from modules.web.guard import Guard

logger = logging.getLogger(__name__)

LOCAL_HOST = "127.0.0.1"
TUNNEL_ERRORS = (OSError, RuntimeError, ValueError, exceptions.ChecksumMismatchError)
"""What Gradio raises when it finds no server, cannot download its tunnel, or the tunnel does not start."""


class ShareFailed(EaselError):
    """No public address could be had; the text says why and what works instead."""


def open_tunnel(config: AppConfig, app: Guard, port: int) -> str:
    """Return the public address of the server that listens on `port`, and let requests by its name in.

    Raises ShareFailed without credentials, since anybody on the internet can reach that address, and without a network.
    """
    if not config.credentials:
        raise ShareFailed("--share needs --gradio-auth USER:PASSWORD: anybody who guesses the address could use it.")
    try:
        address = networking.setup_tunnel(LOCAL_HOST, port, secrets.token_urlsafe(32), None, None)
    except TUNNEL_ERRORS as error:
        logger.debug("The tunnel failed.", exc_info=True)
        raise ShareFailed(
            f"--share could not open a tunnel ({error}). It needs the internet, and a server of Gradio's that is up;"
            " without it, --listen serves your own network, and an SSH tunnel reaches further."
        ) from error
    public = f"https://{urlsplit(address).netloc}"
    app.hosts.add(urlsplit(address).hostname or "")
    return public

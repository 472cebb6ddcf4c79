"""--share: a clear refusal without credentials or a network, and the tunnel's name let in with both."""

from dataclasses import replace
from pathlib import Path

import pytest

from modules.web.guard import Guard, HostNames
from modules.web.share import ShareFailed, open_tunnel
from tests.web.site import site_config

CREDENTIALS = (("ada", "secret"),)


async def nothing(*_: object) -> None:
    """An application that answers nothing."""


def test_without_credentials_nothing_is_shared(tmp_path: Path) -> None:
    with pytest.raises(ShareFailed, match="--gradio-auth"):
        open_tunnel(replace(site_config(tmp_path), share=True), Guard(nothing, HostNames("127.0.0.1")), 7860)


def test_without_a_network_the_error_says_what_works_instead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> str:
        raise RuntimeError("Could not get share link from Gradio API Server.")

    monkeypatch.setattr("modules.web.share.networking.setup_tunnel", fail)
    with pytest.raises(ShareFailed, match="--listen"):
        open_tunnel(site_config(tmp_path, CREDENTIALS), Guard(nothing, HostNames("127.0.0.1")), 7860)


def test_the_tunnels_name_is_let_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modules.web.share.networking.setup_tunnel", lambda *_: "http://abc.gradio.live")
    app = Guard(nothing, HostNames("127.0.0.1"))
    assert not app.hosts.allow("abc.gradio.live")
    assert open_tunnel(site_config(tmp_path, CREDENTIALS), app, 7860) == "https://abc.gradio.live"
    assert app.hosts.allow("abc.gradio.live")

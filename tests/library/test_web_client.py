import stat
from pathlib import Path

import pytest

from modules.core.errors import DownloadFailed, InvalidRequest
from modules.library.downloads.addresses import is_public
from modules.library.downloads.downloader import Downloader, Wish
from modules.library.downloads.tokens import CIVITAI, HUGGING_FACE, HubTokens
from modules.library.downloads.web_client import MOST_REDIRECTS, WebClient
from tests.library.fetching import LORA, SECRET, add_repository, fetch
from tests.library.hub_server import HubServer, Served


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "192.168.1.1", "169.254.169.254", "172.16.0.1", "0.0.0.0", "100.64.0.1", "224.0.0.1",
     "::1", "fe80::1%eth0", "fc00::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "::"],
)  # fmt: skip
def test_private_addresses_are_told_from_public_ones(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700::1111", "64:ff9b::808:808"])
def test_public_addresses_pass(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f.1"])
def test_this_machine_is_not_asked_however_it_is_written(hub: HubServer, folders: dict[str, Path], host: str) -> None:
    strict = Downloader(WebClient(timeout=5), folders)
    port = hub.url.rsplit(":", 1)[1]
    with pytest.raises(DownloadFailed, match=r"private network|not valid|not known|no connection"):
        strict.look(f"http://{host}:{port}/x.safetensors", allow_http=True)
    assert hub.asked == []


def test_a_redirect_into_a_private_network_is_refused(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    # The first server counts as public here, the second one does not.
    monkeypatch.setattr("modules.library.downloads.addresses.is_public", lambda address: address == "127.0.0.1")
    hub.redirects["/x.safetensors"] = hub.url.replace("127.0.0.1", "127.0.0.2") + "/y.safetensors"
    hub.files["/y.safetensors"] = Served(LORA)
    with pytest.raises(DownloadFailed, match="private network"):
        Downloader(WebClient(timeout=5), {}).look(f"{hub.url}/x.safetensors", allow_http=True)
    assert [asked.path for asked in hub.asked] == ["/x.safetensors"]


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://example.org/x.safetensors", "gopher://x/"])
def test_only_the_web_is_asked(hub: HubServer, downloader: Downloader, target: str) -> None:
    hub.redirects["/x.safetensors"] = target
    for link in (f"{hub.url}/x.safetensors", target):
        with pytest.raises(DownloadFailed, match="https://"):
            downloader.look(link, allow_http=True)


def test_http_wants_to_be_allowed(hub: HubServer, downloader: Downloader) -> None:
    hub.files["/x.safetensors"] = Served(LORA)
    with pytest.raises(DownloadFailed, match="encryption"):
        downloader.look(f"{hub.url}/x.safetensors")
    assert hub.asked == []


def test_redirects_in_a_circle_end(hub: HubServer, downloader: Downloader) -> None:
    hub.redirects["/x.safetensors"] = "/x.safetensors"
    with pytest.raises(DownloadFailed, match="redirects"):
        downloader.look(f"{hub.url}/x.safetensors", allow_http=True)
    assert len(hub.asked) == MOST_REDIRECTS + 1


def test_an_address_with_a_password_is_refused(downloader: Downloader) -> None:
    with pytest.raises(DownloadFailed, match="password"):
        downloader.look("https://me:secret@example.org/x.safetensors")


def test_a_token_goes_to_its_own_host_and_no_further(
    hub: HubServer, other: HubServer, downloader: Downloader, tokens: HubTokens
) -> None:
    tokens.set(HUGGING_FACE, SECRET)
    add_repository(hub, {"a.safetensors": LORA})
    hub.redirects["/me/models/resolve/main/a.safetensors"] = f"{other.url}/store/abc.safetensors"
    other.files["/store/abc.safetensors"] = Served(LORA)
    place = fetch(downloader, Wish("me/models"))
    assert place.read_bytes() == LORA
    assert {asked.headers.get("authorization") for asked in hub.asked} == {f"Bearer {SECRET}"}
    assert {asked.headers.get("authorization") for asked in other.asked} == {None}


def test_errors_name_neither_token_nor_signature(hub: HubServer, downloader: Downloader, tokens: HubTokens) -> None:
    tokens.set(CIVITAI, SECRET)
    hub.files["/x.safetensors"] = Served(LORA, token="another")
    with pytest.raises(DownloadFailed) as refused:
        downloader.look(f"{hub.url}/x.safetensors?signature=abc123", allow_http=True)
    assert "401" in str(refused.value)
    assert SECRET not in str(refused.value)
    assert "abc123" not in str(refused.value)


def test_tokens_are_kept_for_their_owner_alone(tokens: HubTokens) -> None:
    tokens.set(HUGGING_FACE, f" {SECRET} ")
    assert stat.S_IMODE(tokens._path.stat().st_mode) == 0o600
    assert tokens.known() == {HUGGING_FACE: True, CIVITAI: False}
    tokens.set(HUGGING_FACE, "")
    assert tokens.known() == {HUGGING_FACE: False, CIVITAI: False}


@pytest.mark.parametrize("token", ["with space", "line\r\nHost: evil", "x" * 600])
def test_a_token_that_is_none_is_refused_without_being_repeated(tokens: HubTokens, token: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        tokens.set(CIVITAI, token)
    assert token not in str(refused.value)

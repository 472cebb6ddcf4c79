from collections.abc import Iterator
from pathlib import Path

import pytest

from modules.library.downloads.downloader import Downloader
from modules.library.downloads.tokens import CIVITAI, HUGGING_FACE, HubTokens
from modules.library.downloads.transfers import TransferRules
from modules.library.downloads.web_client import WebClient
from tests.library.hub_server import HubServer, hub_server


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with hub_server() as opened:
        yield opened


@pytest.fixture
def other() -> Iterator[HubServer]:
    with hub_server() as opened:
        yield opened


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    return {kind: tmp_path / "models" / kind for kind in ("checkpoint", "lora", "embedding", "vae", "hypernetwork")}


@pytest.fixture
def tokens(tmp_path: Path, hub: HubServer) -> HubTokens:
    return HubTokens(tmp_path / "tokens.json", {HUGGING_FACE: hub.base, CIVITAI: hub.url})


@pytest.fixture
def downloader(hub: HubServer, folders: dict[str, Path], tokens: HubTokens) -> Downloader:
    client = WebClient(tokens.for_origin, allow_private=True, timeout=5)
    rules = TransferRules(retry_seconds=(0.01, 0.01, 0.01))
    return Downloader(client, folders, bases={HUGGING_FACE: hub.base, CIVITAI: hub.base}, rules=rules)

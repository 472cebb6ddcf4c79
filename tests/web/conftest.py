from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.web.site import Site, open_site, site_config

BASE = "http://127.0.0.1:7860"
LIVE = "ws://127.0.0.1:7860/easel/live"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder: Path = tmp_path_factory.mktemp("site")
    with open_site(site_config(folder)) as opened:
        yield opened


@pytest.fixture(scope="module")
def client(site: Site) -> Iterator[TestClient]:
    with TestClient(site.application.site, base_url=BASE) as opened:
        yield opened

"""The API and Verify over the real engine with the starter model: the same request gives the same pixels."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from starlette.testclient import TestClient

from modules.app import build
from tests.fakes import wait_until
from tests.web.api import make
from tests.web.conftest import BASE
from tests.web.site import site_config


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder: Path = tmp_path_factory.mktemp("real")
    application = build(site_config(folder))
    application.services.jobs.start()
    with TestClient(application.site, base_url=BASE) as client:
        yield client
    application.close()


def test_a_picture_of_the_api_is_made_again_exactly(real: TestClient) -> None:
    told = make(real, prompt="a red apple", override_settings={"randn_source": "CPU"})
    assert Image.open(io.BytesIO(told["pictures"][0])).size == (64, 64)
    digest = real.post("/easel/png-info", content=told["pictures"][0]).json()["digest"]
    job = real.post("/easel/verify", json={"digest": digest}).json()["job"]
    wait_until(lambda: real.get(f"/easel/verify/{job}").json()["state"] == "finished")
    report = real.get(f"/easel/verify/{job}").json()
    assert report["identical"] is True
    assert all(fact["same"] for fact in report["facts"])

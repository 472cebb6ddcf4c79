"""Who may use A1111's API: everybody on this machine but web pages, or those with a password."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from modules.web import guard
from modules.web.auth import FREE_ATTEMPTS
from tests.web.api import ask, make
from tests.web.conftest import BASE
from tests.web.site import open_site, site_config
from tests.web.test_auth import basic, sign_in

OPTIONS_PATH = "/sdapi/v1/options"
PAGE, API = ("ada", "correct horse"), ("robot", "beep")


def served(folder: Path, page: bool, api: bool) -> Iterator[TestClient]:
    config = replace(site_config(folder, (PAGE,) if page else ()), api_credentials=(API,) if api else ())
    with (
        open_site(config) as site,
        TestClient(site.application.site, base_url=BASE, follow_redirects=False) as client,
    ):
        yield client


@pytest.fixture
def with_both(tmp_path: Path) -> Iterator[TestClient]:
    yield from served(tmp_path, page=True, api=True)


@pytest.fixture
def with_api_password(tmp_path: Path) -> Iterator[TestClient]:
    yield from served(tmp_path, page=False, api=True)


@pytest.fixture
def with_page_password(tmp_path: Path) -> Iterator[TestClient]:
    yield from served(tmp_path, page=True, api=False)


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/sdapi/v1/txt2img"), ("POST", OPTIONS_PATH), ("POST", "/sdapi/v1/interrupt"), ("POST", "/sdapi/v1/skip"),
     ("POST", "/sdapi/v1/refresh-loras"), ("POST", "/sdapi/v1/png-info"), ("POST", "/internal/progress")],
)  # fmt: skip
@pytest.mark.parametrize(
    "headers", [{"origin": "https://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}]
)
def test_a_web_page_cannot_use_an_open_api(client: TestClient, method: str, path: str, headers: dict[str, str]) -> None:
    assert client.request(method, path, headers=headers, content=b"{}").status_code == 403


@pytest.mark.parametrize("path", [OPTIONS_PATH, "/sdapi/v1/progress", "/sdapi/v1/sd-models"])
def test_a_rebound_name_reaches_no_api(client: TestClient, path: str) -> None:
    assert client.get(path, headers={"host": "evil.example"}).status_code == 400
    answer = client.get(path, headers={"origin": "https://evil.example"})
    assert "access-control-allow-origin" not in answer.headers


def test_an_open_api_serves_programs(client: TestClient) -> None:
    assert client.get(OPTIONS_PATH).status_code == 200
    assert len(make(client)["pictures"]) == 1


def test_the_apis_password_opens_the_api_alone(with_both: TestClient) -> None:
    assert with_both.get(OPTIONS_PATH).status_code == 401
    assert with_both.get(OPTIONS_PATH, headers=basic(*API)).status_code == 200
    assert with_both.get(OPTIONS_PATH, headers=basic(*PAGE)).status_code == 200
    assert with_both.post("/internal/progress", headers=basic(*API), json={}).status_code == 200
    for path in ("/easel/jobs", "/sdapix"):
        assert with_both.get(path, headers=basic(*API)).status_code == 401, path
        assert with_both.get(OPTIONS_PATH, headers=basic(*API)).status_code == 200, "which forgives a wrong attempt"
    assert sign_in(with_both, *API) == 401


def test_the_pages_password_opens_the_api(with_page_password: TestClient) -> None:
    client = with_page_password
    assert ask(client).status_code == 401
    assert client.get(OPTIONS_PATH, headers=basic(*PAGE)).status_code == 200
    assert sign_in(client, *PAGE) == 303
    assert client.get(OPTIONS_PATH).status_code == 200


def test_an_api_with_a_password_leaves_an_open_page_open(with_api_password: TestClient) -> None:
    client = with_api_password
    assert client.get("/easel/jobs").status_code == 200
    refused = client.get(OPTIONS_PATH, headers={"accept": "text/html"})
    assert refused.status_code == 401, "there is no page to sign in on"
    assert refused.headers["www-authenticate"].startswith("Basic")
    assert client.post("/internal/progress", json={}).status_code == 401
    assert client.get(OPTIONS_PATH, headers=basic("robot", "boop")).status_code == 401
    assert client.get(OPTIONS_PATH, headers=basic(*API)).status_code == 200


def test_guessing_the_apis_password_gets_slower(with_api_password: TestClient) -> None:
    for _ in range(FREE_ATTEMPTS - 1):
        assert with_api_password.get(OPTIONS_PATH, headers=basic("robot", "guess")).status_code == 401
    with_api_password.get(OPTIONS_PATH, headers=basic("robot", "guess"))
    refused = with_api_password.get(OPTIONS_PATH, headers=basic(*API))
    assert refused.status_code == 429, "even the right one must wait now"
    assert int(refused.headers["retry-after"]) >= 1
    assert "Wait" in refused.json()["detail"]
    assert with_api_password.get("/easel/jobs").status_code == 200


def test_only_bodies_with_pictures_may_be_large(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    filler = json.dumps({"comments": {"x": "y" * guard.LARGEST_BODY}})
    assert client.post(OPTIONS_PATH, content=filler).status_code == 413
    assert client.post("/sdapi/v1/png-info", content=filler).status_code == 422
    monkeypatch.setattr(guard, "LARGEST_PICTURE_BODY", guard.LARGEST_BODY)
    assert client.post("/sdapi/v1/png-info", content=filler).status_code == 413
    assert client.post("/easel/png-info", content=filler).status_code == 413

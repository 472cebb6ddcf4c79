"""What a foreign page, a rebound name or an oversized request gets: nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.datastructures import Headers
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from modules.web import guard
from modules.web.guard import HostNames, comes_from_own_page
from modules.web.server import create_app
from tests.web.conftest import BASE, LIVE
from tests.web.site import open_site, site_config

FOREIGN = "https://evil.example"
STATE_CHANGING = [
    ("POST", "/easel/interrupt"),
    ("POST", "/easel/skip"),
    ("POST", "/easel/queue/pause"),
    ("POST", "/easel/settings"),
    ("POST", "/easel/checkpoint"),
    ("POST", "/easel/jobs/x/remove"),
    ("POST", "/gradio_api/run/predict"),
    ("POST", "/gradio_api/queue/join"),
    ("POST", "/gradio_api/upload"),
    ("DELETE", "/easel/jobs"),
]


@pytest.mark.parametrize(("method", "path"), STATE_CHANGING)
@pytest.mark.parametrize("origin", [FOREIGN, "null", "http://127.0.0.1:9999", "http://localhost:7860", "file://"])
def test_a_foreign_page_cannot_change_anything(client: TestClient, method: str, path: str, origin: str) -> None:
    assert client.request(method, path, headers={"origin": origin}).status_code == 403


def test_a_foreign_page_without_an_origin_header_is_told_by_fetch_metadata(client: TestClient) -> None:
    for site in ("cross-site", "same-site"):
        assert client.post("/easel/interrupt", headers={"sec-fetch-site": site}).status_code == 403


def test_a_foreign_page_cannot_upload(client: TestClient) -> None:
    files = {"files": ("a.html", b"<script>")}
    assert client.post("/gradio_api/upload", files=files, headers={"origin": FOREIGN}).status_code == 403
    assert client.post("/gradio_api/upload", files=files).status_code == 403, "nobody uploads anything yet"


@pytest.mark.parametrize("path", ["/", "/easel/jobs", "/easel/settings", "/gradio_api/app_id", "/assets/none.js"])
def test_a_foreign_page_cannot_read(client: TestClient, path: str) -> None:
    answer = client.get(path, headers={"origin": FOREIGN})
    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


def test_a_preflight_allows_nothing(client: TestClient) -> None:
    asked = {"origin": FOREIGN, "access-control-request-method": "POST"}
    answer = client.options("/easel/interrupt", headers=asked)
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("headers", [{"origin": FOREIGN}, {"origin": "null"}, {"host": "evil.example"}])
def test_a_foreign_page_cannot_open_the_socket(client: TestClient, headers: dict[str, str]) -> None:
    with pytest.raises(WebSocketDisconnect), client.websocket_connect(LIVE, headers=headers):
        pass


def test_our_own_page_opens_the_socket(client: TestClient) -> None:
    with client.websocket_connect(LIVE, headers={"origin": BASE, "host": "127.0.0.1:7860"}) as socket:
        assert socket.receive_json()["type"] == "snapshot"


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:7860", "127.0.0.1.evil.example", "192.168.1.7", "", "a@127.0.0.1", "[::1"]
)
def test_a_rebound_name_is_refused(client: TestClient, host: str) -> None:
    assert client.get("/", headers={"host": host}).status_code == 400


@pytest.mark.parametrize("host", ["127.0.0.1:7860", "localhost:7860", "localhost", "[::1]:7860", "LOCALHOST"])
def test_loopback_names_are_ours(client: TestClient, host: str) -> None:
    assert client.get("/gradio_api/app_id", headers={"host": host}).status_code == 200


def test_the_page_and_a_program_come_in(client: TestClient) -> None:
    assert client.get("/").status_code == 200
    assert client.post("/easel/skip").status_code == 200
    own = {"origin": BASE, "host": "127.0.0.1:7860", "sec-fetch-site": "same-origin"}
    assert client.post("/easel/skip", headers=own).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/proxy=http://example.com/", "/gradio_api/upload", "/gradio_api/component_server",
        "/gradio_api/vibe-edit", "/gradio_api/info", "/gradio_api/openapi.json", "/gradio_api/runs",
        "/gradio_api/stream/x", "/gradio_api/file/etc/passwd", "/gradio_api/dev/reload",
        "/gradio_api/process_recording", "/monitoring",
        "/monitoring/summary", "/docs", "/redoc", "/openapi.json", "/config", "//gradio_api/upload",
    ],
)
def test_routes_that_the_page_has_no_use_for_are_closed(client: TestClient, path: str) -> None:
    assert client.get(path).status_code in (403, 404)
    assert client.post(path).status_code in (403, 404)


@pytest.mark.parametrize("path", ["http://example.com/a.png", "https://example.com/a.png", "/etc/passwd"])
def test_gradio_fetches_and_serves_no_file_of_others(client: TestClient, path: str) -> None:
    assert client.get(f"/gradio_api/file={path}").status_code == 404


def test_a_body_that_is_too_large_is_refused(client: TestClient) -> None:
    too_much = b"x" * (guard.LARGEST_BODY + 1)
    assert client.post("/easel/settings", content=too_much).status_code == 413


def test_a_body_without_a_length_is_counted(client: TestClient) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(guard.LARGEST_BODY // 65536 + 2):
            yield b" " * 65536

    assert client.post("/easel/settings", content=endless()).status_code == 413


def test_a_length_that_is_no_number_is_refused(client: TestClient) -> None:
    assert client.post("/easel/skip", headers={"content-length": "-5"}).status_code == 413


def test_every_answer_carries_the_security_headers(client: TestClient) -> None:
    for path in ("/", "/easel/jobs", "/nothing", "/easel/image/none.png", "/docs"):
        answer = client.get(path)
        for name in ("x-content-type-options", "content-security-policy", "referrer-policy"):
            assert name in answer.headers, (path, name)
    assert "frame-ancestors 'self'" in guard.SECURITY_HEADERS["content-security-policy"]


def test_the_page_is_compressed(client: TestClient) -> None:
    assert client.get("/", headers={"accept-encoding": "gzip"}).headers["content-encoding"] == "gzip"


def test_a_server_for_others_answers_to_addresses_and_its_own_names() -> None:
    names = HostNames("0.0.0.0")
    assert names.allow("192.168.1.7:7860")
    assert names.allow("[fe80::1]:7860")
    assert names.allow("localhost")
    assert not names.allow("evil.example")
    names.add("abc.gradio.live")
    assert names.allow("ABC.gradio.live")


def test_without_credentials_only_this_machine_is_served(tmp_path: Path) -> None:
    with open_site(site_config(tmp_path, host="0.0.0.0")) as site:
        names = create_app(site.services).hosts
    assert names.allow("localhost:7860")
    assert not names.allow("192.168.1.7:7860")


def test_a_server_bound_to_a_name_answers_to_it() -> None:
    assert HostNames("easel.lan").allow("easel.lan:7860")


@pytest.mark.parametrize(
    ("origin", "host", "own"),
    [
        ("https://abc.gradio.live", "abc.gradio.live", True),
        ("https://abc.gradio.live:443", "abc.gradio.live", True),
        ("http://localhost", "localhost:80", True),
        ("http://localhost:7860", "localhost:7861", False),
        ("javascript:alert(1)", "localhost", False),
        ("http://", "localhost", False),
    ],
)
def test_origin_and_host_must_be_the_same_place(origin: str, host: str, own: bool) -> None:
    assert comes_from_own_page(Headers({"origin": origin, "host": host})) is own



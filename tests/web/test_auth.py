"""With credentials nothing at all answers a stranger, and a person or a program gets in by the right password."""

import base64
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from modules.web.auth import COOKIE, FREE_ATTEMPTS, SESSION_SECONDS, AttemptLimiter, Sessions
from modules.web.checkpoints import CheckpointChooser
from modules.web.server import assets_address, create_app, make_routes
from tests.web.conftest import BASE, LIVE
from tests.web.site import Site, open_site, site_config

USER, PASSWORD = "ada", "correct horse: battery"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder: Path = tmp_path_factory.mktemp("guarded")
    with open_site(site_config(folder, ((USER, PASSWORD), ("bob", "pa:ss")))) as site:
        yield site


@pytest.fixture
def stranger(guarded: Site) -> Iterator[TestClient]:
    with TestClient(create_app(guarded.services), base_url=BASE, follow_redirects=False) as client:
        yield client


def basic(user: str, password: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def sign_in(client: TestClient, user: str = USER, password: str = PASSWORD) -> int:
    return client.post("/login", data={"username": user, "password": password}).status_code


def addresses(routes: list[BaseRoute], prefix: str = "") -> Iterator[tuple[str, set[str], bool]]:
    """Every address of an application with its methods and whether it is a socket, those of mounted ones included."""
    for route in routes:
        included = getattr(route, "original_router", None)
        if included is not None:
            yield from addresses(list(included.routes), prefix)
        elif isinstance(route, Mount):
            yield from addresses(list(route.routes or []), prefix + route.path)
            yield f"{prefix}{route.path}/x", {"GET"}, False
        elif isinstance(route, WebSocketRoute):
            yield prefix + route.path, set(), True
        elif isinstance(route, Route):
            yield re.sub(r"\{[^}]*\}", "x", prefix + route.path), set(route.methods or {"GET"}), False


def test_no_route_answers_a_stranger(guarded: Site, stranger: TestClient) -> None:
    services = guarded.services
    app = make_routes(services, CheckpointChooser(services.files.checkpoints, services.settings, services.jobs.preload))
    known = list(addresses(list(app.routes)))
    known += [(f"{assets_address()}/main.js", {"GET"}, False), ("/assets/index.js", {"GET"}, False)]
    known += [("/logout", {"GET", "POST"}, False), ("/nothing/at/all", {"GET", "PUT"}, False)]
    assert {"/easel/live", "/easel/jobs", "/gradio_api/queue/join", "/"} <= {path for path, _, _ in known}
    assert len(known) > 60
    for path, methods, socket in known:
        if socket:
            with pytest.raises(WebSocketDisconnect), stranger.websocket_connect(f"ws://127.0.0.1:7860{path}"):
                pass
        for method in methods:
            answer = stranger.request(method, path)
            # 403 is the guard's: closed to everybody.
            assert answer.status_code in (401, 403), (method, path, answer.status_code)


def test_a_browser_is_led_to_the_sign_in_page(stranger: TestClient) -> None:
    answer = stranger.get("/", headers={"accept": "text/html"})
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/login")
    assert "Sign in" in stranger.get("/login").text


def test_signing_in_and_out(stranger: TestClient) -> None:
    assert sign_in(stranger) == 303
    assert stranger.get("/").status_code == 200
    assert stranger.get("/easel/jobs").status_code == 200
    with stranger.websocket_connect(LIVE) as socket:
        assert socket.receive_json()["type"] == "snapshot"
    token = stranger.cookies[COOKIE]
    assert stranger.get("/logout").status_code == 405
    assert stranger.post("/logout").status_code == 303
    assert stranger.get("/easel/jobs", headers={"cookie": f"{COOKIE}={token}"}).status_code == 401


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(stranger: TestClient) -> None:
    form = {"username": USER, "password": PASSWORD}
    cookie = stranger.post("/login", data=form).headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "secure" not in cookie
    behind_tunnel = stranger.post("/login", data=form, headers={"x-forwarded-proto": "https"})
    assert "secure" in behind_tunnel.headers["set-cookie"].lower()


def test_a_foreign_page_cannot_sign_anybody_in(stranger: TestClient) -> None:
    form = {"username": USER, "password": PASSWORD}
    assert stranger.post("/login", data=form, headers={"origin": "https://evil.example"}).status_code == 403


def test_a_program_uses_basic(stranger: TestClient) -> None:
    assert stranger.get("/easel/jobs", headers=basic("bob", "pa:ss")).status_code == 200
    assert stranger.get("/easel/jobs").headers["www-authenticate"].startswith("Basic")
    for header in ("Basic %%%", "Basic", "Bearer x", basic("bob", "")["authorization"]):
        assert stranger.get("/easel/jobs", headers={"authorization": header}).status_code == 401


@pytest.mark.parametrize(
    ("user", "password"), [(USER, "wrong"), (USER, ""), ("nobody", ""), ("", ""), ("ADA", PASSWORD)]
)
def test_a_wrong_password_does_not_get_in(stranger: TestClient, user: str, password: str) -> None:
    assert sign_in(stranger, user, password) == 401
    assert COOKIE not in stranger.cookies


def test_guessing_gets_slower_for_forms_and_programs(stranger: TestClient) -> None:
    for _ in range(FREE_ATTEMPTS):
        assert sign_in(stranger, USER, "wrong") == 401
    refused = stranger.post("/login", data={"username": USER, "password": PASSWORD})
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 1
    assert stranger.get("/easel/jobs", headers=basic(USER, PASSWORD)).status_code == 429


def test_the_delay_doubles_and_ends() -> None:
    now = [0.0]
    limiter = AttemptLimiter(lambda: now[0])
    waits = []
    for _ in range(FREE_ATTEMPTS + 2):
        limiter.failed("a")
        waits.append(limiter.wait("a"))
    assert waits[FREE_ATTEMPTS - 1 :] == [1.0, 2.0, 4.0]
    assert limiter.wait("b") == 0
    now[0] = 4.0
    assert limiter.wait("a") == 0
    limiter.succeeded("a")
    limiter.failed("a")
    assert limiter.wait("a") == 0


@pytest.mark.parametrize("token", ["", ".", "a.b.c.d", "9999999999.nonce.YWRh.", "9999999999.nonce.YWRh.00"])
def test_a_forged_token_is_worthless(token: str) -> None:
    assert Sessions().user_of(token) is None


def test_a_token_holds_for_its_time_and_its_server_only() -> None:
    now = [1000.0]
    sessions = Sessions(lambda: now[0])
    token = sessions.open("ada.lovelace")
    assert sessions.user_of(token) == "ada.lovelace"
    assert Sessions(lambda: now[0]).user_of(token) is None
    assert sessions.user_of(token.replace("YWR", "Ym9")) is None
    now[0] += SESSION_SECONDS + 1
    assert sessions.user_of(token) is None


def test_a_job_remembers_who_asked_for_it(guarded: Site, stranger: TestClient) -> None:
    sign_in(stranger)
    config = stranger.get("/").text
    assert '"signed_in": true' in config
    assert guarded.jobs.waiting() == []

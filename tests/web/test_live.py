"""Every page that connects gets a snapshot first, then each change; a slow one is not sent what it missed."""

import asyncio
from typing import Any

import pytest
from starlette.testclient import TestClient

from modules.core.parameter import LARGEST_SEED
from modules.core.request import GenerationRequest
from modules.web import live
from modules.web.live import Mailbox, for_browser
from tests.fakes import HoldAt, run_async
from tests.web.conftest import LIVE
from tests.web.site import Site


def next_of(socket: Any, wanted: str) -> dict[str, Any]:
    for _ in range(200):
        message: dict[str, Any] = socket.receive_json()
        if message["type"] == wanted:
            return message
    raise AssertionError(f"no message of type {wanted}")


def test_two_pages_see_the_same_job_from_start_to_end(client: TestClient, site: Site) -> None:
    gate = HoldAt(step=2)
    site.engine.gate = gate
    with client.websocket_connect(LIVE) as first, client.websocket_connect(LIVE) as second:
        for socket in (first, second):
            assert socket.receive_json()["type"] == "snapshot"
        job = site.jobs.submit(GenerationRequest(prompt="x", steps=3, width=64, height=64, seed=LARGEST_SEED))
        gate.wait_reached()
        for socket in (first, second):
            assert next_of(socket, "progress")["job"] == job.id
        with client.websocket_connect(LIVE) as late:
            snapshot = late.receive_json()
            assert snapshot["job"]["id"] == job.id
            assert snapshot["job"]["state"] == "running"
            assert snapshot["progress"]["steps"] == 3
        gate.release()
        for socket in (first, second):
            message = next_of(socket, "job")
            while message["job"]["state"] != "finished":
                message = next_of(socket, "job")
            assert message["job"]["images"][0]["seed"] == str(LARGEST_SEED)
    site.engine.gate = None


def test_a_silent_server_still_says_that_it_is_there(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "BEAT_SECONDS", 0.01)
    with client.websocket_connect(LIVE) as socket:
        assert next_of(socket, "beat") == {"type": "beat"}


def test_nothing_a_page_sends_disturbs_the_socket(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "BEAT_SECONDS", 0.01)
    with client.websocket_connect(LIVE) as socket:
        socket.receive_json()
        socket.send_text("{")
        socket.send_bytes(b"\0")
        assert next_of(socket, "beat") == {"type": "beat"}


def test_a_page_that_lags_gets_the_newest_progress_only() -> None:
    async def lag() -> list[dict[str, Any]]:
        mailbox = Mailbox(asyncio.get_running_loop())
        for step in range(5):
            mailbox.put({"type": "progress", "step": step})
        mailbox.put({"type": "job"})
        mailbox.put({"type": "progress", "step": 9})
        await asyncio.sleep(0)
        return [await mailbox.take() for _ in range(3)]

    taken = run_async(lag())
    assert taken == [{"type": "progress", "step": 4}, {"type": "job"}, {"type": "progress", "step": 9}]


def test_a_message_for_a_loop_that_has_ended_is_dropped() -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    Mailbox(loop).put({"type": "job"})


def test_seeds_become_texts_and_all_else_stays() -> None:
    message = {"request": {"seed": 2**63 - 1, "steps": 5}, "images": [{"seed": 1, "url": "u"}], "seed": None}
    assert for_browser(message) == {
        "request": {"seed": "9223372036854775807", "steps": 5}, "images": [{"seed": "1", "url": "u"}], "seed": None
    }

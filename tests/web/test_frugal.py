"""What Gradio's server is kept from doing, and that everything else of it works."""

from collections.abc import Iterator
from typing import Any

import gradio as gr
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from modules.web.frugal import QUEUE_PAUSES, spare_work


@pytest.fixture
def page() -> Any:
    """Two text boxes, of which a change to one goes to the other."""
    with gr.Blocks(analytics_enabled=False) as page:
        asked, answer = gr.Textbox(), gr.Textbox()
        asked.change(lambda text: gr.Textbox(label=text.upper(), value=text), [asked], [answer], queue=False)
    return page


@pytest.fixture
def client(page: Any) -> Iterator[TestClient]:
    app = gr.mount_gradio_app(FastAPI(), page, path="/", ssr_mode=False)
    spare_work(page)
    with TestClient(app) as client:
        yield client


def change(client: TestClient, session: str) -> Any:
    body = {"data": ["words"], "fn_index": 0, "session_hash": session}
    return client.post("/gradio_api/run/predict", json=body).json()["data"]


def test_a_session_begins_without_a_description_of_every_component(page: Any, client: TestClient) -> None:
    place, component = next(iter(page.blocks.items()))
    assert page.state_holder["anew"].config_values == {}
    assert page.state_holder["anew"][place] is component


def test_an_event_reaches_its_component_and_only_its_own_session_knows(page: Any, client: TestClient) -> None:
    [answer] = change(client, "one")
    assert (answer["label"], answer["value"]) == ("WORDS", "words")
    place = page.fns[0].outputs[0]._id
    changed = page.state_holder["one"]
    assert changed.config_values[place]["props"]["value"] == "words"
    assert changed[place].label == "WORDS"
    assert page.state_holder["two"][place].label != "WORDS"


def test_the_queue_is_not_asked_without_end(page: Any, client: TestClient) -> None:
    queue = page._queue
    assert (queue.sleep_when_free, queue.progress_update_sleep_when_free) == QUEUE_PAUSES

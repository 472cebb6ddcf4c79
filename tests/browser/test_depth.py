"""The depth map of the img2img tab: there for depth checkpoints alone, sent with the picture, and back with a job."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import NewPage
from tests.browser.driver import Server, running
from tests.browser.test_img2img import SIZE, as_file, canvas, kept, load, photo, run, run_again
from tests.layouts import sd2, write_header_only

pytestmark = pytest.mark.browser

DEPTH = "img2img_depth"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Server]:
    """A server with a depth checkpoint."""
    folder = tmp_path_factory.mktemp("depth")
    write_header_only(folder / "models" / "Stable-diffusion" / "deep.safetensors", sd2(5).shapes())
    with running(Server(folder)) as started:
        started.open_gate()
        yield started


def choose(server: Server, checkpoint: str) -> None:
    assert httpx.post(f"{server.url}/easel/checkpoint", json={"checkpoint": checkpoint}).json()["problem"] == ""


def test_a_depth_map_is_sent_while_a_depth_checkpoint_is_chosen(new_page: NewPage, server: Server) -> None:
    choose(server, "deep")
    easel = new_page().img2img()
    page = easel.page
    load(page, "img2img")
    depth = canvas(page, DEPTH)
    expect(depth).to_be_visible()
    expect(page.locator(".easel-depth")).to_contain_text("white is nearest")
    assert run(easel)["depth_image"] == ""
    depth.locator("input[type=file]").first.set_input_files([as_file("depth.png", photo("white"))])
    expect(depth.get_by_role("button", name="Remove the picture")).to_be_enabled()
    request = run_again(easel)
    sent = kept(server, str(request["depth_image"]))
    assert (sent.size, sent.getpixel((60, 50))) == (SIZE, (255, 255, 255))
    assert request["init_image"] != request["depth_image"]
    other = new_page(instead=True)
    other.tab("queue")
    other.page.locator("[data-action=use]").first.click()
    other.place = "img2img"
    expect(canvas(other.page, DEPTH).get_by_role("button", name="Remove the picture")).to_be_enabled()
    assert run_again(other)["depth_image"] == request["depth_image"]
    choose(server, "starter")
    other.page.reload()
    other.wait_ready()
    other.img2img()
    expect(canvas(other.page, "img2img")).to_be_visible()
    expect(canvas(other.page, DEPTH)).to_be_hidden()
    assert run_again(other)["depth_image"] == ""

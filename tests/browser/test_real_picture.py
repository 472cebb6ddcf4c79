"""The real engine and the starter model, from the prompt on the page to the picture in the gallery."""

import io
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image, ImageStat
from playwright.sync_api import expect

from tests.browser.conftest import BlankPage
from tests.browser.driver import Easel, Server, free_port
from tests.fakes import wait_until

pytestmark = pytest.mark.browser
BORDER = 8
REAL_SERVER = """
import sys
from modules.app import serve
from modules.cli import parse_arguments
sys.exit(serve(parse_arguments(sys.argv[1:])))
"""


class RealServer(Server):
    """The server as a user starts it."""

    def start(self) -> None:
        root = Path(__file__).resolve().parents[2]
        arguments = ["--data-dir", str(self.folder), "--port", str(self.port), "--use-cpu"]
        program = subprocess.Popen([sys.executable, "-c", REAL_SERVER, *arguments], cwd=root)
        self.program = program

        def answers() -> bool:
            assert program.poll() is None, "the server ended at once"
            try:
                return httpx.get(f"{self.url}/gradio_api/app_id", timeout=5).is_success
            except httpx.TransportError:
                return False

        wait_until(answers, 60)

    def stop(self) -> None:
        self.program.send_signal(signal.SIGINT)
        try:
            self.program.wait(10)
        except subprocess.TimeoutExpired:
            self.program.kill()


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory, browser: object) -> Iterator[RealServer]:
    server = RealServer(tmp_path_factory.mktemp("real"), port=free_port())
    server.start()
    yield server
    server.stop()


@pytest.mark.timeout(240)
def test_an_apple_on_blue_is_on_blue(real: RealServer, blank_page: BlankPage) -> None:
    easel = Easel(blank_page(), real.url).open()
    easel.prepare("a red apple on a blue background", steps=20, cfg_scale=5)
    easel.page.locator("#txt2img_seed input").fill("7")
    easel.generate()
    easel.page.wait_for_function("window.easel.live.job?.state === 'finished'", timeout=180_000)
    easel.wait_pictures(1)
    easel.wait_infotext("Seed: 7")
    easel.wait_infotext("Size: 128x128")
    [path] = (real.folder / "outputs" / "txt2img-images").rglob("*.png")
    with Image.open(path) as picture:
        assert "a red apple on a blue background" in picture.info["parameters"]
        red, green, blue = border_colour(picture.convert("RGB"))
    assert blue > 1.3 * max(red, green), (red, green, blue)


@pytest.mark.timeout(240)
def test_only_what_was_painted_over_changes(real: RealServer, blank_page: BlankPage) -> None:
    easel = Easel(blank_page(), real.url).open().img2img("inpaint")
    page = easel.page
    given = Image.effect_noise((128, 128), 60).convert("RGB")
    content = io.BytesIO()
    given.save(content, "PNG")
    file = {"name": "noise.png", "mimeType": "image/png", "buffer": content.getvalue()}
    page.locator(".easel-canvas[data-name=inpaint] input[type=file]").first.set_input_files([file])
    stage = page.locator(".easel-canvas[data-name=inpaint] .easel-canvas-stage")
    expect(page.locator("#img2img_scale_resolution_preview")).to_contain_text("from 128x128")
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    assert box is not None
    across, down = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(across - 30, down)
    page.mouse.down()
    page.mouse.move(across + 30, down, steps=5)
    page.mouse.up()
    page.locator("#img2img_inpainting_fill").get_by_text("latent noise").click()
    easel.prepare("a red apple on a blue background", steps=4, mask_blur=0, denoising_strength=1)
    easel.generate()
    page.wait_for_function("window.easel.live.shown.img2img?.state === 'finished'", timeout=180_000)
    address = page.evaluate("window.easel.live.shown.img2img.images[0].url")
    request = easel.last_request()
    made = Image.open(io.BytesIO(httpx.get(f"{real.url}{address}").content)).convert("RGB")
    kept = Image.open(io.BytesIO(httpx.get(f"{real.url}/easel/inputs/{request['mask_image']}").content)).convert("L")
    painted, changed = np.asarray(kept) > 0, (np.asarray(made) != np.asarray(given)).any(axis=-1)
    assert 0 < painted.mean() < 0.5
    assert not changed[~painted].any(), "what was not masked is as it was, byte for byte"
    assert changed[painted].mean() > 0.9


def border_colour(picture: Image.Image) -> tuple[float, ...]:
    """The mean colour of the outermost pixels, red, green and blue from 0 to 255."""
    width, height = picture.size
    sides = [(0, 0, width, BORDER), (0, height - BORDER, width, height), (0, 0, BORDER, height)]
    means = [ImageStat.Stat(picture.crop(side)).mean for side in [*sides, (width - BORDER, 0, width, height)]]
    return tuple(sum(channel) / len(means) for channel in zip(*means, strict=True))

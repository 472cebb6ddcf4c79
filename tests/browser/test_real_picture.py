"""The real engine and the starter model, from the prompt on the page to the picture in the gallery."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from PIL import Image, ImageStat
from playwright.sync_api import BrowserContext

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
        self.process = subprocess.Popen([sys.executable, "-c", REAL_SERVER, *arguments], cwd=root)

        def answers() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, "the server ended at once"
            try:
                return httpx.get(f"{self.url}/gradio_api/app_id", timeout=5).is_success
            except httpx.TransportError:
                return False

        wait_until(answers, 60)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory, browser: object) -> Iterator[RealServer]:
    server = RealServer(tmp_path_factory.mktemp("real"), port=free_port())
    server.start()
    yield server
    server.stop()


@pytest.mark.timeout(240)
def test_an_apple_on_blue_is_on_blue(real: RealServer, new_context: Callable[..., BrowserContext]) -> None:
    easel = Easel(new_context().new_page(), real.url).open()
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


def border_colour(picture: Image.Image) -> tuple[float, ...]:
    """The mean colour of the outermost pixels, red, green and blue from 0 to 255."""
    width, height = picture.size
    sides = [(0, 0, width, BORDER), (0, height - BORDER, width, height), (0, 0, BORDER, height)]
    means = [ImageStat.Stat(picture.crop(side)).mean for side in [*sides, (width - BORDER, 0, width, height)]]
    return tuple(sum(channel) / len(means) for channel in zip(*means, strict=True))

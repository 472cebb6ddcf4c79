"""A page with one canvas on it and a server that only keeps pictures, for the tests of the canvas."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import json
import re
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Locator, Page, Route, expect

ASSETS = Path(__file__).parents[2] / "modules" / "web" / "assets"
STYLES = ("palette.css", "page.css", "canvas.css")
ANSWERED = re.compile(r"^http://[^/]+/(?!assets/)")
"""What the test answers itself, which is everything but our scripts."""
INPUTS = "/easel/inputs"
PAGE = """<!doctype html><html class="{scheme}"><head><link rel="icon" href="data:,"><style>{styles}</style>
<style>body {{ margin: 0; background: var(--easel-page) }} #place {{ max-width: 640px; margin: 12px }}</style></head>
<body><div class="gradio-container"><div class="prose" id="place"></div><textarea id="prompt"></textarea></div>
<script type="module">
import {{ PictureCanvas }} from "/assets/canvas.js";
window.notes = [];
window.events = [];
const messages = {{ note: (text) => notes.push(text), failure: (error) => notes.push(error.message) }};
const brush = {{ size: 20, hardness: 1 }};
window.canvas = new PictureCanvas({{ name: "board", draws: "{draws}", label: "Board", messages, brush }});
for (const name of ["picture", "drawing"]) canvas.addEventListener(name, () => events.push(name));
document.querySelector("#place").append(canvas.element);
</script></body></html>"""

Pixels = NDArray[np.uint8]
Place = tuple[float, float]


class _Scripts(SimpleHTTPRequestHandler):
    """Serves our scripts, quietly."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its base's name)
        """Say nothing."""


@contextlib.contextmanager
def scripts_served() -> Iterator[str]:
    """Serve our scripts below /assets/, and give the address of that place."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Scripts, directory=str(ASSETS.parent))) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def picture(width: int = 300, height: int = 200, colour: str = "#204060", form: str = "PNG", **wishes: Any) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(out, form, **wishes)
    return out.getvalue()


@dataclass
class Board:
    """The page as a user has it, and what the server was sent."""

    page: Page
    url: str
    draws: str = "mask"
    scheme: str = ""
    kept: dict[str, bytes] = field(default_factory=dict)
    sent: list[str] = field(default_factory=list)
    refusal: str = ""

    def __post_init__(self) -> None:
        self.page.route(ANSWERED, self._answer)
        self.open()

    def open(self) -> None:
        self.page.goto(self.url)
        self.wait_started()

    def reload(self) -> None:
        self.page.reload()
        self.wait_started()

    def wait_started(self) -> None:
        self.page.wait_for_function("window.canvas")
        self.page.evaluate("canvas.ready.then(() => null)")

    def keep(self, content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()
        self.kept[digest] = content
        return digest

    def _answer(self, route: Route) -> None:
        path = urlsplit(route.request.url).path
        if path == "/":
            styles = "".join((ASSETS / name).read_text() for name in STYLES)
            page = PAGE.format(scheme=self.scheme, draws=self.draws, styles=styles)
            route.fulfill(body=page, content_type="text/html")
        elif path == INPUTS:
            self._take(route)
        elif path.removeprefix(f"{INPUTS}/") in self.kept:
            route.fulfill(body=self.kept[path.removeprefix(f"{INPUTS}/")], content_type="image/png")
        else:
            route.fulfill(status=404, body="{}")

    def _take(self, route: Route) -> None:
        if self.refusal:
            route.fulfill(status=422, body=json.dumps({"detail": self.refusal}), content_type="application/json")
            return
        digest = self.keep(route.request.post_data_buffer or b"")
        self.sent.append(digest)
        width, height = self.image(digest).size
        answer = {"id": digest, "width": width, "height": height}
        route.fulfill(body=json.dumps(answer), content_type="application/json")

    def image(self, digest: str) -> Image.Image:
        return Image.open(io.BytesIO(self.kept[digest]))

    def choose(self, content: bytes, name: str = "picture.png") -> None:
        """Choose a file, as the button does."""
        chooser = self.page.locator("input[type=file][aria-label='Choose a picture']")
        chooser.set_input_files({"name": name, "mimeType": "application/octet-stream", "buffer": content})

    def show(self, content: bytes, name: str = "picture.png") -> None:
        """Choose a picture and wait until it is there."""
        self.choose(content, name)
        width, height = self.upright(content)
        self.page.wait_for_function(
            "([w, h]) => canvas.size()?.width === w && canvas.size().height === h", arg=[width, height]
        )
        self.settle()

    @staticmethod
    def upright(content: bytes) -> tuple[int, int]:
        with Image.open(io.BytesIO(content)) as opened:
            turned = opened.getexif().get(0x0112, 1) > 4
            return (opened.height, opened.width) if turned else opened.size

    def settle(self) -> None:
        """Wait until the page has drawn what it wants to draw."""
        self.page.evaluate(
            "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(null))))"
        )

    def button(self, name: str) -> Locator:
        return self.page.locator(".easel-canvas").get_by_role("button", name=name, exact=True)

    def press(self, *names: str) -> None:
        for name in names:
            self.button(name).click()
        self.page.evaluate("Promise.all([canvas.growing, canvas.ready]).then(() => null)")
        self.settle()

    def at(self, place: Place) -> Place:
        """Where in the window a place of the picture is seen."""
        x, y = self.page.evaluate(
            "([x, y]) => { const b = canvas.view.element.getBoundingClientRect();"
            " return [b.left + canvas.view.x + x * canvas.view.scale, b.top + canvas.view.y + y * canvas.view.scale] }",
            list(place),
        )
        return x, y

    def begin(self, places: Iterable[Place]) -> None:
        """Draw through places of the picture, and keep the mouse button down."""
        first, *others = [self.at(place) for place in places]
        self.page.mouse.move(*first)
        self.page.mouse.down()
        for place in others:
            self.page.mouse.move(*place, steps=4)

    def stroke(self, *places: Place) -> None:
        self.begin(places)
        self.page.mouse.up()

    def hover(self, place: Place) -> None:
        self.page.mouse.move(*self.at(place))

    def ids(self) -> dict[str, str]:
        found: dict[str, str] = self.page.evaluate("canvas.ids()")
        return found

    def drawing(self) -> Pixels:
        """The pixels of what is drawn, as the server gets them: (rows, columns) or (rows, columns, 4)."""
        digest = self.ids()["drawing"]
        assert digest, "nothing is drawn"
        return np.asarray(self.image(digest))

    def is_blank(self) -> bool:
        return self.ids()["drawing"] == ""

    def seen(self, place: Place) -> tuple[int, ...]:
        """The colour of the screen over a place of the picture."""
        self.settle()
        x, y = self.at(place)
        shot = self.page.screenshot(clip={"x": x, "y": y, "width": 1, "height": 1})
        colour = Image.open(io.BytesIO(shot)).convert("RGB").getpixel((0, 0))
        assert isinstance(colour, tuple)
        return colour

    def notes(self) -> list[str]:
        said: list[str] = self.page.evaluate("notes")
        return said

    def drop(self, content: bytes, name: str, address: str = "") -> None:
        """Drop a file on the canvas, or an address if there is one."""
        data = self.page.evaluate_handle(
            "([content, name, address]) => { const data = new DataTransfer();"
            " if (address) data.setData('text/uri-list', address);"
            " else data.items.add(new File([Uint8Array.from(atob(content), c => c.charCodeAt(0))], name));"
            " return data }",
            [base64.b64encode(content).decode(), name, address],
        )
        for event in ("dragenter", "dragover", "drop"):
            self.page.dispatch_event(".easel-canvas-view", event, {"dataTransfer": data})

    def expect_size(self, width: int, height: int) -> None:
        expect(self.page.locator(".easel-canvas-facts")).to_have_text(f"{width} × {height}")

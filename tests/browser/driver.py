"""What the browser tests drive: a server process, a page, and a cable between them that can be cut."""

from __future__ import annotations

import base64
import contextlib
import os
import select
import shutil
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Page, expect

from tests.browser import forked
from tests.fakes import FileGate, wait_until

SERVE = Path(__file__).parent / "serve.py"
CHROMIUM_ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
    # No name but ours resolves, so nothing can reach out even if it tries; the tests see that it did.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
]
PATIENCE_MS = 20_000
STEPS = 6
START_SECONDS = 100
"""A server needs some ten seconds of a processor; on a machine with much else to do that takes its time."""
READY = """() => document.documentElement.dataset.live === "connected" && window.easel?.form.restored
    && document.querySelector("#txt2img_generate")?.checkVisibility()"""


def find_chromium() -> str | None:
    """The browser that launch.py names, else the system's."""
    asked = os.environ.get("EASEL_CHROMIUM")
    return asked or shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Server:
    """A server process with a fake engine that stands before every step until the test lets it go on."""

    folder: Path
    credentials: str = ""
    port: int = field(default_factory=free_port)
    process: BaseProcess | None = None
    serve: Path = SERVE

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def gate(self) -> FileGate:
        return FileGate(self.folder / "gate")

    def start(self) -> None:
        arguments = [str(self.folder), str(self.port)]
        process = forked.start(self.serve, [*arguments, self.credentials] if self.credentials else arguments)
        self.process = process

        def answers() -> bool:
            assert process.is_alive(), "the server ended at once"
            with contextlib.suppress(httpx.TransportError):
                httpx.get(f"{self.url}/gradio_api/app_id", timeout=5)
                return True
            return False

        wait_until(answers, START_SECONDS)

    def stop(self) -> None:
        assert self.process is not None
        forked.stop(self.process)

    def let_pass(self, steps: range, image: int = 0) -> None:
        """Let the engine go through some steps of a picture."""
        for step in steps:
            self.gate.release(image, step)

    def open_gate(self) -> None:
        """Let the engine go on for good."""
        self.gate.release()

    def settle(self) -> None:
        """Let every job end, forget them all, and close the gate for the next test."""
        self.open_gate()
        httpx.post(f"{self.url}/easel/queue/resume")

        def idle() -> bool:
            jobs = httpx.get(f"{self.url}/easel/jobs").json()
            return jobs["running"] is None and not jobs["waiting"]

        wait_until(idle)
        for job in httpx.get(f"{self.url}/easel/jobs?limit=200").json()["ended"]:
            httpx.post(f"{self.url}/easel/jobs/{job['id']}/remove")
        for file in (self.folder / "gate").iterdir():
            file.unlink()


class Easel:
    """The page, as a user sees it."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.place = "txt2img"
        self._job_before = ""

    def open(self) -> Easel:
        self.page.goto(self.url)
        self.wait_ready()
        return self

    def wait_ready(self) -> None:
        # Asked at every frame: an expectation asks ever more seldom, and is late by half a second.
        self.page.wait_for_function(READY, timeout=PATIENCE_MS)

    def prompt(self, text: str) -> None:
        self.page.locator(f"#{self.place}_prompt textarea").fill(text)

    def number(self, field: str, value: object) -> None:
        self.page.locator(f"#{self.place}_{field} input[type=number]").fill(str(value))

    def prepare(self, prompt: str = "a red apple", **numbers: object) -> None:
        self.prompt(prompt)
        for name, value in {"steps": STEPS, **numbers}.items():
            self.number(name, value)

    def generate(self) -> None:
        self._job_before = self.page.evaluate("window.easel.live.job?.id ?? ''")
        self.page.locator(f"#{self.place}_generate").click()

    def wait_running(self) -> None:
        expect(self.page.locator("html[data-job=running]")).to_have_count(1, timeout=PATIENCE_MS)

    def wait_idle(self) -> None:
        expect(self.page.locator("html[data-job=idle]")).to_have_count(1, timeout=PATIENCE_MS)

    def wait_progress(self, text: str) -> None:
        line = self.page.locator(f"#{self.place}_progress .easel-progress-text")
        expect(line).to_contain_text(text, timeout=PATIENCE_MS)

    def wait_pictures(self, count: int) -> None:
        thumbnails = self.page.locator(f"#{self.place}_gallery .thumbnails .thumbnail-small")
        expect(thumbnails).to_have_count(count, timeout=PATIENCE_MS)
        self.page.wait_for_function(
            "place => [...document.querySelectorAll(`#${place}_gallery .preview img`)]"
            ".every(i => i.complete && i.naturalWidth)",
            arg=self.place, timeout=PATIENCE_MS,
        )

    def wait_infotext(self, text: str) -> None:
        expect(self.page.locator(f"#html_info_{self.place}")).to_contain_text(text, timeout=PATIENCE_MS)

    def wait_waiting(self, count: int) -> None:
        self.page.wait_for_function("n => window.easel.live.queue.waiting.length === n", arg=count, timeout=PATIENCE_MS)

    def form_value(self, field: str) -> object:
        """What the page's scripts hold of a field."""
        return self.page.evaluate("([place, name]) => window.easel.pages[place].form.values[name]", [self.place, field])

    def wait_form(self, **values: object) -> None:
        """Wait until the page's scripts hold these values."""
        script = "([place, wanted]) => Object.entries(wanted).every(([name, value]) =>"
        script += " JSON.stringify(window.easel.pages[place].form.values[name]) === JSON.stringify(value))"
        self.page.wait_for_function(script, arg=[self.place, values], timeout=PATIENCE_MS)

    def last_request(self) -> dict[str, Any]:
        """The request of the job that the page follows, which is not the one before `generate`."""
        followed = "before => window.easel.live.job && window.easel.live.job.id !== before"
        self.page.wait_for_function(followed, arg=self._job_before, timeout=PATIENCE_MS)
        request: dict[str, Any] = self.page.evaluate("window.easel.live.job.request")
        return request

    def drop(self, selector: str, content: bytes, name: str, media_type: str) -> None:
        """Drop a file on an element."""
        handle = self.page.evaluate_handle(
            "([content, name, type]) => { const data = new DataTransfer();"
            " data.items.add(new File([Uint8Array.from(atob(content), c => c.charCodeAt(0))], name, {type}));"
            " return data }",
            [base64.b64encode(content).decode(), name, media_type],
        )
        for event in ("dragenter", "dragover", "drop"):
            self.page.dispatch_event(selector, event, {"dataTransfer": handle})

    def tab(self, name: str) -> None:
        self.page.locator(f"#tabs button[role=tab][data-tab-id={name}]").click()

    def img2img(self, mode: str = "img2img") -> Easel:
        """Go to one of img2img's sub-tabs; from now on its fields are meant."""
        self.place = "img2img"
        self.tab("img2img")
        self.page.locator(f"#mode_img2img [data-mode={mode}]").click()
        return self

    def value(self, field: str) -> str:
        return self.page.locator(f"#{self.place}_{field} :is(textarea, input:not([type=range]))").first.input_value()


class Cable:
    """A TCP proxy to a server: the network between page and server, which a test can cut and mend."""

    def __init__(self, target_port: int) -> None:
        self._target = target_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._whole = threading.Event()
        self._whole.set()
        self._closing = False
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        self._whole.clear()

    def mend(self) -> None:
        self._whole.set()

    def close(self) -> None:
        self._closing = True
        self._whole.clear()
        self._listener.close()

    def _accept(self) -> None:
        while not self._closing:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if not self._whole.is_set():
                near.close()
                continue
            far = socket.create_connection(("127.0.0.1", self._target))
            threading.Thread(target=self._pump, args=(near, far), daemon=True).start()

    def _pump(self, near: socket.socket, far: socket.socket) -> None:
        with near, far, contextlib.suppress(OSError):
            while self._whole.is_set():
                readable, _, _ = select.select([near, far], [], [], 0.05)
                for source in readable:
                    data = source.recv(65536)
                    if not data:
                        return
                    (far if source is near else near).sendall(data)


@contextlib.contextmanager
def running(server: Server) -> Iterator[Server]:
    (server.folder / "gate").mkdir(parents=True, exist_ok=True)
    try:
        server.start()
        yield server
    finally:
        server.stop()

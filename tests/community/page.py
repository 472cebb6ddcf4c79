"""The page in Chromium, with everything that goes wrong on it written down."""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from PIL import Image
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, TimeoutError, expect, sync_playwright

from tests.browser.driver import CHROMIUM_ARGUMENTS, Easel, find_chromium

READY_MS = 60_000
BEGIN_MS = 60_000
JOB_MS = 240_000
QUIET = ("net::ERR_NAME_NOT_RESOLVED", "ERR_INTERNET_DISCONNECTED", "favicon", "connect-src", "Failed to fetch")
"""What is said of addresses elsewhere, which nothing here can reach."""
SWITCH_WORDS = ("enable", "active", "on", "use ")


class Watched(Easel):
    """Easel's page. `console`: errors of scripts and failed requests, in words; `interactive`: seconds until then."""

    def __init__(self, page: Page, url: str) -> None:
        super().__init__(page, url)
        self.console: list[str] = []
        self.interactive = 0.0
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.console.append(f"{error.name}: {error.message} {_place(error.stack)}"))
        page.on("dialog", lambda dialog: dialog.accept())

    def open(self) -> Watched:
        begun = time.monotonic()
        self.page.goto(self.url, timeout=READY_MS)
        self.wait_ready()
        self.interactive = time.monotonic() - begun
        return self

    def wait_ready(self) -> None:
        expect(self.page.locator("html[data-live=connected]")).to_have_count(1, timeout=READY_MS)
        self.page.wait_for_function("window.easel?.form?.restored", timeout=READY_MS)

    def wait_extensions(self) -> None:
        self.page.wait_for_selector("html[data-extensions=loaded]", timeout=READY_MS)

    def visit_tabs(self) -> list[str]:
        """Open every tab once; return their titles."""
        buttons = self.page.locator("#tabs > .tab-wrapper button[role=tab]")
        names = [buttons.nth(place).get_attribute("data-tab-id") or "" for place in range(buttons.count())]
        for name in names:
            self.open_tab(name)
            self.page.wait_for_timeout(150)
        self.open_tab("txt2img")
        return [name for name in names if name]

    def open_tab(self, name: str) -> None:
        selector = f"#tabs > .tab-wrapper button[role=tab][data-tab-id='{name}']"
        self.page.evaluate("selector => document.querySelector(selector)?.click()", selector)

    def run_job(self) -> str:
        """Press Generate and wait for the job's end; return "" or what is wrong."""
        before = self.page.evaluate("window.easel.live.job?.id ?? null")
        self.page.locator(f"#{self.place}_generate").click()
        with contextlib.suppress(TimeoutError):
            self.page.wait_for_function(
                "before => window.easel.live.job && window.easel.live.job.id !== before", arg=before, timeout=BEGIN_MS
            )
        if self.page.evaluate("window.easel.live.job?.id ?? null") == before:
            return f"no job began: {self.page.locator(f'#{self.place}_message').inner_text()}"
        self.page.wait_for_function("document.documentElement.dataset.job === 'idle'", timeout=JOB_MS)
        job: dict[str, Any] = self.page.evaluate("window.easel.live.job")
        return "" if job["state"] == "finished" else f"job {job['state']}: {job.get('error')}"

    def number(self, field: str, value: object) -> None:
        """Set a number of the form; extensions may have fields with the same id on tabs of theirs."""
        self.page.locator(f"#tab_{self.place} #{self.place}_{field} input[type=number]").first.fill(str(value))

    def fix_seed(self) -> None:
        """Have all runs from now on begin with the same noise."""
        self.page.evaluate("place => window.easel.pages[place].form.set({seed: '5'})", self.place)
        self.page.wait_for_function("place => window.easel.pages[place].form.values.seed === '5'", arg=self.place)

    def pixels(self) -> bytes:
        """Return the pixels of the newest picture that the tab shows; none when the newest job has made none."""
        if self.page.evaluate("window.easel.live.job?.state") != "finished":
            return b""
        script = "place => window.easel.pages[place].gallery.job.images[0].url"
        self.page.wait_for_function(
            "place => window.easel.pages[place].gallery.job?.id === window.easel.live.job?.id", arg=self.place,
        )  # fmt: skip
        answer = httpx.get(f"{self.url}{self.page.evaluate(script, self.place)}", timeout=30)
        return Image.open(io.BytesIO(answer.content)).convert("RGB").tobytes()

    def scripts(self) -> list[str]:
        """Return the titles of selectable scripts that are not ours."""
        found: list[str] = self.page.evaluate(
            "tab => Object.entries(JSON.parse(document.getElementById('easel-facts').textContent).scripts[tab])"
            ".filter(([name]) => name.startsWith('foreign_')).map(([, title]) => title)", self.place,
        )  # fmt: skip
        return found

    def choose_script(self, title: str) -> None:
        self.page.locator(f"#{self.place}_script_list input").click()
        self.page.locator(f"[role=option][aria-label={title!r}]").first.click()

    def switch_on(self) -> list[str]:
        """Check what switches each foreign section on; return the labels of what was checked."""
        switched = []
        groups = self.page.locator(f"#{self.place}_script_container .easel-foreign-script")
        for place in range(groups.count()):
            label = _switch_on(groups.nth(place))
            if label is not None:
                switched.append(label)
        return switched

    def _hear(self, message: ConsoleMessage) -> None:
        where = message.location.get("url", "")
        elsewhere = where.startswith("http") and not where.startswith(self.url)
        if message.type == "error" and not elsewhere and not any(word in message.text for word in QUIET):
            told = [str(each) for each in message.args[1:]]
            self.console.append(" ".join([message.text, *told, f"({where.partition('?')[0][len(self.url) :]})"])[:600])


def _switch_on(group: Locator) -> str | None:
    """Check the first checkbox whose words say that it switches on, else none."""
    boxes = group.locator("input[type=checkbox]")
    for place in range(boxes.count()):
        box = boxes.nth(place)
        words = _words_at(box)
        own = "input-accordion-checkbox" in (box.get_attribute("class") or "")
        if not own and not any(words.startswith(word) for word in SWITCH_WORDS):
            continue
        if not box.evaluate("box => box.checked"):
            box.evaluate("box => box.click()")
        return words
    return None


def _words_at(box: Locator) -> str:
    text = box.evaluate("box => box.closest('label, .label-wrap, button')?.textContent ?? ''")
    return str(text).strip().lower()


def _place(stack: str | None) -> str:
    lines = [line.strip() for line in (stack or "").splitlines() if "http" in line]
    return lines[0] if lines else ""


@contextlib.contextmanager
def chromium(three_dimensions: bool = True) -> Iterator[Browser]:
    """Start a browser. Some extensions draw in three dimensions, which slows all pages down without a GPU."""
    with sync_playwright() as playwright:
        arguments = [each for each in CHROMIUM_ARGUMENTS if "MAP" not in each]
        if three_dimensions:
            arguments.remove("--disable-gpu")
            arguments += ["--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
        arguments.append("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost")
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=arguments)
        try:
            yield browser
        finally:
            browser.close()


def picture(folder: Path) -> Path:
    """Return a small picture for img2img."""
    path = folder / "picture.png"
    if not path.is_file():
        Image.radial_gradient("L").resize((64, 64)).convert("RGB").save(path)
    return path

from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request, expect, sync_playwright

from tests.browser.driver import CHROMIUM_ARGUMENTS, PATIENCE_MS, Easel, Server, find_chromium, running

LOOPBACK = {"127.0.0.1", "localhost"}
NewPage = Callable[..., Easel]
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    executable = find_chromium()
    if executable is None:
        pytest.skip("no Chromium: set EASEL_CHROMIUM or install Debian's `chromium`")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=executable, args=CHROMIUM_ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Server]:
    with running(Server(tmp_path_factory.mktemp("server"))) as started:
        yield started


class Watch:
    """Collects what must not happen on any page: script errors, failed requests, requests to anywhere else."""

    def __init__(self) -> None:
        self._problems: list[str] = []
        self._forgiven: list[str] = []

    def forgive(self, text: str) -> None:
        """Let problems pass that hold `text`, since the test brings them about on purpose."""
        self._forgiven.append(text)

    def problems(self) -> list[str]:
        return [problem for problem in self._problems if not any(text in problem for text in self._forgiven)]

    def follow(self, context: BrowserContext) -> None:
        context.on("request", self._note_request)
        context.on("page", self._follow_page)

    def _follow_page(self, page: Page) -> None:
        page.on("pageerror", lambda error: self._problems.append(f"script error: {error}"))
        page.on("console", lambda said: said.type == "error" and self._problems.append(f"console: {said.text}"))
        page.on("dialog", lambda dialog: (self._problems.append(f"dialog: {dialog.message}"), dialog.dismiss()))

    def _note_request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.hostname not in LOOPBACK:
            self._problems.append(f"request to {request.url}")


@pytest.fixture
def watch() -> Iterator[Watch]:
    watch = Watch()
    yield watch
    assert not watch.problems()


@pytest.fixture
def new_context(browser: Browser, watch: Watch) -> Iterator[Callable[..., BrowserContext]]:
    contexts: list[BrowserContext] = []

    def make(width: int = 1280, height: int = 900, scheme: str = "light") -> BrowserContext:
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, locale="en-US", reduced_motion="reduce"
        )
        context.set_default_timeout(PATIENCE_MS)
        watch.follow(context)
        contexts.append(context)
        return context

    yield make
    for context in contexts:
        context.close()


@pytest.fixture
def new_page(new_context: Callable[..., BrowserContext], server: Server) -> Iterator[NewPage]:
    """A function that opens the page in a browser of its own; at the end every job is let go."""

    def make(context: BrowserContext | None = None, **wishes: object) -> Easel:
        return Easel((context or new_context(**wishes)).new_page(), server.url).open()

    yield make
    server.settle()

from collections.abc import Callable, Iterator
from typing import Any, Literal
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

    def leave(self, context: BrowserContext) -> None:
        context.remove_listener("request", self._note_request)
        context.remove_listener("page", self._follow_page)

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


@pytest.fixture(scope="session")
def warm(browser: Browser) -> Iterator[BrowserContext]:
    """One context for many tests, in which the page's scripts are fetched and compiled once."""
    context = browser.new_context(**look())
    yield context
    context.close()


def look(width: int = 1280, height: int = 900, scheme: Literal["light", "dark"] = "light") -> dict[str, Any]:
    return {
        "viewport": {"width": width, "height": height}, "color_scheme": scheme, "locale": "en-US",
        "reduced_motion": "reduce",
    }


def forget(context: BrowserContext) -> None:
    """Close a context's pages and empty it of everything but the cache."""
    origins = {"{0.scheme}://{0.netloc}".format(urlsplit(page.url)) for page in context.pages}
    for page in context.pages:
        page.close()
    context.clear_cookies()
    page = context.new_page()
    wire = context.new_cdp_session(page)
    for origin in origins:
        wire.send("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": "all"})
    page.close()


@pytest.fixture
def new_context(
    browser: Browser, watch: Watch, request: pytest.FixtureRequest
) -> Iterator[Callable[..., BrowserContext]]:
    """A function that makes a browser of its own; `warm` asks for the one whose cache is filled, once in a test."""
    contexts: list[BrowserContext] = []
    borrowed: list[BrowserContext] = []

    def make(warm: bool = False, **wishes: Any) -> BrowserContext:
        if warm and not wishes and not borrowed:
            context: BrowserContext = request.getfixturevalue("warm")
            borrowed.append(context)
        else:
            context = browser.new_context(**look(**wishes))
            contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        watch.follow(context)
        return context

    yield make
    for context in contexts:
        context.close()
    for context in borrowed:
        watch.leave(context)
        forget(context)


@pytest.fixture
def new_page(new_context: Callable[..., BrowserContext], server: Server) -> Iterator[NewPage]:
    """A function that opens the page in a browser of its own; at the end every job is let go."""

    def make(context: BrowserContext | None = None, **wishes: object) -> Easel:
        return Easel((context or new_context(warm=True, **wishes)).new_page(), server.url).open()

    yield make
    server.settle()

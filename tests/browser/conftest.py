from collections.abc import Callable, Iterator
from typing import Any, Literal
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Dialog, Page, Request, expect, sync_playwright

from tests.browser.driver import CHROMIUM_ARGUMENTS, PATIENCE_MS, Easel, Server, find_chromium, running

LOOPBACK = {"127.0.0.1", "localhost"}
NewPage = Callable[..., Easel]
NewContext = Callable[..., BrowserContext]
BlankPage = Callable[..., Page]
Scheme = Literal["light", "dark"]
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
        self._notes: dict[str, Callable[[Any], None]] = {
            "request": self._note_request,
            "weberror": lambda error: self._note(f"script error: {error.error}"),
            "console": lambda said: self._note(f"console: {said.text}") if said.type == "error" else None,
            "dialog": self._dismiss,
        }

    def forgive(self, text: str) -> None:
        """Let problems pass that hold `text`, since the test brings them about on purpose."""
        self._forgiven.append(text)

    def problems(self) -> list[str]:
        return [problem for problem in self._problems if not any(text in problem for text in self._forgiven)]

    def follow(self, context: BrowserContext) -> None:
        for event, note in self._notes.items():
            context.on(event, note)

    def leave(self, context: BrowserContext) -> None:
        for event, note in self._notes.items():
            context.remove_listener(event, note)

    def _note(self, problem: str) -> None:
        self._problems.append(problem)

    def _dismiss(self, dialog: Dialog) -> None:
        self._note(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _note_request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.hostname not in LOOPBACK:
            self._note(f"request to {request.url}")


@pytest.fixture
def watch() -> Iterator[Watch]:
    watch = Watch()
    yield watch
    assert not watch.problems()


class KeptPage:
    """One page for many tests.

    A page in a new process compiles all scripts again, which takes more time than most tests; one that goes to the
    same scripts again has them.
    """

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._context: BrowserContext | None = None
        self._page: Page | None = None

    def lend(self, width: int = 1280, height: int = 900, scheme: Scheme = "light") -> Page:
        """Return the page, which is as good as new."""
        if self._context is None:
            self._context = self._browser.new_context(**look())
        if self._page is None or self._page.is_closed():
            self._page = self._context.new_page()
        self._page.set_viewport_size({"width": width, "height": height})
        self._page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        return self._page

    def forget(self) -> None:
        """Empty the page and what its browser remembers of the places where its pages were."""
        assert self._context is not None
        assert self._page is not None
        origins = set()
        for page in self._context.pages:
            origins.add("{0.scheme}://{0.netloc}".format(urlsplit(page.url)))
            if page is not self._page:
                page.close()
        if self._page.is_closed():
            self._page = self._context.new_page()
        else:
            self._page.unroute_all(behavior="ignoreErrors")
            self._page.evaluate("() => origin === 'null' || sessionStorage.clear()")
            self._page.goto("about:blank")
        wire = self._context.new_cdp_session(self._page)
        for origin in origins:
            wire.send("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": "local_storage,indexeddb"})
        wire.detach()
        self._context.clear_cookies()
        self._context.clear_permissions()


@pytest.fixture(scope="session")
def kept_page(browser: Browser) -> KeptPage:
    return KeptPage(browser)


def look(width: int = 1280, height: int = 900, scheme: Scheme = "light") -> dict[str, Any]:
    return {
        "viewport": {"width": width, "height": height}, "color_scheme": scheme, "locale": "en-US",
        "reduced_motion": "reduce",
    }  # fmt: skip


@pytest.fixture
def new_context(browser: Browser, watch: Watch) -> Iterator[NewContext]:
    """A function that makes a browser of its own."""
    contexts: list[BrowserContext] = []

    def make(**wishes: Any) -> BrowserContext:
        context = browser.new_context(**look(**wishes))
        context.set_default_timeout(PATIENCE_MS)
        watch.follow(context)
        contexts.append(context)
        return context

    yield make
    for context in contexts:
        context.close()


@pytest.fixture
def blank_page(kept_page: KeptPage, new_context: NewContext, watch: Watch) -> Iterator[BlankPage]:
    """A function that returns an empty page: first the kept one, then each in a browser of its own."""
    lent: list[Page] = []

    def make(**wishes: Any) -> Page:
        if lent:
            return new_context(**wishes).new_page()
        page = kept_page.lend(**wishes)
        page.context.set_default_timeout(PATIENCE_MS)
        watch.follow(page.context)
        lent.append(page)
        return page

    yield make
    if lent:
        watch.leave(lent[0].context)
        kept_page.forget()


@pytest.fixture
def new_page(blank_page: BlankPage, server: Server) -> Iterator[NewPage]:
    """A function that opens the page in a browser of its own; at the end every job is let go."""

    def make(context: BrowserContext | None = None, **wishes: object) -> Easel:
        page = context.new_page() if context else blank_page(**wishes)
        return Easel(page, server.url).open()

    yield make
    server.settle()

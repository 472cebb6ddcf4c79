from collections.abc import Callable, Iterator
from typing import Any, Literal
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Dialog, Page, Request, expect, sync_playwright

from tests.browser.board import scripts_served
from tests.browser.driver import CHROMIUM_ARGUMENTS, PATIENCE_MS, Easel, Server, find_chromium, running

LOOPBACK = {"127.0.0.1", "localhost"}
NewPage = Callable[..., Easel]
NewContext = Callable[..., BrowserContext]
BlankPage = Callable[..., Page]
OpenPage = Callable[..., Easel]
Scheme = Literal["light", "dark"]
TIDY = """(roots) => {
    localStorage.clear();
    sessionStorage.clear();
    for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
    for (const note of document.querySelectorAll(".easel-note")) note.remove();
    document.querySelector("#tabs button[role=tab][data-tab-id=txt2img]").click();
    for (const root of roots) {
        const old = document.querySelector(root);
        old?.replaceWith(old.cloneNode(false));
    }
    scrollTo(0, 0);
}"""
"""Forgets what a page keeps, closes what is open, goes to the first tab, and has what is in `roots` built anew."""
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


@pytest.fixture(scope="session")
def scripts() -> Iterator[str]:
    """The address of our scripts, for a page that is not Gradio's."""
    with scripts_served() as url:
        yield url


class Watch:
    """Collects what must not happen on any page: script errors, failed requests, requests to anywhere else."""

    def __init__(self) -> None:
        self._problems: list[str] = []
        self._forgiven: list[str] = []
        self._notes: dict[str, Callable[[Any], None]] = {
            "request": self._note_request,
            "weberror": lambda error: self._note(f"script error: {error.error}"),
            "console": self._note_said,
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

    def _note_said(self, said: ConsoleMessage) -> None:
        if said.type == "error":
            self._note(f"console: {said.text} ({said.location.get('url', '')})")

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
        self._left_at = ""

    def lend(self, **wishes: Any) -> Page:
        """Return the page, which is as good as new."""
        self.forget_place()
        if self._context is None:
            self._context = self._browser.new_context(**look())
        if self._page is None or self._page.is_closed():
            self._page = self._context.new_page()
        return self._dress(self._page, **wishes)

    def leave_at(self, url: str) -> None:
        """Let the page be where it is, at `url`, for the next test that wants it there."""
        self._left_at = url

    def lend_again(self, url: str, **wishes: Any) -> Page | None:
        """Return the page where a test has left it, if it is at `url`, and nothing of what was around it."""
        if not url or self._left_at != url or self._page is None or self._page.is_closed():
            return None
        self._left_at = ""
        for page in self._page.context.pages:
            if page is not self._page:
                page.close()
        self._page.unroute_all(behavior="ignoreErrors")
        return self._dress(self._page, **wishes)

    @staticmethod
    def _dress(page: Page, width: int = 1280, height: int = 900, scheme: Scheme = "light") -> Page:
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        return page

    def forget_place(self) -> None:
        """Empty the page if a test has left it somewhere."""
        if self._left_at:
            self._left_at = ""
            self.forget()

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
            self._page.mouse.up()
            self._page.mouse.move(0, 0)
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
    """A function that returns an empty page: first the kept one, then each in a browser of its own.

    `instead`: the first one is not needed any more, and is as good as another browser when it has forgotten all.
    """
    lent: list[Page] = []

    def make(instead: bool = False, **wishes: Any) -> Page:
        if lent and instead:
            kept_page.forget()
            return kept_page.lend(**wishes)
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
def settled(server: Server) -> Iterator[None]:
    """Lets every job go at the end."""
    yield
    server.settle()


@pytest.fixture
def new_page(settled: None, blank_page: BlankPage, server: Server) -> NewPage:
    """A function that opens the page in a browser of its own.

    Jobs are let go when no page is there any more that may still want their pictures.
    """

    def make(url: str = server.url, **wishes: object) -> Easel:
        return Easel(blank_page(**wishes), url).open()

    return make


@pytest.fixture(scope="module")
def place_of_module(kept_page: KeptPage) -> Iterator[None]:
    """Has the kept page leave a server before the server of a module ends."""
    yield
    kept_page.forget_place()


@pytest.fixture
def open_page(
    kept_page: KeptPage, place_of_module: None, watch: Watch, request: pytest.FixtureRequest
) -> Iterator[OpenPage]:
    """A function that returns a server's page as a test before this one has left it, but tidied up, or else opens it.

    That takes a tenth of the time of a new page. What the test before has put into fields is still there, only what
    is in `roots` is built anew. `fresh` opens it in any case. A test that fails leaves nothing to the next.
    """
    failed = request.session.testsfailed
    lent: list[Easel] = []

    def make(server: Server, *roots: str, fresh: bool = False, **wishes: Any) -> Easel:
        left = None if fresh else kept_page.lend_again(server.url, **wishes)
        easel = Easel(left or kept_page.lend(**wishes), server.url)
        lent.append(easel)
        easel.page.context.set_default_timeout(PATIENCE_MS)
        watch.follow(easel.page.context)
        if left is None:
            return easel.open()
        easel.page.evaluate(TIDY, list(roots))
        easel.wait_ready()
        return easel

    yield make
    for easel in lent:
        watch.leave(easel.page.context)
        if request.session.testsfailed > failed or watch.problems():
            kept_page.forget()
        else:
            kept_page.leave_at(easel.url)

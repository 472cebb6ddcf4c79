"""Many tabs, a network that is cut, and a server that restarts."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import NewPage, Watch
from tests.browser.driver import STEPS, Cable, Easel, Server

pytestmark = pytest.mark.browser
TABS = 7


def forgive_lost_connections(watch: Watch) -> None:
    """The browser itself reports each attempt to connect in vain."""
    for text in ("WebSocket connection", "net::ERR_"):
        watch.forgive(text)


def one_more(tab: Easel) -> Easel:
    """Open the page in another tab, as a link does: in the same process, which has compiled the scripts."""
    with tab.page.expect_popup() as opened:
        tab.page.evaluate("void window.open(location.href)")
    popup = Easel(opened.value, tab.url)
    popup.wait_ready()
    return popup


def test_seven_tabs_of_one_browser_all_work(new_page: NewPage, server: Server) -> None:
    first = new_page()
    tabs = [first, *(one_more(first) for _ in range(TABS - 1))]
    tabs[-1].prepare("seven")
    tabs[-1].generate()
    server.let_pass(range(1, 3))
    for tab in tabs:
        tab.wait_progress(f"Step 2/{STEPS}")
    server.open_gate()
    for tab in tabs:
        tab.wait_infotext("seven")


def test_a_cut_network_mends_itself_and_loses_nothing(new_page: NewPage, server: Server, watch: Watch) -> None:
    forgive_lost_connections(watch)
    cable = Cable(server.port)
    easel = new_page(f"http://127.0.0.1:{cable.port}")
    easel.prepare("before the cut")
    easel.generate()
    easel.wait_running()
    easel.prompt("written while it ran")
    easel.page.evaluate("window.sameDocument = true")
    cable.cut()
    expect(easel.page.locator("html[data-live=lost]")).to_have_count(1)
    expect(easel.page.locator(".easel-status-text")).to_have_text("Connecting…")
    server.let_pass(range(1, 4))
    cable.mend()
    expect(easel.page.locator("html[data-live=connected]")).to_have_count(1)
    easel.wait_progress(f"Step 3/{STEPS}")
    server.open_gate()
    easel.wait_infotext("before the cut")
    assert easel.page.evaluate("window.sameDocument") is True, "the page was not loaded again"
    assert easel.value("prompt") == "written while it ran"
    cable.close()


def test_a_restarted_server_finds_its_page_again(new_page: NewPage, server: Server, watch: Watch) -> None:
    forgive_lost_connections(watch)
    easel = new_page()
    easel.prepare("over the restart")
    easel.generate()
    server.let_pass(range(1, 3))
    easel.wait_progress(f"Step 2/{STEPS}")
    server.stop()
    expect(easel.page.locator("html[data-live=lost]")).to_have_count(1)
    server.start()
    expect(easel.page.locator("html[data-live=connected]")).to_have_count(1)
    server.open_gate()
    easel.wait_infotext("over the restart")
    assert easel.value("prompt") == "over the restart"

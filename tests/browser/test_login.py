"""Signing in and out in a browser."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import BrowserContext, expect

from tests.browser.conftest import Watch
from tests.browser.driver import Easel, Server, running

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory, browser: object) -> Iterator[Server]:
    with running(Server(tmp_path_factory.mktemp("locked"), credentials="ada:secret words")) as server:
        yield server


def test_a_stranger_signs_in_makes_a_picture_and_signs_out(
    locked: Server, new_context: Callable[..., BrowserContext], watch: Watch
) -> None:
    watch.forgive("401")
    page = new_context().new_page()
    page.goto(locked.url)
    expect(page).to_have_title("Sign in · Easel")
    page.get_by_label("User name").fill("ada")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_have_text("The user name or the password is wrong.")
    page.get_by_label("User name").fill("ada")
    page.get_by_label("Password").fill("secret words")
    page.get_by_role("button", name="Sign in").click()
    easel = Easel(page, locked.url)
    easel.wait_ready()
    locked.open_gate()
    easel.prepare("signed in")
    easel.generate()
    easel.wait_infotext("signed in")
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_title("Sign in · Easel")
    page.goto(locked.url)
    expect(page).to_have_title("Sign in · Easel")

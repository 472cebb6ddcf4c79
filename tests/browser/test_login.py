"""Signing in and out in a browser, and what only the first user sees."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import BrowserContext, expect

from tests.browser.conftest import Watch
from tests.browser.driver import Easel, Server, running

pytestmark = pytest.mark.browser
USERS = "ada:secret words,ben:secret-b"


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory, browser: object) -> Iterator[Server]:
    with running(Server(tmp_path_factory.mktemp("locked"), credentials=USERS)) as server:
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


@pytest.mark.parametrize(("user", "password", "seen"), [("ben", "secret-b", False), ("ada", "secret words", True)])
def test_who_is_no_admin_sees_no_tab_that_is_for_admins(
    locked: Server, new_context: Callable[..., BrowserContext], watch: Watch, user: str, password: str, seen: bool
) -> None:
    # What the sign-in page asks for besides itself.
    watch.forgive("401")
    page = new_context().new_page()
    page.goto(locked.url)
    page.locator("input[name=username]").fill(user)
    page.locator("input[name=password]").fill(password)
    page.locator("form button").click()
    Easel(page, locked.url).wait_ready()
    for name in ("models", "modelmerger", "extensions"):
        expect(page.locator(f"#tabs button[role=tab][data-tab-id={name}]")).to_be_visible(visible=seen)

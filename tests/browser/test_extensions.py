"""The Extensions tab as an admin uses it: installing, updating, rolling back, switching, errors, backups, trash."""

import json
import re
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import BlankPage, OpenPage, Watch
from tests.browser.driver import SERVE, Easel, Server, running
from tests.plugins.conftest import Repository, repository

pytestmark = pytest.mark.browser
BROKEN = "def load():\n    raise RuntimeError('it is broken')\n\n\nload()\n"


@dataclass
class ExtensionServer(Server):
    """A server with a broken extension; see serve_extensions.py."""

    @property
    def source(self) -> Repository:
        return Repository(self.folder / "remotes" / "sd-webui-thing")


def served(folder: Path) -> ExtensionServer:
    (folder / "extensions" / "broken").mkdir(parents=True)
    (folder / "extensions" / "broken" / "easel_plugin.py").write_text(BROKEN)
    repository(folder / "remotes" / "sd-webui-thing")
    return ExtensionServer(folder, serve=SERVE.with_name("serve_extensions.py"))


@pytest.fixture(scope="module")
def server_of_all(tmp_path_factory: pytest.TempPathFactory, browser: object) -> Iterator[ExtensionServer]:
    with running(served(tmp_path_factory.mktemp("extensions"))) as server:
        yield server


@pytest.fixture
def extensions(server_of_all: ExtensionServer) -> ExtensionServer:
    """The server as it was in the beginning: one extension, which is broken and on."""
    folder = server_of_all.folder
    for place in (folder / "extensions").iterdir():
        if place.name != "broken":
            shutil.rmtree(place)
    for place in (folder / "outputs" / ".easel" / "trash", folder / "config_states"):
        shutil.rmtree(place, ignore_errors=True)
    body = json.dumps({"on": {"broken": True}}).encode()
    address = f"{server_of_all.url}/easel/extensions/switch"
    urlopen(Request(address, body, {"content-type": "application/json"})).close()
    return server_of_all


@pytest.fixture
def page(extensions: ExtensionServer, open_page: OpenPage) -> Page:
    return with_list(open_page(extensions, "#easel_extensions").page)


def opened(page: Page, server: Server) -> Page:
    return with_list(Easel(page, server.url).open().page)


def with_list(page: Page) -> Page:
    page.locator("#tabs button[role=tab][data-tab-id=extensions]").click()
    expect(page.locator(".easel-extension").first).to_be_visible()
    return page


def section(page: Page, name: str) -> None:
    page.locator(f"#easel_extensions_{name}_tab").click()


def card(page: Page, name: str) -> Locator:
    return page.locator(f'[data-extension="{name}"]')


def install(page: Page, server: ExtensionServer) -> Locator:
    section(page, "install")
    page.locator("#install_url").fill(server.source.address)
    page.get_by_role("button", name="Install", exact=True).click()
    section(page, "installed")
    expect(card(page, "sd-webui-thing")).to_be_visible()
    return card(page, "sd-webui-thing")


def agree(page: Page) -> None:
    page.locator(".easel-ask [data-answer=yes]").click()


def test_an_extension_comes_is_updated_and_goes_back_to_an_older_commit(
    page: Page, extensions: ExtensionServer
) -> None:
    thing = install(page, extensions)
    first = extensions.source.git("rev-parse", "HEAD")
    expect(thing).to_contain_text(f"main · {first[:8]}")
    expect(thing).to_contain_text("after restart")
    second = extensions.source.commit("works better", {"scripts/one.py": "ONE = 2\n"})
    page.locator("#easel_extensions_check").click()
    expect(thing).to_contain_text("1 new commit")
    thing.locator("summary", has_text="Details").click()
    expect(thing).to_contain_text("works better")
    thing.locator("[data-action=update]").click()
    # The commit alone stands in the list of new ones already.
    expect(thing).to_contain_text(f"main · {second[:8]}")
    thing.locator("[data-action=history]").click()
    page.locator(".easel-extension-commits li", has_text=first[:8]).get_by_role("button").click()
    expect(thing).to_contain_text(f"main · {first[:8]}")
    thing.locator("[data-action=log]").click()
    expect(page.locator(".easel-extension-log pre")).to_contain_text("HEAD is now at")
    page.keyboard.press("Escape")


def test_what_is_refused_is_set_up_without_that_when_asked(
    page: Page, extensions: ExtensionServer, watch: Watch
) -> None:
    extensions.source.commit("asks for an old torch", {"requirements.txt": "torch==0.1\n"})
    section(page, "install")
    page.locator("#install_url").fill(extensions.source.address)
    page.get_by_role("button", name="Install", exact=True).click()
    section(page, "installed")
    thing = card(page, "sd-webui-thing")
    expect(thing).to_contain_text(re.compile(r"It wants torch==0\.1, but Easel needs torch==[\d.]+"))
    expect(thing.get_by_role("switch")).not_to_be_checked()
    thing.locator("[data-action=lenient]").click()
    expect(thing.get_by_role("switch")).to_be_checked()
    expect(thing.locator("[data-action=lenient]")).to_have_count(0)
    thing.locator("summary", has_text="Details").click()
    thing.locator("[data-action=log]").click()
    expect(page.locator(".easel-extension-log pre")).to_contain_text("torch==0.1 is left out: torch stays")
    page.keyboard.press("Escape")


def test_a_wrong_address_is_told_at_its_field(page: Page, watch: Watch) -> None:
    watch.forgive("422")
    section(page, "install")
    page.locator("#install_url").fill("http://host/a/b")
    page.get_by_role("button", name="Install", exact=True).click()
    expect(page.locator("[data-field=url] .easel-error-text")).to_contain_text("allowed is an address such as https://")


def test_a_zip_is_installed_and_removed_to_the_trash_and_put_back(page: Page, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "zipped.zip", "w") as archive:
        archive.writestr("zipped-main/scripts/a.py", "A = 1")
    section(page, "install")
    page.locator("#install_file").set_input_files(tmp_path / "zipped.zip")
    page.get_by_role("button", name="Install zip").click()
    section(page, "installed")
    zipped = card(page, "zipped")
    zipped.locator("summary", has_text="Details").click()
    zipped.locator("[data-action=remove]").click()
    agree(page)
    expect(zipped).to_have_count(0)
    page.locator(".easel-extension-trash [data-action=put-back]").click()
    expect(zipped).to_be_visible()


def test_a_broken_extension_shows_its_trace_and_can_be_switched_off(page: Page) -> None:
    broken = card(page, "broken")
    expect(broken).to_contain_text("1 error")
    broken.locator("summary", has_text="Details").click()
    error = broken.locator(".easel-extension-error")
    expect(error).to_contain_text("import RuntimeError: it is broken")
    error.locator("summary").click()
    expect(error.locator("pre")).to_contain_text("in load")
    broken.get_by_role("switch").uncheck()
    expect(broken).to_contain_text("It is switched off.")
    expect(page.locator(".easel-extension-banner")).to_contain_text("broken: the change acts after a restart")
    page.reload()
    page.locator("#tabs button[role=tab][data-tab-id=extensions]").click()
    expect(card(page, "broken").get_by_role("switch")).not_to_be_checked()


def test_a_list_is_loaded_from_a_file_searched_and_installed_from(
    page: Page, extensions: ExtensionServer, tmp_path: Path
) -> None:
    entries = [
        {"name": "Thing", "url": extensions.source.address, "description": "does things", "tags": ["tab"], "stars": 5},
        {"name": "Shop", "url": "https://host/a/shop", "description": "sells things", "tags": ["ads"]},
        {"name": "Other", "url": "https://host/a/other", "description": "<b>else</b>", "tags": ["tab"], "stars": 9},
    ]
    (tmp_path / "index.json").write_text(json.dumps({"tags": {"tab": "adds a tab"}, "extensions": entries}))
    section(page, "available")
    page.locator("#available_file").set_input_files(tmp_path / "index.json")
    cards = page.locator("[data-available]")
    expect(cards).to_have_count(2)
    expect(cards.last).to_contain_text("<b>else</b>")
    page.get_by_label("ads", exact=True).uncheck()
    expect(cards).to_have_count(3)
    page.locator("#available_order").select_option("stars")
    expect(cards.first).to_contain_text("Other")
    page.locator("#available_search").fill("does")
    expect(cards).to_have_count(1)
    cards.get_by_role("button", name="Install").click()
    section(page, "installed")
    expect(card(page, "sd-webui-thing")).to_be_visible()
    section(page, "available")
    # Those that are installed are hidden by their tag.
    expect(cards).to_have_count(0)


def test_a_backup_brings_the_switches_back(page: Page) -> None:
    section(page, "backups")
    page.locator("#backup_name").fill("Before")
    page.locator("#backup_save").click()
    expect(page.locator("[data-backup]")).to_contain_text("broken")
    section(page, "installed")
    card(page, "broken").get_by_role("switch").uncheck()
    expect(card(page, "broken")).to_contain_text("It is switched off.")
    section(page, "backups")
    page.locator("[data-backup] [data-action=restore]").click()
    agree(page)
    section(page, "installed")
    expect(card(page, "broken").get_by_role("switch")).to_be_checked()


def test_plugins_change_places_in_the_order_of_calls(page: Page) -> None:
    page.locator("#easel_extensions_order summary").click()
    places = page.locator("#easel_extensions_order [data-plugin]")
    before = places.evaluate_all("(rows) => rows.map((row) => row.dataset.plugin)")
    expect(places.first.get_by_role("button", name="earlier")).to_be_disabled()
    places.first.get_by_role("button", name="later").click()
    expect(places.first).to_have_attribute("data-plugin", before[1])
    expect(places.nth(1)).to_have_attribute("data-plugin", before[0])
    places.nth(1).get_by_role("button", name="earlier").click()
    expect(places.first).to_have_attribute("data-plugin", before[0])


def test_nothing_reaches_beyond_a_phone_s_screen(blank_page: BlankPage, extensions: ExtensionServer) -> None:
    page = opened(blank_page(width=390, height=844), extensions)
    card(page, "broken").locator("summary", has_text="Details").click()
    card(page, "broken").locator(".easel-extension-error summary").click()
    for name in ("installed", "available", "install", "backups"):
        section(page, name)
        expect(page.locator(f"#easel_extensions_{name}_tab")).to_have_attribute("aria-selected", "true")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name

"""Downloads and merges as a user makes them: the Models tab, the Checkpoint Merger, and the ring in the status line."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from safetensors.torch import save_file

from tests.browser.conftest import BlankPage, OpenPage, Watch
from tests.browser.driver import PATIENCE_MS, SERVE, Easel, Server, running
from tests.library.test_merging import tensors_of

pytestmark = pytest.mark.browser


@dataclass
class ModelServer(Server):
    """A server with two checkpoints and a hub; see serve_models.py."""

    def go(self) -> None:
        """Let the slow file come."""
        (self.folder / "go").touch()

    def hold(self) -> None:
        (self.folder / "go").unlink(missing_ok=True)

    @property
    def models(self) -> Path:
        return self.folder / "models"


def served(folder: Path) -> ModelServer:
    checkpoints = folder / "models" / "Stable-diffusion"
    checkpoints.mkdir(parents=True)
    for number, name in enumerate(("first", "second", "third")):
        save_file(tensors_of(number), checkpoints / f"{name}.safetensors", {"author": name})
    return ModelServer(folder, serve=SERVE.with_name("serve_models.py"))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, browser: object) -> Iterator[ModelServer]:
    with running(served(tmp_path_factory.mktemp("models"))) as server:
        yield server


@pytest.fixture
def page(models: ModelServer, open_page: OpenPage) -> Page:
    return open_page(models, "#easel_models", "#easel_merger").page


def opened(page: Page, server: Server) -> Page:
    return Easel(page, server.url).open().page


def tab(page: Page, name: str) -> None:
    page.locator(f"#tabs button[role=tab][data-tab-id={name}]").click()


def choose(page: Page, which: str, name: str) -> None:
    select = page.locator(f"#modelmerger_{which}_model_name")
    option = select.locator("option", has_text=re.compile(rf"^{name}\.safetensors"))
    expect(option).to_have_count(1, timeout=PATIENCE_MS)
    select.select_option(option.get_attribute("value"))


def look_up(page: Page) -> None:
    tab(page, "models")
    page.locator("#download_link").fill("me/models")
    page.locator("#download_look").click()
    expect(page.locator(".easel-candidate")).to_have_count(3)


def download(page: Page, name: str) -> None:
    look_up(page)
    page.locator(".easel-candidate", has_text=name).click()
    page.locator("#download_start").click()
    expect(page.locator("#download_start")).to_be_hidden()


def test_a_repository_is_looked_up_and_a_file_of_it_arrives(page: Page, models: ModelServer) -> None:
    look_up(page)
    expect(page.locator("#download_kind")).to_have_value("lora")
    expect(page.locator("#easel_models")).to_contain_text("Into models/Lora")
    page.locator("#download_start").click()
    done = page.locator("#easel_models .easel-task[data-state=finished]", has_text="watercolour")
    expect(done).to_contain_text("from Hugging Face")
    expect(page.locator(".easel-note", has_text="watercolour-lora.safetensors is ready")).to_be_visible()
    assert (models.models / "Lora" / "watercolour-lora.safetensors").is_file()
    done.locator("[data-action=dismiss]").click()
    expect(page.locator("#easel_models .easel-task", has_text="watercolour")).to_have_count(0)


def test_a_pickle_wants_to_be_allowed(page: Page, watch: Watch) -> None:
    watch.forgive("422")
    look_up(page)
    page.locator(".easel-candidate", has_text="embedding.pt").click()
    page.locator("#download_kind").select_option("embedding")
    page.locator("#download_start").click()
    row = page.locator("[data-field=allow_pickle]")
    expect(row.locator(".easel-error-text")).to_contain_text("program")
    expect(row.locator("input")).to_have_attribute("aria-invalid", "true")


def test_a_running_download_is_seen_from_every_tab_and_can_be_cancelled_and_gone_on_with(
    page: Page, models: ModelServer
) -> None:
    models.hold()
    download(page, "slow")
    tab(page, "txt2img")
    ring = page.locator(".easel-ring-button")
    expect(ring).to_contain_text("33 %")
    ring.click()
    panel = page.locator("#easel_task_panel")
    expect(panel.locator(".easel-task", has_text="slow")).to_contain_text("of 6 MB")
    panel.locator("[data-action=cancel]").click()
    expect(ring).to_be_hidden()
    tab(page, "queue")
    stopped = page.locator("#easel_queue_tasks .easel-task[data-state=cancelled]", has_text="slow")
    expect(stopped).to_be_visible()
    part = models.models / "Stable-diffusion" / "slow.safetensors.part"
    assert part.is_file()
    models.go()
    stopped.locator("[data-action=retry]").click()
    expect(page.locator("#easel_queue_tasks .easel-task[data-state=finished]", has_text="slow")).to_be_visible()
    assert not part.exists()
    assert part.with_suffix("").is_file()


def test_a_reload_shows_the_running_tasks_again(page: Page, models: ModelServer) -> None:
    tab(page, "modelmerger")
    choose(page, "primary", "first")
    choose(page, "secondary", "second")
    page.locator("#modelmerger_custom_name").fill("kept")
    page.locator("#modelmerger_merge").click()
    expect(page.locator("#easel_merger .easel-task[data-state=finished]", has_text="kept")).to_be_visible()
    page.reload()
    tab(page, "modelmerger")
    expect(page.locator("#easel_merger .easel-task[data-state=finished]", has_text="kept")).to_be_visible()


def test_a_merge_says_what_it_will_be_called_and_is_in_the_list_then(page: Page, models: ModelServer) -> None:
    tab(page, "modelmerger")
    result = page.locator("#modelmerger_result")
    expect(result).to_contain_text("Choose the models first")
    choose(page, "primary", "first")
    choose(page, "secondary", "third")
    expect(result).to_contain_text("0.7(first) + 0.3(third).safetensors")
    page.locator("#modelmerger_interp_amount").fill("0.5")
    expect(result).to_contain_text("0.5(first) + 0.5(third).safetensors")
    page.locator("#modelmerger_merge").click()
    expect(page.locator(".easel-note", has_text="0.5(first) + 0.5(third).safetensors is ready")).to_be_visible()
    assert (models.models / "Stable-diffusion" / "0.5(first) + 0.5(third).safetensors").is_file()
    page.locator("#setting_sd_model_checkpoint input").click()
    expect(page.locator("[role=option]", has_text="0.5(first) + 0.5(third)")).to_be_visible()
    page.keyboard.press("Escape")


def test_the_method_decides_which_fields_there_are(page: Page) -> None:
    tab(page, "modelmerger")
    third, amount = page.locator("[data-field=tertiary]"), page.locator("[data-field=multiplier]")
    expect(third).to_be_hidden()
    page.locator(".easel-method", has_text="Add difference").click()
    expect(third).to_be_visible()
    page.locator(".easel-method", has_text="No interpolation").click()
    expect(amount).to_be_hidden()
    expect(page.locator("[data-field=secondary]")).to_be_hidden()


def test_a_wrong_field_says_what_is_allowed(page: Page) -> None:
    tab(page, "modelmerger")
    choose(page, "primary", "first")
    choose(page, "secondary", "second")
    page.locator("#modelmerger_discard_weights").fill("([")
    expect(page.locator("[data-field=discard] .easel-error-text")).to_contain_text("regular expression")
    page.locator("#modelmerger_discard_weights").fill("")
    expect(page.locator("[data-field=discard] .easel-error-text")).to_be_empty()


def test_metadata_of_the_models_are_read_into_the_editor(page: Page) -> None:
    tab(page, "modelmerger")
    choose(page, "primary", "first")
    choose(page, "secondary", "second")
    page.locator(".easel-merger summary", has_text="Metadata").click()
    page.locator("#modelmerger_read_metadata").click()
    expect(page.locator("#modelmerger_metadata_json")).to_have_value('{\n    "author": "second"\n}')


def test_a_token_is_set_and_forgotten_without_being_shown(page: Page) -> None:
    tab(page, "models")
    page.locator("#token_civitai").fill("abc123")
    form = page.locator(".easel-hub-token", has_text="Civitai")
    form.get_by_role("button", name="Save").click()
    expect(page.locator("#token_civitai")).to_have_attribute("placeholder", "Set. Enter another to replace it")
    expect(page.locator("#token_civitai")).to_have_value("")
    form.get_by_role("button", name="Forget").click()
    expect(page.locator("#token_civitai")).to_have_attribute("placeholder", "Not set")


@pytest.mark.parametrize("name", ["models", "modelmerger"])
def test_nothing_reaches_beyond_a_phone_s_screen(blank_page: BlankPage, models: ModelServer, name: str) -> None:
    page = opened(blank_page(width=390, height=844), models)
    tab(page, name)
    expect(page.locator("#download_link, #modelmerger_merge").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

"""The library tabs in a real browser: find, insert, look at, note, give a picture to and choose models."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Locator, expect

from tests.browser.conftest import NewPage, OpenPage, Watch
from tests.browser.driver import Easel, Server
from tests.browser.test_looks import overflow
from tests.library.test_network_files import network

pytestmark = pytest.mark.browser
STRANGE = "Cat (old) [v2], 🐈"
MANY = 1200
TAGS = json.dumps({"10_cats": {"whiskers": 30, "sofa": 4}})


@pytest.fixture(scope="module")
def models(server: Server) -> Path:
    """The models' folder with some LoRA files, embeddings and a second checkpoint."""
    models = server.folder / "models"
    loras = models / "Lora"
    network(loras / "pets" / f"{STRANGE}.safetensors", ss_tag_frequency=TAGS, ss_network_dim="8")
    (loras / "pets" / f"{STRANGE}.json").write_text(json.dumps({"description": "Purrs."}))
    network(loras / "style.safetensors", ss_base_model_version="sdxl_base_v1-0")
    notes = {"activation text": "oil style", "preferred weight": 0.6, "negative text": "photo"}
    (loras / "style.json").write_text(json.dumps(notes))
    Image.new("RGB", (80, 120), "teal").save(loras / "style.preview.png")
    network(server.folder / "embeddings" / "easynegative.safetensors")
    network(models / "VAE" / "good.safetensors")
    link_starter(models / "Stable-diffusion" / "second")
    for kind in ("checkpoint", "vae"):
        httpx.post(f"{server.url}/easel/library/{kind}/refresh")
    return models


def link_starter(place: Path) -> None:
    """Make a second checkpoint of the shipped one, which is itself never written to."""
    starter = Path(__file__).resolve().parents[2] / "models" / "Stable-diffusion" / "starter"
    place.mkdir()
    for part in starter.iterdir():
        (place / part.name).symlink_to(part)


@pytest.fixture
def easel(models: Path, server: Server, open_page: OpenPage) -> Iterator[Easel]:
    """A page with empty prompts, whose library is as it begins; other fields are as other tests have left them."""
    easel = open_page(server)
    easel.page.locator("#txt2img_generation_tab").click()
    easel.prompt("")
    easel.page.locator("#txt2img_neg_prompt textarea").fill("")
    yield easel
    server.settle()


@pytest.fixture
def untouched(models: Path, new_page: NewPage) -> Easel:
    """A page whose library the test may search and sort."""
    return new_page()


def open_tab(easel: Easel, tab: str) -> None:
    easel.page.locator(f"#txt2img_{tab}_tab").click()
    expect(easel.page.locator(f"#txt2img_{tab}_cards .easel-model-name").first).to_be_visible()


def card(easel: Easel, name: str) -> Locator:
    return easel.page.locator(".easel-model").filter(has=easel.page.get_by_text(name, exact=True))


def tool(easel: Easel, name: str, label: str) -> None:
    card(easel, name).hover()
    card(easel, name).get_by_role("button", name=f"{label}: {name}", exact=True).click()


def prompts(easel: Easel) -> tuple[str, str]:
    return easel.value("prompt"), easel.value("neg_prompt")


def test_the_tabs_are_a1111s_and_the_prompts_stay_above_them(easel: Easel) -> None:
    tabs = easel.page.locator(".easel-inner-tabs [role=tab]")
    assert tabs.all_text_contents() == [
        "Generation", "Textual Inversion", "Hypernetworks", "Checkpoints", "Lora", "VAE",
    ]  # fmt: skip
    open_tab(easel, "lora")
    expect(easel.page.locator("#txt2img_prompt textarea")).to_be_visible()
    expect(easel.page.locator("#txt2img_steps")).to_be_hidden()
    tabs.nth(4).press("ArrowRight")
    expect(easel.page.locator("#txt2img_vae_tab")).to_be_focused()
    easel.page.locator("#txt2img_generation_tab").click()
    expect(easel.page.locator("#txt2img_steps")).to_be_visible()


def test_a_click_inserts_a_lora_with_its_texts_and_another_one_takes_them_out(easel: Easel) -> None:
    easel.prompt("a cat, a dog")
    easel.page.locator("#txt2img_neg_prompt textarea").fill("ugly")
    open_tab(easel, "lora")
    card(easel, "style").locator(".easel-model-main").click()
    assert prompts(easel) == ("a cat, a dog <lora:style:0.6> oil style", "ugly, photo")
    easel.wait_form(prompt="a cat, a dog <lora:style:0.6> oil style", negative_prompt="ugly, photo")
    expect(card(easel, "style").locator(".easel-model-main")).to_have_attribute("aria-pressed", "true")
    card(easel, "style").locator(".easel-model-main").click()
    assert prompts(easel) == ("a cat, a dog", "ugly")
    expect(card(easel, "style").locator(".easel-model-main")).to_have_attribute("aria-pressed", "false")


def test_it_goes_in_at_the_cursor_by_keyboard_too_and_is_found_whatever_its_weight(easel: Easel) -> None:
    easel.prompt("one two")
    easel.page.locator("#txt2img_prompt textarea").evaluate("area => area.setSelectionRange(3, 3)")
    open_tab(easel, "lora")
    card(easel, STRANGE).locator(".easel-model-main").press("Enter")
    assert prompts(easel)[0] == f"one <lora:{STRANGE}:1> two"
    expect(card(easel, STRANGE).locator(".easel-model-main")).to_be_focused()
    easel.prompt(f"one <lora:{STRANGE.upper()}:0.35:0.5> two")
    card(easel, STRANGE).locator(".easel-model-main").press("Enter")
    assert prompts(easel)[0] == "one two"


def test_arrows_go_from_card_to_card(easel: Easel) -> None:
    open_tab(easel, "lora")
    first, second = (card(easel, name).locator(".easel-model-main") for name in (STRANGE, "style"))
    first.focus()
    first.press("ArrowRight")
    expect(second).to_be_focused()
    second.press("ArrowRight")
    expect(second).to_be_focused()
    second.press("ArrowLeft")
    expect(first).to_be_focused()


def test_an_embedding_goes_into_the_prompt_that_had_the_cursor_last(easel: Easel) -> None:
    easel.prompt("a cat")
    easel.page.locator("#txt2img_neg_prompt textarea").fill("bad hands")
    easel.page.locator("#txt2img_neg_prompt textarea").click()
    open_tab(easel, "textual_inversion")
    card(easel, "easynegative").locator(".easel-model-main").click()
    assert prompts(easel) == ("a cat", "bad hands, easynegative")
    easel.page.locator("#txt2img_prompt textarea").click()
    card(easel, "easynegative").locator(".easel-model-main").click()
    assert prompts(easel) == ("a cat, easynegative", "bad hands, easynegative")


def test_search_folders_and_order_narrow_the_cards(untouched: Easel) -> None:
    open_tab(untouched, "lora")
    names = untouched.page.locator(".easel-model-name")
    expect(names).to_have_text([STRANGE, "style"])
    untouched.page.get_by_label("Search models").fill("purrs pets")
    expect(names).to_have_text([STRANGE])
    expect(untouched.page.locator(".easel-library-status")).to_contain_text("1 of 2")
    untouched.page.get_by_label("Search models").fill("no such thing")
    expect(untouched.page.get_by_text("No model fits.")).to_be_visible()
    untouched.page.get_by_label("Search models").fill("")
    untouched.page.locator(".easel-folder-name", has_text="pets").click()
    expect(names).to_have_text([STRANGE])
    untouched.page.locator(".easel-folder-name", has_text="All").click()
    untouched.page.get_by_label("Sort by").select_option("name")
    untouched.page.get_by_role("button", name="Ascending").click()
    expect(names).to_have_text(["style", STRANGE])
    untouched.page.reload()
    untouched.wait_ready()
    open_tab(untouched, "lora")
    expect(names).to_have_text(["style", STRANGE])


def test_details_tell_the_training_and_its_tags_go_into_the_prompt(easel: Easel) -> None:
    open_tab(easel, "lora")
    tool(easel, STRANGE, "Details")
    dialog = easel.page.get_by_role("dialog", name=STRANGE)
    expect(dialog).to_contain_text("Purrs.")
    expect(dialog.get_by_role("row", name="Rank")).to_contain_text("8")
    dialog.get_by_role("button", name="whiskers").click()
    assert prompts(easel)[0] == "whiskers"
    expect(dialog.get_by_role("button", name="whiskers")).to_have_attribute("aria-pressed", "true")
    easel.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)


def test_notes_are_edited_and_kept_beside_the_model(easel: Easel, models: Path) -> None:
    path = network(models / "Lora" / "edited.safetensors", ss_tag_frequency=TAGS)
    open_tab(easel, "lora")
    tool(easel, "edited", "Edit")
    dialog = easel.page.get_by_role("dialog", name="Edit edited")
    dialog.get_by_label("Description").fill("Now with words")
    dialog.get_by_role("button", name="sofa").click()
    dialog.get_by_label("Preferred weight", exact=True).fill("0.85")
    dialog.get_by_label("Stable Diffusion version").select_option("SDXL")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)
    expect(card(easel, "edited")).to_contain_text("Now with words")
    expect(card(easel, "edited")).to_contain_text("SDXL")
    card(easel, "edited").locator(".easel-model-main").click()
    assert prompts(easel)[0] == "<lora:edited:0.85> sofa"
    kept = json.loads(path.with_suffix(".json").read_text())
    assert (kept["description"], kept["preferred weight"], kept["sd version"]) == ("Now with words", 0.85, "SDXL")
    path.unlink()
    easel.page.get_by_role("button", name="Look at the folders again").click()
    expect(card(easel, "edited")).to_have_count(0)


def test_what_is_wrong_in_the_notes_is_told_in_the_dialog(easel: Easel, watch: Watch) -> None:
    watch.forgive("status of 422")
    open_tab(easel, "lora")
    tool(easel, "style", "Edit")
    dialog = easel.page.get_by_role("dialog", name="Edit style")
    dialog.locator("form").evaluate("form => (form.noValidate = true)")
    dialog.get_by_label("Preferred weight", exact=True).fill("7")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_role("alert")).to_contain_text("from 0 (none) to 2")


def test_the_gallerys_picture_becomes_the_preview_and_goes_again(
    easel: Easel, server: Server, models: Path, tmp_path: Path
) -> None:
    path = network(models / "Lora" / "pictured.safetensors")
    server.open_gate()
    easel.prepare("for the card")
    easel.generate()
    easel.wait_pictures(1)
    open_tab(easel, "lora")
    tool(easel, "pictured", "Edit")
    dialog = easel.page.get_by_role("dialog", name="Edit pictured")
    dialog.get_by_role("button", name="Use the gallery's picture").click()
    expect(dialog.get_by_role("img", name="Preview of pictured")).to_be_visible()
    with Image.open(path.with_suffix(".png")) as kept:
        assert kept.info["parameters"].startswith("for the card")
    Image.new("RGB", (300, 200), "orange").save(tmp_path / "upload.jpg")
    with easel.page.expect_response("**/easel/library/preview?*"):
        dialog.get_by_label("Picture for the preview").set_input_files(tmp_path / "upload.jpg")
    expect(card(easel, "pictured").locator("img")).to_have_count(1)
    easel.page.wait_for_function("document.querySelector('.easel-model-edit-picture img').naturalWidth === 300")
    dialog.get_by_role("button", name="Remove preview").click()
    easel.page.get_by_role("dialog", name="Delete the preview").get_by_role("button", name="Delete").click()
    expect(dialog.get_by_text("No preview")).to_be_visible()
    expect(card(easel, "pictured").locator("img")).to_have_count(0)
    assert not path.with_suffix(".png").exists()
    path.unlink()


def test_a_checkpoint_is_chosen_and_its_defaults_come_onto_the_form(easel: Easel) -> None:
    open_tab(easel, "checkpoints")
    easel.page.locator("#txt2img_generation_tab").click()
    easel.number("steps", 9)
    easel.number("cfg_scale", 4.5)
    easel.wait_form(steps=9, cfg_scale=4.5)
    open_tab(easel, "checkpoints")
    tool(easel, "second", "Edit")
    dialog = easel.page.get_by_role("dialog", name="Edit second")
    expect(dialog.get_by_label("Family")).to_contain_text("As identified: SD 1.x")
    dialog.get_by_role("button", name="Take from the form").click()
    expect(dialog.get_by_label("Sampling steps")).to_have_value("9")
    dialog.get_by_label("Clip skip").fill("2")
    dialog.get_by_label("Width").fill("")
    dialog.get_by_label("Height").fill("")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)
    easel.page.locator("#txt2img_generation_tab").click()
    easel.number("steps", 3)
    easel.wait_form(steps=3)
    open_tab(easel, "checkpoints")
    card(easel, "second").locator(".easel-model-main").click()
    easel.wait_form(steps=9, cfg_scale=4.5, override_settings=["Clip skip: 2"])
    expect(card(easel, "second").locator(".easel-model-main")).to_have_attribute("aria-pressed", "true")
    expect(easel.page.locator("#setting_sd_model_checkpoint input")).to_have_value(re.compile(r"second( \[\w+\])?"))
    broken = card(easel, "broken")
    expect(broken).to_contain_text("the file is cut off")
    broken.locator(".easel-model-main").click(force=True)
    expect(easel.page.locator(".easel-note.easel-error")).to_contain_text("broken cannot be used")
    card(easel, "starter").locator(".easel-model-main").click()
    expect(easel.page.locator("#setting_sd_model_checkpoint input")).to_have_value(re.compile(r"starter( \[\w+\])?"))


def test_a_vae_is_chosen_and_let_go_again(easel: Easel) -> None:
    open_tab(easel, "vae")
    main = card(easel, "good").locator(".easel-model-main")
    main.click()
    expect(main).to_have_attribute("aria-pressed", "true")
    main.click()
    expect(main).to_have_attribute("aria-pressed", "false")


def test_of_many_models_only_those_in_sight_are_in_the_document(untouched: Easel, models: Path) -> None:
    for number in range(MANY):
        network(models / "Lora" / "many" / f"number {number}.safetensors")
    open_tab(untouched, "lora")
    untouched.page.locator(".easel-folder-name", has_text="many").click()
    expect(card(untouched, "number 0")).to_be_visible()
    assert untouched.page.locator(".easel-model").count() < 100
    untouched.page.locator(".easel-models").evaluate("grid => (grid.scrollTop = grid.scrollHeight)")
    expect(card(untouched, f"number {MANY - 1}")).to_be_visible()
    assert untouched.page.locator(".easel-model").count() < 100
    expect(card(untouched, "number 0")).to_have_count(0)
    for number in range(MANY):
        (models / "Lora" / "many" / f"number {number}.safetensors").unlink()
    untouched.page.get_by_role("button", name="Look at the folders again").click()
    expect(untouched.page.get_by_text("No model fits.")).to_be_visible()


def test_a_phone_shows_library_and_dialogs_without_scrolling_sideways(models: Path, new_page: NewPage) -> None:
    easel = new_page(width=390, height=844, scheme="dark")
    for tab in ("textual_inversion", "lora", "vae", "checkpoints"):
        open_tab(easel, tab)
        assert overflow(easel) <= 0, tab
    for label in ("Details", "Edit"):
        tool(easel, "second", label)
        dialog = easel.page.locator("dialog[open]")
        expect(dialog).to_be_visible()
        assert dialog.evaluate("box => box.scrollWidth - box.clientWidth") <= 0, label
        easel.page.keyboard.press("Escape")
    nameless = easel.page.evaluate(
        "[...document.querySelectorAll('#txt2img_library :is(button, input, select)')].filter(e => e.offsetParent"
        " && !(e.ariaLabel || e.title || e.textContent.trim())).map(e => e.outerHTML)"
    )
    assert nameless == []

"""The form: kept over reloads, following the checkpoint's size, and clear about what is wrong."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import NewPage
from tests.browser.driver import Server

pytestmark = pytest.mark.browser


def test_the_form_survives_a_reload_dropdowns_included(new_page: NewPage) -> None:
    easel = new_page()
    page = easel.page
    easel.prompt("kept prompt")
    page.locator("#txt2img_neg_prompt textarea").fill("kept negative")
    easel.number("steps", 33)
    easel.number("height", 256)
    page.locator("#txt2img_seed input").fill("9223372036854775807")
    for field, choice in (("sampling", "Euler a"), ("scheduler", "Karras")):
        page.locator(f"#txt2img_{field} input").click()
        page.locator("[role=option]").filter(has_text=choice).first.click()
    page.wait_for_function("window.easel.form.values.scheduler === 'Karras'")
    page.reload()
    easel.wait_ready()
    expect(page.locator("#txt2img_prompt textarea")).to_have_value("kept prompt")
    expect(page.locator("#txt2img_neg_prompt textarea")).to_have_value("kept negative")
    expect(page.locator("#txt2img_steps input[type=number]")).to_have_value("33")
    expect(page.locator("#txt2img_width input[type=number]")).to_have_value("128")
    expect(page.locator("#txt2img_height input[type=number]")).to_have_value("256")
    expect(page.locator("#txt2img_seed input")).to_have_value("9223372036854775807")
    expect(page.locator("#txt2img_sampling input")).to_have_value("Euler a")
    expect(page.locator("#txt2img_scheduler input")).to_have_value("Karras")
    expect(page.locator("#txt2img_token_counter")).to_have_text("2/75")


def test_the_size_starts_as_the_checkpoints_own_and_swaps(new_page: NewPage) -> None:
    easel = new_page()
    page = easel.page
    expect(page.locator("#txt2img_width input[type=number]")).to_have_value("128")
    expect(page.locator("#txt2img_height input[type=number]")).to_have_value("128")
    # Whenever the page hears of the checkpoint, which it may do late, its size is 256.
    page.evaluate(
        "() => { const form = window.easel.form;"
        " form.follow = () => Object.getPrototypeOf(form).follow.call(form, 256); form.follow(); }"
    )
    expect(page.locator("#txt2img_width input[type=number]")).to_have_value("256")
    easel.number("width", 320)
    page.locator("#txt2img_res_switch_btn").click()
    expect(page.locator("#txt2img_height input[type=number]")).to_have_value("320")
    expect(page.locator("#txt2img_width input[type=number]")).to_have_value("256")
    page.wait_for_function("window.easel.form.values.height === 320")
    page.evaluate("() => { const form = window.easel.form; Object.getPrototypeOf(form).follow.call(form, 512); }")
    page.reload()
    easel.wait_ready()
    expect(page.locator("#txt2img_height input[type=number]")).to_have_value("320")


def test_a_wrong_value_is_named_and_nothing_is_lost(new_page: NewPage, server: Server) -> None:
    easel = new_page()
    page = easel.page
    easel.prepare("careful")
    page.locator("#txt2img_seed input").fill("abc")
    easel.generate()
    line = page.locator("#txt2img_message [role=alert]")
    expect(line).to_have_text("Seed: abc is not possible; allowed is a whole number from 0 to 9223372036854775807, "
                              "or -1 for a random one.")
    expect(page.locator(".easel-note.easel-error")).to_contain_text("abc")
    expect(page.locator("#txt2img_seed")).to_have_attribute("data-easel-wrong", "yes")
    assert easel.value("prompt") == "careful"
    page.locator("#txt2img_seed input").fill("5")
    server.open_gate()
    easel.generate()
    easel.wait_infotext("Seed: 5")
    expect(line).to_have_count(0)


def test_a_number_typed_out_of_range_is_named(new_page: NewPage) -> None:
    easel = new_page()
    page = easel.page
    steps = page.locator("#txt2img_steps input[type=number]")
    steps.fill("10000")
    steps.press("Control+Enter")
    line = page.locator("#txt2img_message [role=alert]")
    expect(line).to_have_text(
        "Sampling steps: 10000 is not possible; allowed is a whole number from 1 to 150."
    )
    steps.fill("")
    steps.press("Control+Enter")
    expect(line).to_contain_text("Sampling steps: an empty value is not possible")


def test_a_number_left_out_of_range_is_brought_back_for_all_to_see(new_page: NewPage) -> None:
    easel = new_page()
    steps = easel.page.locator("#txt2img_steps input[type=number]")
    steps.fill("10000")
    steps.blur()
    expect(steps).to_have_value("150")


def test_a_prompt_of_a_megabyte_gets_a_message(new_page: NewPage) -> None:
    easel = new_page()
    easel.prompt("x" * 1_000_000)
    easel.generate()
    expect(easel.page.locator("#txt2img_message [role=alert]")).to_contain_text("at most 100000 characters")

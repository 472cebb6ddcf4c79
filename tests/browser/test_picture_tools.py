"""What can be done with a finished picture: a hires pass over it, and making it again to compare."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import NewPage
from tests.browser.driver import Server

pytestmark = pytest.mark.browser
COMPARED = "[...document.querySelectorAll('.easel-compare img')].every(i => i.naturalWidth === 128)"


def test_hires_fields_survive_a_reload_open_or_closed(new_page: NewPage) -> None:
    easel = new_page()
    page = easel.page
    page.locator("#txt2img_hr-checkbox input").check()
    easel.number("hires_steps", 7)
    easel.number("hr_scale", 1.5)
    page.locator("#txt2img_hr_upscaler input").click()
    page.locator("[role=option]").filter(has_text="Latent (nearest)").first.click()
    page.locator("#txt2img_hr_more button").click()
    page.locator("#hires_prompt textarea").fill("kept hires")
    page.locator("#txt2img_subseed_show input").check()
    easel.number("subseed_strength", 0.5)
    page.locator("#txt2img_subseed input").fill("9007199254740993")
    page.locator("#txt2img_enable-checkbox input").check()
    easel.number("switch_at", 0.6)
    kept = {"enable_hr": True, "hr_second_pass_steps": 7, "hr_scale": 1.5, "hr_upscaler": "Latent (nearest)",
            "hr_prompt": "kept hires", "subseed_strength": 0.5, "subseed": "9007199254740993",
            "refiner_switch_at": 0.6}  # fmt: skip
    easel.wait_form(**kept)
    page.reload()
    easel.wait_ready()
    easel.wait_form(**kept)
    expect(page.locator("#txtimg_hr_finalres")).to_have_text("from 128x128 to 192x192")
    expect(page.locator("#hires_prompt textarea")).to_have_value("kept hires")
    expect(page.locator("#txt2img_switch_at input[type=number]")).to_have_value("0.6")
    expect(page.locator("#txt2img_subseed input")).to_be_visible()
    page.locator("#txt2img_hr-checkbox input").uncheck()
    expect(page.locator("#hires_prompt textarea")).to_be_hidden()
    easel.wait_form(enable_hr=False)
    page.reload()
    easel.wait_ready()
    easel.wait_form(**(kept | {"enable_hr": False}))


def test_the_selected_picture_gets_a_hires_pass_with_the_forms_values(new_page: NewPage, server: Server) -> None:
    server.open_gate()
    easel = new_page()
    page = easel.page
    expect(page.locator("#txt2img_upscale")).to_be_hidden()
    easel.prepare("a lamp", batch_count=2)
    page.locator("#txt2img_seed input").fill("100")
    easel.generate()
    easel.wait_pictures(2)
    page.locator("#txt2img_gallery .thumbnails .thumbnail-small").nth(1).click()
    page.locator("#txt2img_hr-checkbox input").check()
    easel.number("hr_scale", 1.5)
    page.locator("#txt2img_hr-checkbox input").uncheck()
    easel.wait_form(hr_scale=1.5, enable_hr=False)
    page.locator("#txt2img_upscale").click()
    page.wait_for_function("window.easel.live.job.request.firstpass_image !== ''")
    sent = easel.last_request()
    assert (sent["enable_hr"], sent["hr_scale"], sent["seed"], sent["prompt"]) == (True, 1.5, "101", "a lamp")
    easel.wait_pictures(1)


def test_verify_finds_the_picture_identical_and_the_gallery_stays(new_page: NewPage, server: Server) -> None:
    server.open_gate()
    easel = new_page()
    page = easel.page
    easel.prepare("a lamp")
    easel.generate()
    easel.wait_pictures(1)
    followed = page.evaluate("window.easel.live.job.id")
    page.locator("#txt2img_verify").click()
    expect(page.locator(".easel-verdict")).to_have_text("Identical")
    expect(page.locator(".easel-compare img")).to_have_count(2)
    page.wait_for_function(COMPARED)
    page.keyboard.press("Escape")
    assert page.evaluate("window.easel.live.job.id") == followed
    easel.tab("queue")
    page.locator(f".easel-card[data-job='{followed}'] .easel-thumbnail").click()
    page.get_by_role("button", name="Verify: make it again and compare").click()
    expect(page.locator(".easel-verdict")).to_have_text("Identical")
    page.wait_for_function(COMPARED)


def test_a_difference_is_shown_with_numbers_and_facts(new_page: NewPage, server: Server) -> None:
    server.open_gate()
    easel = new_page(width=390, height=844, scheme="dark")
    page = easel.page
    easel.prepare("a lamp")
    easel.generate()
    easel.wait_pictures(1)
    verdict = {
        "state": "finished", "error": None, "identical": False, "max": 12, "mean": 0.342, "share": 25.5,
        "difference": None, "made": None, "original": None,
        "facts": [{"name": "Device", "then": "H100", "now": "CPU", "same": False},
                  {"name": "Model", "then": "starter", "now": "starter", "same": True}],
    }  # fmt: skip
    page.route("**/easel/verify/*", lambda route: route.fulfill(json=verdict))
    page.locator("#txt2img_verify").click()
    expect(page.locator(".easel-verdict")).to_have_text("Not identical")
    expect(page.locator(".easel-verify > .easel-soft")).to_have_text(
        "26 % of the pixels differ, by at most 12 of 255 and by 0.34 on average."
    )
    expect(page.locator(".easel-verify > table tbody tr")).to_have_text("DeviceH100CPU")
    page.locator(".easel-verify details summary").click()
    expect(page.locator(".easel-verify details tbody tr")).to_have_text("Modelstarterstarter")


def test_a_remark_about_a_running_job_becomes_a_note(new_page: NewPage) -> None:
    easel = new_page()
    easel.page.evaluate("window.easel.live.dispatchEvent(new CustomEvent('remark', {detail: 'LoRA x was not found.'}))")
    expect(easel.page.locator(".easel-note")).to_contain_text("LoRA x was not found.")

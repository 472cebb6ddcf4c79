"""Pasting: from the prompt, from a dropped picture, from the last picture and through the PNG Info tab."""

import io

import pytest
from PIL import Image, PngImagePlugin
from playwright.sync_api import expect

from tests.browser.conftest import NewPage
from tests.browser.driver import Server

pytestmark = pytest.mark.browser
INFOTEXT = """a red apple (ripe:1.2), in ink
Negative prompt: blurry, colours
Steps: 4, Sampler: Euler a, Schedule type: Karras, CFG scale: 6.5, Seed: 9007199254740993, Size: 192x128, \
Variation seed: 5, Variation seed strength: 0.25, Clip skip: 2, ENSD: 31337, Denoising strength: 0.45, \
Hires upscale: 1.5, Hires steps: 3, Hires upscaler: Latent (nearest), Hires sampler: Heun, \
Hires prompt: "a hires, prompt", Strange thing: 7, Version: v1.10.1"""
WANTED = {
    "prompt": "a red apple (ripe:1.2)", "negative_prompt": "blurry", "steps": 4, "sampler": "Euler a",
    "scheduler": "Karras", "cfg_scale": 6.5, "seed": "9007199254740993", "width": 192, "height": 128,
    "subseed": "5", "subseed_strength": 0.25, "enable_hr": True, "hr_upscaler": "Latent (nearest)",
    "hr_second_pass_steps": 3, "denoising_strength": 0.45, "hr_scale": 1.5, "hr_sampler": "Heun",
    "hr_prompt": "a hires, prompt", "styles": ["paste test"],
    "override_settings": ["Clip skip: 2", "ENSD: 31337"],
}  # fmt: skip


def picture(text: str | None) -> bytes:
    info = PngImagePlugin.PngInfo()
    if text is not None:
        info.add_text("parameters", text)
    out = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(out, "PNG", pnginfo=info)
    return out.getvalue()


@pytest.fixture(autouse=True)
def style(server: Server) -> None:
    (server.folder / "styles.csv").write_text('name,prompt,negative_prompt\npaste test,"{prompt}, in ink",colours\n')


def test_an_infotext_fills_everything_and_generate_sends_exactly_that(new_page: NewPage, server: Server) -> None:
    easel = new_page()
    page = easel.page
    easel.prompt(INFOTEXT)
    page.wait_for_function("window.easel.form.values.prompt.includes('Strange')")
    page.locator("#paste").click()
    easel.wait_form(**WANTED)
    note = page.locator(".easel-note")
    expect(note).to_contain_text("Pasted the prompt and its settings, Hires. fix, 1 style and 2 override settings.")
    expect(note.locator("li")).to_have_text("Strange thing: 7 has no field here.")
    for element in ("#txt2img_hr_upscaler", "#hires_prompt", "#txt2img_subseed", "#txt2img_override_settings"):
        expect(page.locator(element)).to_be_visible()
    expect(page.locator("#txt2img_checkpoint")).to_be_hidden()
    expect(page.locator("#txtimg_hr_finalres")).to_have_text("from 192x128 to 288x192")
    expect(page.locator("#txt2img_styles .token")).to_have_text("paste test")
    server.open_gate()
    easel.generate()
    easel.wait_pictures(1)
    sent = easel.last_request()
    plain = {name: value for name, value in WANTED.items() if name not in ("styles", "override_settings")}
    assert {name: sent[name] for name in plain} == plain | {
        "prompt": "a red apple (ripe:1.2), in ink", "negative_prompt": "blurry, colours",
        "hr_prompt": "a hires, prompt, in ink",
    }  # fmt: skip
    assert (sent["clip_skip"], sent["ensd"]) == (2, 31337)


def test_what_is_switched_off_is_not_sent_but_kept(new_page: NewPage, server: Server) -> None:
    easel = new_page()
    easel.prompt(INFOTEXT)
    easel.page.wait_for_function("window.easel.form.values.prompt.includes('Strange')")
    easel.page.locator("#paste").click()
    easel.wait_form(**WANTED)
    easel.page.locator("#txt2img_hr-checkbox input").uncheck()
    easel.page.locator("#txt2img_subseed_show input").uncheck()
    server.open_gate()
    easel.generate()
    easel.wait_pictures(1)
    sent = easel.last_request()
    assert (sent["enable_hr"], sent["hr_prompt"], sent["subseed_strength"]) == (False, "", 0)
    assert (easel.form_value("hr_prompt"), easel.form_value("subseed_strength")) == ("a hires, prompt", 0.25)


def test_a_dropped_picture_or_text_fills_the_form(new_page: NewPage) -> None:
    easel = new_page()
    easel.drop("#txt2img_prompt textarea", picture(INFOTEXT), "apple.png", "image/png")
    easel.wait_form(**WANTED)
    easel.drop("#txt2img_neg_prompt textarea", b"only a prompt", "prompt.txt", "text/plain")
    easel.wait_form(prompt="only a prompt", steps=4)
    easel.drop("#txt2img_prompt textarea", picture(None), "bare.png", "image/png")
    expect(easel.page.locator(".easel-note.easel-error")).to_contain_text("no generation parameters")


def test_with_an_empty_prompt_the_last_picture_is_taken(new_page: NewPage, server: Server) -> None:
    server.open_gate()
    easel = new_page()
    easel.page.locator("#paste").click()
    expect(easel.page.locator(".easel-note")).to_contain_text("no prompt and no picture")
    easel.prepare("a lamp", steps=3)
    easel.generate()
    easel.wait_pictures(1)
    easel.page.locator("#txt2img_clear_prompt").click()
    easel.page.get_by_role("button", name="Delete", exact=True).click()
    easel.wait_form(prompt="")
    easel.number("steps", 9)
    easel.page.locator("#paste").click()
    easel.wait_form(prompt="a lamp", steps=3)


def test_png_info_shows_a_picture_and_sends_it_on(new_page: NewPage, server: Server) -> None:
    server.open_gate()
    easel = new_page(width=390, height=844)
    page = easel.page
    easel.tab("pnginfo")
    easel.drop("#pnginfo_image", picture(None), "bare.png", "image/png")
    expect(page.locator(".easel-source")).to_contain_text("No generation parameters")
    page.locator("#pnginfo_image input").set_input_files(
        {"name": "apple.png", "mimeType": "image/png", "buffer": picture(INFOTEXT)}
    )
    expect(page.locator(".easel-source")).to_contain_text("Made with A1111")
    expect(page.locator("#pnginfo_generation_info")).to_contain_text("Seed: 9007199254740993")
    expect(page.locator(".easel-lost li")).to_have_text("Strange thing: 7 has no field here.")
    page.locator(".easel-raw summary").click()
    expect(page.locator(".easel-raw pre")).to_contain_text("a red apple")
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    page.locator("#pnginfo_verify").click()
    expect(page.locator(".easel-verdict")).to_be_visible()
    page.keyboard.press("Escape")
    page.locator("#pnginfo_send_to_txt2img").click()
    expect(page.locator("#tab_txt2img")).to_be_visible()
    easel.wait_form(**WANTED)

"""The img2img tab as a user drives it: pictures in, strokes, jobs, and both back after a reload."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import httpx
import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import NewPage, OpenPage
from tests.browser.driver import PATIENCE_MS, STEPS, Easel, Server

pytestmark = pytest.mark.browser

SIZE = (96, 64)


def photo(color: str = "orange") -> bytes:
    picture = Image.new("RGB", SIZE, color)
    ImageDraw.Draw(picture).rectangle((10, 10, 30, 30), fill="navy")
    content = io.BytesIO()
    picture.save(content, "PNG")
    return content.getvalue()


def as_file(name: str = "photo.png", content: bytes | None = None) -> dict[str, object]:
    return {"name": name, "mimeType": "image/png", "buffer": content or photo()}


def canvas(page: Page, name: str) -> Locator:
    return page.locator(f".easel-canvas[data-name={name}]")


def load(page: Page, name: str, content: bytes | None = None) -> None:
    """Choose a file for a canvas, and wait until it is shown."""
    canvas(page, name).locator("input[type=file]").first.set_input_files([as_file(content=content)])
    wait_size(page, *SIZE)


def wait_size(page: Page, width: int, height: int) -> None:
    """Wait until the page knows the picture by its size."""
    expect(page.locator("#img2img_scale_resolution_preview")).to_contain_text(f"from {width}x{height}")


def draw(page: Page, name: str) -> None:
    """Draw a stroke across the middle of a canvas."""
    stage = canvas(page, name).locator(".easel-canvas-stage")
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    assert box is not None
    across, down = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(across - 20, down)
    page.mouse.down()
    page.mouse.move(across + 20, down, steps=5)
    page.mouse.up()


def kept(server: Server, digest: str) -> Image.Image:
    answer = httpx.get(f"{server.url}/easel/inputs/{digest}")
    assert answer.status_code == 200
    return Image.open(io.BytesIO(answer.content))


def run(easel: Easel, **numbers: object) -> dict[str, object]:
    """Generate and return the request of the job that was made."""
    easel.prepare("a lamp", **numbers)
    easel.generate()
    easel.wait_pictures(1)
    return easel.last_request()


def run_again(easel: Easel) -> dict[str, object]:
    """Generate once more and return the request of the new job when it has ended."""
    before = easel.page.evaluate("window.easel.live.job.id")
    easel.generate()
    ended = "id => window.easel.live.job?.id !== id && window.easel.live.job?.state === 'finished'"
    easel.page.wait_for_function(ended, arg=before, timeout=PATIENCE_MS)
    return easel.last_request()


def test_a_picture_is_worked_over_and_shown_on_its_own_tab(new_page: NewPage, server: Server) -> None:
    server.open_gate()
    easel = new_page().img2img()
    load(easel.page, "img2img")
    request = run(easel, denoising_strength=0.4)
    assert kept(server, str(request["init_image"])).size == SIZE
    assert (request["mask_image"], request["denoising_strength"]) == ("", 0.4)
    assert request["enable_hr"] is False
    easel.page.locator('#tabs button[role=tab][data-tab-id="txt2img"]').click()
    expect(easel.page.locator("#txt2img_gallery .thumbnails .thumbnail-small")).to_have_count(0)


def test_what_is_painted_over_is_the_mask(new_page: NewPage, server: Server) -> None:
    server.open_gate()
    easel = new_page().img2img("inpaint")
    page = easel.page
    load(page, "inpaint")
    draw(page, "inpaint")
    page.locator("#img2img_inpainting_fill").get_by_text("latent noise").click()
    page.locator("#img2img_inpaint_full_res").get_by_text("Only masked").click()
    request = run(easel, mask_blur=2)
    mask = kept(server, str(request["mask_image"])).convert("L")
    assert mask.size == SIZE
    assert mask.getpixel((SIZE[0] // 2, SIZE[1] // 2)) == 255
    assert mask.getpixel((0, 0)) == 0
    assert (request["masked_content"], request["inpaint_area"]) == ("latent noise", "Only masked")
    assert (request["mask_blur_x"], request["mask_blur_y"]) == (2, 2)


def test_without_a_picture_or_a_mask_the_page_says_what_is_missing(new_page: NewPage) -> None:
    easel = new_page().img2img()
    page = easel.page
    easel.prepare("a lamp")
    easel.generate()
    expect(page.locator("#img2img_message")).to_contain_text("Image: no picture is not possible")
    page.locator("#img2img_inpaint_tab").click()
    load(page, "inpaint")
    easel.generate()
    expect(page.locator("#img2img_message")).to_contain_text("paint over it, or load a mask")


def test_a_sketch_is_drawn_into_the_picture(new_page: NewPage, server: Server) -> None:
    server.open_gate()
    easel = new_page().img2img("sketch")
    load(easel.page, "sketch")
    draw(easel.page, "sketch")
    drawn = kept(server, str(run(easel)["init_image"])).convert("RGB")
    middle, corner = (drawn.getpixel(place) for place in ((SIZE[0] // 2, SIZE[1] // 2), (0, 0)))
    assert corner == (255, 165, 0)
    assert middle != corner


def test_an_inpaint_sketch_gives_picture_and_mask(new_page: NewPage, server: Server) -> None:
    server.open_gate()
    easel = new_page().img2img("inpaint_sketch")
    expect(easel.page.locator("#img2img_mask_alpha")).to_be_visible()
    load(easel.page, "inpaint_sketch")
    draw(easel.page, "inpaint_sketch")
    request = run(easel)
    assert request["mask_image"]
    assert kept(server, str(request["mask_image"])).convert("L").getextrema() == (0, 255)


def test_an_uploaded_mask_is_taken(new_page: NewPage, server: Server) -> None:
    server.open_gate()
    easel = new_page().img2img("inpaint_upload")
    mask = Image.new("L", SIZE)
    mask.paste(255, (0, 0, 48, 64))
    content = io.BytesIO()
    mask.save(content, "PNG")
    load(easel.page, "inpaint_upload")
    files = [as_file("m.png", content.getvalue())]
    canvas(easel.page, "inpaint_mask").locator("input[type=file]").first.set_input_files(files)
    expect(canvas(easel.page, "inpaint_mask")).to_contain_text("96 × 64")
    request = run(easel)
    assert kept(server, str(request["mask_image"])).convert("L").tobytes() == mask.tobytes()


def test_picture_mask_and_place_survive_a_reload_in_the_middle_of_a_job(new_page: NewPage, server: Server) -> None:
    easel = new_page().img2img("inpaint")
    page = easel.page
    load(page, "inpaint")
    draw(page, "inpaint")
    easel.prepare("a lamp", denoising_strength=0.33)
    easel.generate()
    easel.wait_running()
    page.wait_for_timeout(1000)  # until the canvas has written what it keeps
    page.reload()
    easel.wait_ready()
    easel.tab("img2img")
    expect(page.locator("#img2img_inpaint_tab")).to_have_attribute("aria-selected", "true")
    wait_size(page, *SIZE)
    easel.wait_running()
    server.open_gate()
    easel.wait_pictures(1)
    first = easel.last_request()
    easel.wait_form(denoising_strength=0.33)
    second = run_again(easel)
    assert (second["init_image"], second["mask_image"]) == (first["init_image"], first["mask_image"])


def test_use_these_settings_brings_picture_and_mask_back(new_page: NewPage, server: Server) -> None:
    server.open_gate()
    easel = new_page().img2img("inpaint")
    page = easel.page
    load(page, "inpaint")
    draw(page, "inpaint")
    first = run(easel, mask_blur=9, denoising_strength=0.2)
    other = new_page(instead=True)
    other.tab("queue")
    other.page.locator("[data-action=use]").first.click()
    other.place = "img2img"
    expect(other.page.locator("#img2img_inpaint_tab")).to_have_attribute("aria-selected", "true")
    other.wait_form(mask_blur_x=9, denoising_strength=0.2, prompt="a lamp")
    wait_size(other.page, *SIZE)
    second = run_again(other)
    for name in ("init_image", "mask_image", "mask_blur_x", "mask_blur_y", "width", "height", "steps"):
        assert second[name] == first[name], name


def test_a_picture_goes_from_the_gallery_to_img2img_with_its_prompt(new_page: NewPage, server: Server) -> None:
    server.open_gate()
    easel = new_page()
    page = easel.page
    easel.prepare("a teapot", width=128, height=64)
    easel.generate()
    easel.wait_pictures(1)
    page.locator("#txt2img_send_to_inpaint").click()
    expect(page.locator("#img2img_inpaint_tab")).to_have_attribute("aria-selected", "true")
    wait_size(page, 128, 64)
    easel.place = "img2img"
    easel.wait_form(prompt="a teapot", width=128, height=64, steps=STEPS)


def test_a_picture_of_the_queue_is_sent_on_from_the_large_view(new_page: NewPage, server: Server) -> None:
    server.open_gate()
    easel = new_page()
    page = easel.page
    easel.prepare("a vase", width=64, height=128)
    easel.generate()
    easel.wait_pictures(1)
    easel.tab("queue")
    page.locator(".easel-thumbnail").first.click()
    page.locator("dialog[open] [title='Send to Inpaint']").click()
    expect(page.locator("#img2img_inpaint_tab")).to_have_attribute("aria-selected", "true")
    wait_size(page, 64, 128)
    easel.place = "img2img"
    easel.wait_form(prompt="a vase", width=64, height=128)


def test_a_picture_can_be_pasted_or_dropped_anywhere(new_page: NewPage) -> None:
    easel = new_page()
    page = easel.page
    page.evaluate(
        "content => { const data = new DataTransfer();"
        " const bytes = Uint8Array.from(atob(content), c => c.charCodeAt(0));"
        " data.items.add(new File([bytes], 'p.png', {type: 'image/png'}));"
        " const wishes = {clipboardData: data, bubbles: true, cancelable: true};"
        " document.body.dispatchEvent(new ClipboardEvent('paste', wishes)) }",
        base64.b64encode(photo()).decode(),
    )
    expect(page.locator("#img2img_img2img_tab")).to_have_attribute("aria-selected", "true")
    wait_size(page, *SIZE)
    easel.tab("queue")
    content = io.BytesIO()
    Image.new("RGB", (40, 50)).save(content, "PNG")
    easel.drop("#easel_queue", content.getvalue(), "d.png", "image/png")
    expect(page.locator("#img2img_img2img_tab")).to_be_visible()
    wait_size(page, 40, 50)


def test_a_file_that_is_no_picture_is_named(open_page: OpenPage, server: Server) -> None:
    easel = open_page(server).img2img()
    easel.drop("#img2img_results", b"nothing", "notes.txt", "text/plain")
    expect(easel.page.locator(".easel-notes")).to_contain_text("notes.txt is no picture")


def test_pnginfo_sends_picture_and_settings(new_page: NewPage, server: Server, tmp_path: Path) -> None:
    server.open_gate()
    easel = new_page()
    page = easel.page
    easel.prepare("a lantern", width=128, height=64)
    easel.generate()
    easel.wait_pictures(1)
    address = page.evaluate("window.easel.live.job.images[0].url")
    picture = tmp_path / "made.png"
    picture.write_bytes(httpx.get(f"{server.url}{address}").content)
    easel.tab("pnginfo")
    page.locator("#pnginfo_image input").set_input_files(picture)
    page.locator("#pnginfo_send_to_img2img").click()
    wait_size(page, 128, 64)
    easel.place = "img2img"
    easel.wait_form(prompt="a lantern", width=128, height=64)


def test_soft_inpainting_and_a_script_travel_with_the_job_and_come_back(new_page: NewPage, server: Server) -> None:
    server.open_gate()
    easel = new_page().img2img("inpaint")
    page = easel.page
    load(page, "inpaint")
    draw(page, "inpaint")
    expect(page.locator("#img2img_soft_inpainting_schedule_bias")).to_be_hidden()
    page.locator("#img2img_soft_inpainting_enabled input").check()
    easel.number("soft_inpainting_schedule_bias", 2.5)
    request = run(easel)
    assert request["extras"]["soft_inpainting"]["schedule_bias"] == 2.5  # type: ignore[index]
    page.locator("#img2img_soft_inpainting_enabled input").uncheck()
    easel.wait_form(**{"soft_inpainting.enabled": False})
    assert run_again(easel)["extras"] == {}
    easel.tab("queue")
    page.locator("[data-action=use]").nth(1).click()
    easel.wait_form(**{"soft_inpainting.enabled": True, "soft_inpainting.schedule_bias": 2.5})
    expect(page.locator("#img2img_soft_inpainting_schedule_bias")).to_be_visible()


def test_the_chosen_script_shows_its_fields(new_page: NewPage, server: Server) -> None:
    server.open_gate()
    easel = new_page().img2img()
    page = easel.page
    load(page, "img2img")
    expect(page.locator("#img2img_script_outpainting_mk2")).to_be_hidden()
    page.locator("#img2img_script_list input").click()
    page.locator("[role=option]").filter(has_text="Outpainting mk2").first.click()
    expect(page.locator("#img2img_script_outpainting_mk2")).to_be_visible()
    expect(page.locator("#img2img_script_poor_mans_outpainting")).to_be_hidden()
    easel.number("outpainting_mk2_pixels", 64)
    easel.wait_form(script="Outpainting mk2", **{"outpainting_mk2.pixels": 64})
    easel.prompt("a lamp")
    easel.number("steps", STEPS)
    easel.generate()
    page.wait_for_function("window.easel.live.job?.state === 'finished'", timeout=PATIENCE_MS)
    extras = easel.last_request()["extras"]
    assert set(extras) == {"outpainting_mk2"}
    assert extras["outpainting_mk2"]["pixels"] == 64


def test_copy_to_takes_the_picture_along(new_page: NewPage) -> None:
    easel = new_page().img2img()
    page = easel.page
    load(page, "img2img")
    page.locator("#img2img_copy_to_inpaint").click()
    expect(page.locator("#img2img_inpaint_tab")).to_have_attribute("aria-selected", "true")
    wait_size(page, *SIZE)
    expect(page.locator("#img2img_copy_to_inpaint")).to_be_hidden()


def test_the_size_can_be_the_pictures_or_a_multiple(new_page: NewPage, server: Server) -> None:
    server.open_gate()
    easel = new_page().img2img()
    page = easel.page
    load(page, "img2img")
    page.locator("#img2img_detect_image_size_btn").click()
    easel.wait_form(width=96, height=64)
    page.locator("#img2img_tab_resize_by-button").click()
    expect(page.locator("#img2img_width")).to_be_hidden()
    easel.number("scale", 2)
    expect(page.locator("#img2img_scale_resolution_preview")).to_have_text("from 96x64 to 192x128")
    easel.prompt("a lamp")
    easel.number("steps", STEPS)
    easel.generate()
    easel.wait_pictures(1)
    request = easel.last_request()
    assert (request["width"], request["height"]) == (192, 128)


def test_the_form_keeps_its_own_values_beside_txt2img(new_page: NewPage) -> None:
    easel = new_page()
    easel.prepare("for txt2img")
    easel.img2img()
    easel.prepare("for img2img", cfg_scale=3)
    easel.page.locator("#resize_mode").get_by_text("Crop and resize").click()
    easel.wait_form(prompt="for img2img", cfg_scale=3, resize_mode=1)
    easel.page.reload()
    easel.wait_ready()
    easel.wait_form(prompt="for img2img", cfg_scale=3, resize_mode=1)
    easel.place = "txt2img"
    easel.wait_form(prompt="for txt2img", cfg_scale=7)


def test_keys_work_on_the_tab_that_is_shown(new_page: NewPage, server: Server) -> None:
    server.open_gate()
    easel = new_page().img2img()
    load(easel.page, "img2img")
    easel.prepare("a lamp")
    easel.page.locator("#img2img_prompt textarea").press("Control+Enter")
    easel.wait_pictures(1)
    assert easel.last_request()["init_image"]


@pytest.mark.parametrize("mode", ["img2img", "sketch", "inpaint", "inpaint_sketch", "inpaint_upload", "batch"])
def test_nothing_sticks_out_on_a_phone(open_page: OpenPage, server: Server, mode: str) -> None:
    easel = open_page(server, width=390, height=844).img2img(mode)
    page = easel.page
    if mode != "batch":
        load(page, mode)
        expect(canvas(page, mode)).to_contain_text(f"{SIZE[0]} × {SIZE[1]}")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    wide = page.evaluate(
        "[...document.querySelectorAll('#img2img_settings *')].filter(e => e.offsetParent"
        " && e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('[role=tablist], .easel-canvas-toolbar'))"
        ".map(e => e.className || e.id).slice(0, 5)"
    )
    assert wide == []

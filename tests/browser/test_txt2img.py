"""A prompt in the browser becomes a picture, and the job is the server's."""

import pytest
from playwright.sync_api import Route, expect

from tests.browser.conftest import NewPage
from tests.browser.driver import STEPS, Server

pytestmark = pytest.mark.browser


def test_a_prompt_becomes_a_picture_with_preview_and_infotext(new_page: NewPage, server: Server) -> None:
    easel = new_page()
    page = easel.page
    easel.prepare("a red apple on a blue background")
    expect(page.locator("#txt2img_token_counter")).to_have_text("7/75")
    easel.generate()
    easel.wait_running()
    expect(page.locator("#txt2img_interrupt")).to_be_visible()
    expect(page.locator("#txt2img_generate")).to_be_visible()
    server.let_pass(range(1, 4))
    easel.wait_progress(f"Step 3/{STEPS}")
    preview = page.locator("#txt2img_live_preview img")
    expect(preview).to_be_visible()
    page.wait_for_function("document.querySelector('#txt2img_live_preview img')?.naturalWidth > 0")
    expect(page).to_have_title("[50%] Easel")
    server.open_gate()
    easel.wait_pictures(1)
    easel.wait_infotext("a red apple on a blue background")
    easel.wait_infotext("Size: 128x128")
    easel.wait_idle()
    expect(page).to_have_title("Easel")
    expect(preview).to_be_hidden()
    expect(page.locator("#txt2img_interrupt")).to_be_hidden()
    page.locator("#txt2img_gallery .preview .media-button").click()
    expect(page.locator("dialog.easel-lightbox")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("dialog.easel-lightbox")).to_be_hidden()


def test_a_reload_and_a_second_browser_see_the_running_job_and_its_result(new_page: NewPage, server: Server) -> None:
    first = new_page()
    first.prepare("two pizzas", batch_count=2)
    first.generate()
    server.let_pass(range(1, 3))
    first.wait_progress(f"Step 2/{STEPS}")
    first.page.reload()
    first.wait_ready()
    first.wait_progress(f"Image 1 of 2 · Step 2/{STEPS}")
    assert first.value("prompt") == "two pizzas"
    assert first.value("batch_count") == "2"
    second = new_page()
    second.wait_progress(f"Image 1 of 2 · Step 2/{STEPS}")
    expect(second.page.locator("#txt2img_live_preview img")).to_be_visible()
    server.let_pass(range(3, STEPS + 1))
    server.let_pass(range(1, 2), image=1)
    for easel in (first, second):
        easel.wait_pictures(1)
        easel.wait_progress("Image 2 of 2")
    server.open_gate()
    for easel in (first, second):
        easel.wait_pictures(2)
        easel.wait_infotext("two pizzas")
        easel.wait_idle()
    late = new_page(instead=True)
    late.wait_pictures(2)


def test_interrupt_keeps_what_is_finished(new_page: NewPage, server: Server) -> None:
    easel = new_page()
    easel.prepare("cats", batch_count=3)
    easel.generate()
    server.let_pass(range(1, STEPS + 1))
    server.let_pass(range(1, 2), image=1)
    easel.wait_progress("Image 2 of 3")
    easel.page.locator("#txt2img_interrupt").click()
    easel.wait_idle()
    easel.wait_pictures(1)
    assert easel.page.evaluate("window.easel.live.job.state") == "interrupted"


def test_skip_goes_on_with_the_next_picture(new_page: NewPage, server: Server) -> None:
    easel = new_page()
    easel.prepare("dogs", batch_count=2)
    easel.generate()
    server.let_pass(range(1, 2))
    easel.wait_progress(f"Step 1/{STEPS}")
    easel.page.locator("#txt2img_skip").click()
    server.let_pass(range(1, 3), image=1)
    easel.wait_progress("Image 2 of 2")
    server.open_gate()
    easel.wait_idle()
    easel.wait_pictures(1)


def test_the_keyboard_generates_queues_skips_and_interrupts(new_page: NewPage, server: Server) -> None:
    easel = new_page()
    easel.prepare("keys", batch_count=2)
    easel.page.locator("#txt2img_prompt textarea").press("Control+Enter")
    server.let_pass(range(1, 2))
    easel.wait_progress(f"Image 1 of 2 · Step 1/{STEPS}")
    easel.page.keyboard.press("Control+Enter")
    easel.wait_waiting(1)
    easel.page.keyboard.press("Alt+Enter")
    server.let_pass(range(1, 2), image=1)
    easel.wait_progress("Image 2 of 2")
    easel.page.keyboard.press("Escape")
    easel.wait_waiting(0)
    easel.wait_progress("Image 1 of 2")
    easel.page.keyboard.press("Escape")
    easel.wait_idle()
    assert easel.page.evaluate("window.easel.live.job.state") == "interrupted"


def test_clicks_queue_up_and_the_cursor_stays_in_the_prompt(new_page: NewPage, server: Server) -> None:
    easel = new_page()
    easel.prepare("one")
    for _ in range(4):
        easel.generate()
    easel.wait_waiting(3)
    expect(easel.page.locator("#tabs button[data-tab-id=queue]")).to_have_attribute("data-count", "4")
    easel.page.locator("#txt2img_prompt textarea").focus()
    server.open_gate()
    easel.wait_waiting(0)
    easel.wait_idle()
    easel.wait_pictures(1)
    assert easel.page.evaluate("document.activeElement.tagName") == "TEXTAREA"
    assert easel.page.evaluate("scrollY") == 0


def test_the_selected_picture_decides_infotext_and_reused_seed(new_page: NewPage, server: Server) -> None:
    easel = new_page()
    easel.prepare("many", batch_count=3)
    easel.page.locator("#txt2img_seed input").fill("9223372036854775800")
    easel.generate()
    server.open_gate()
    easel.wait_pictures(3)
    easel.wait_infotext("Seed: 9223372036854775800")
    easel.page.locator("#txt2img_gallery .thumbnails .thumbnail-small").nth(2).click()
    easel.wait_infotext("Seed: 9223372036854775802")
    easel.page.locator("#txt2img_reuse_seed").click()
    expect(easel.page.locator("#txt2img_seed input")).to_have_value("9223372036854775802")
    easel.page.locator("#txt2img_random_seed").click()
    expect(easel.page.locator("#txt2img_seed input")).to_have_value("-1")


def test_finished_pictures_stay_selected_while_more_arrive(new_page: NewPage, server: Server) -> None:
    easel = new_page()
    easel.prepare("grow", batch_count=3)
    easel.generate()
    for image in (0, 1):
        server.let_pass(range(1, STEPS + 1), image)
    easel.wait_pictures(2)
    easel.page.locator("#txt2img_gallery .thumbnails .thumbnail-small").nth(1).click()
    server.open_gate()
    easel.wait_pictures(3)
    assert easel.page.evaluate("window.easel.gallery.selected()") == 1


def test_what_is_chosen_while_an_answer_is_on_its_way_stays_chosen(new_page: NewPage, server: Server) -> None:
    easel = new_page()
    page = easel.page
    held: list[Route] = []
    may_pass = False

    def hold(route: Route) -> None:
        if may_pass:
            route.continue_()
        else:
            held.append(route)

    chosen = page.locator("#txt2img_gallery .thumbnails .thumbnail-small").nth(1)
    easel.prepare("hurry", batch_count=3)
    page.locator("#txt2img_seed input").fill("500")
    easel.generate()
    for image in (0, 1):
        server.let_pass(range(1, STEPS + 1), image)
    easel.wait_pictures(2)
    followed = page.evaluate("window.easel.live.job.id")
    page.route(lambda url: "/gradio_api/run/" in url, hold)
    with page.expect_request(lambda request: followed in (request.post_data or "")):
        server.open_gate()
    chosen.click()
    easel.wait_infotext("Seed: 501")
    may_pass = True
    for route in held:
        route.continue_()
    easel.wait_pictures(3)
    easel.wait_infotext("Seed: 501")
    expect(chosen).to_contain_class("selected")
    easel.wait_idle()
    page.locator("#txt2img_seed input").fill("700")
    easel.generate()
    easel.wait_infotext("Seed: 700")
    expect(chosen).not_to_contain_class("selected")

"""The Queue tab, and settings and checkpoints beside it."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.conftest import NewPage, OpenPage, Watch
from tests.browser.driver import STEPS, Easel, Server
from tests.web.site import BROKEN_CHECKPOINT

pytestmark = pytest.mark.browser
MARKUP = "<img src=x onerror=alert(1)> & <script>alert(2)</script>"


@pytest.fixture
def easel(server: Server, open_page: OpenPage) -> Iterator[Easel]:
    """A page whose form may hold what other tests have put into it."""
    yield open_page(server)
    server.settle()


def cards(easel: Easel, state: str) -> Locator:
    return easel.page.locator(f".easel-card[data-state={state}]")


def queue_three(easel: Easel) -> None:
    for prompt in ("first", "second", "third"):
        easel.prepare(prompt)
        easel.generate()
        easel.page.wait_for_function("text => window.easel.form.values.prompt === text", arg=prompt)
    easel.wait_waiting(2)


def press(card: Locator, action: str) -> None:
    card.locator(f"[data-action={action}]").click()


def test_jobs_are_listed_moved_cancelled_repeated_and_removed(easel: Easel, server: Server) -> None:
    queue_three(easel)
    easel.tab("queue")
    expect(cards(easel, "running").locator(".easel-card-prompt")).to_have_text("first")
    expect(cards(easel, "waiting").locator(".easel-card-prompt")).to_have_text(["second", "third"])
    press(cards(easel, "waiting").nth(1), "up")
    expect(cards(easel, "waiting").locator(".easel-card-prompt")).to_have_text(["third", "second"])
    press(cards(easel, "waiting").nth(0), "down")
    expect(cards(easel, "waiting").locator(".easel-card-prompt")).to_have_text(["second", "third"])
    press(cards(easel, "waiting").nth(0), "cancel")
    expect(cards(easel, "cancelled").locator(".easel-card-prompt")).to_have_text("second")
    server.let_pass(range(1, 3))
    expect(cards(easel, "running").locator(".easel-card-progress")).to_contain_text(f"Step 2/{STEPS}")
    press(cards(easel, "running"), "interrupt")
    expect(cards(easel, "interrupted").locator(".easel-card-prompt")).to_have_text("first")
    server.open_gate()
    expect(cards(easel, "finished").locator(".easel-thumbnail")).to_have_count(1)
    press(cards(easel, "cancelled"), "retry")
    expect(cards(easel, "finished").locator(".easel-card-prompt")).to_have_text(["second", "third"])
    press(cards(easel, "interrupted"), "remove")
    expect(cards(easel, "interrupted")).to_have_count(0)


def test_dragging_changes_the_order(easel: Easel) -> None:
    queue_three(easel)
    easel.tab("queue")
    cards(easel, "waiting").nth(1).drag_to(cards(easel, "waiting").nth(0))
    expect(cards(easel, "waiting").locator(".easel-card-prompt")).to_have_text(["third", "second"])


def test_a_paused_queue_begins_no_job(easel: Easel, server: Server) -> None:
    easel.tab("queue")
    easel.page.get_by_role("button", name="Pause").click()
    expect(easel.page.locator(".easel-queue-reason")).to_contain_text("Paused")
    server.open_gate()
    easel.tab("txt2img")
    easel.prepare("patient")
    easel.generate()
    easel.wait_waiting(1)
    easel.wait_progress("The queue is paused")
    easel.tab("queue")
    easel.page.get_by_role("button", name="Resume").click()
    expect(cards(easel, "finished").first.locator(".easel-card-prompt")).to_have_text("patient")


def test_use_these_settings_fills_the_form(new_page: NewPage, server: Server) -> None:
    server.open_gate()
    easel = new_page()
    easel.prepare("a blue cup", steps=9, width=192, cfg_scale=4.5)
    easel.page.locator("#txt2img_seed input").fill("9007199254740993")
    easel.page.locator("#txt2img_sampling input").click()
    easel.page.locator("[role=option]").filter(has_text="Euler a").click()
    easel.generate()
    easel.wait_pictures(1)
    easel.wait_infotext("a blue cup")
    other = new_page(instead=True)
    assert other.value("prompt") == ""
    other.tab("queue")
    press(cards(other, "finished").first, "use")
    expect(other.page.locator("#tab_txt2img")).to_be_visible()
    expect(other.page.locator("#txt2img_prompt textarea")).to_have_value("a blue cup")
    expect(other.page.locator("#txt2img_seed input")).to_have_value("9007199254740993")
    expect(other.page.locator("#txt2img_sampling input")).to_have_value("Euler a")
    expect(other.page.locator("#txt2img_width input[type=number]")).to_have_value("192")
    expect(other.page.locator("#txt2img_steps input[type=number]")).to_have_value("9")
    expect(other.page.locator("#txt2img_cfg_scale input[type=number]")).to_have_value("4.5")
    other.generate()
    other.wait_idle()
    other.wait_infotext("Seed: 9007199254740993")


def test_use_these_settings_turns_other_options_into_overrides(new_page: NewPage, server: Server) -> None:
    server.open_gate()
    easel = new_page()
    easel.prepare("a lamp", steps=4)
    easel.page.locator("#txt2img_hr-checkbox input").check()
    easel.page.evaluate("window.easel.form.set({override_settings: ['Clip skip: 3', 'Tiling: True']})")
    easel.wait_form(override_settings=["Clip skip: 3", "Tiling: True"], enable_hr=True)
    easel.generate()
    easel.wait_pictures(1)
    other = new_page(instead=True)
    other.tab("queue")
    press(cards(other, "finished").first, "use")
    other.wait_form(prompt="a lamp", steps=4, enable_hr=True, override_settings=["Clip skip: 3", "Tiling: True"])
    expect(other.page.locator("#txt2img_override_settings .token")).to_have_text(["Clip skip: 3", "Tiling: True"])


def test_prompts_are_never_markup(new_page: NewPage, server: Server) -> None:
    server.open_gate()
    easel = new_page()
    easel.prepare(MARKUP)
    easel.page.locator("#txt2img_neg_prompt textarea").fill(MARKUP)
    easel.generate()
    easel.wait_infotext(MARKUP)
    easel.tab("queue")
    expect(cards(easel, "finished").first.locator(".easel-card-prompt")).to_have_text(MARKUP)
    easel.page.locator(".easel-thumbnail").first.click()
    expect(easel.page.locator("dialog.easel-lightbox")).to_be_visible()
    easel.page.reload()
    easel.wait_ready()
    easel.wait_infotext(MARKUP)
    assert easel.page.locator("img[src=x]").count() == 0


def test_settings_apply_at_once_and_say_what_is_wrong(easel: Easel, watch: Watch) -> None:
    watch.forgive("422")
    easel.tab("settings")
    box = easel.page.locator("#setting_CLIP_stop_at_last_layers")
    box.fill("2")
    box.press("Tab")
    expect(easel.page.locator(".easel-option", has=box).locator(".easel-saved")).to_have_text("Saved")
    box.fill("99")
    box.press("Tab")
    problem = easel.page.locator(".easel-option", has=box).locator(".easel-error-text")
    expect(problem).to_contain_text("99 is not possible; allowed is a whole number from 1 to 12")
    easel.page.reload()
    easel.wait_ready()
    easel.tab("settings")
    expect(easel.page.locator("#setting_CLIP_stop_at_last_layers")).to_have_value("2")
    easel.page.locator("#setting_CLIP_stop_at_last_layers").fill("1")
    easel.page.keyboard.press("Tab")
    expect(easel.page.locator(".easel-option", has=box).locator(".easel-saved")).to_have_text("Saved")


def test_settings_are_searched_and_a_list_is_chosen_from(easel: Easel) -> None:
    easel.tab("settings")
    easel.page.locator("#settings_search").fill("ensd seed delta")
    expect(easel.page.locator(".easel-option:visible")).to_have_count(0)
    easel.page.locator("#settings_search").fill("noise seed delta")
    expect(easel.page.locator(".easel-option:visible label")).to_have_text(["Eta noise seed delta"])
    easel.page.locator("#settings_search").fill("")
    vae = easel.page.locator("#setting_sd_vae")
    # Other tests of the same server may have added files.
    expect(vae.locator("option").nth(0)).to_have_text("Automatic")
    expect(vae.locator("option").nth(1)).to_have_text("None")
    vae.select_option("None")
    expect(easel.page.locator(".easel-option", has=vae).locator(".easel-saved")).to_have_text("Saved")
    vae.select_option("Automatic")


def test_an_unusable_checkpoint_gives_its_reason(new_page: NewPage) -> None:
    easel = new_page()
    page = easel.page
    page.locator("#easel_checkpoint_note summary").click()
    expect(page.locator("#easel_checkpoint_note li")).to_contain_text(BROKEN_CHECKPOINT)
    selector = page.locator("#setting_sd_model_checkpoint input")
    before = selector.input_value()
    selector.click()
    page.locator("[role=option]").filter(has_text=BROKEN_CHECKPOINT).click()
    expect(page.locator(".easel-note.easel-error")).to_contain_text(BROKEN_CHECKPOINT)
    expect(page.locator("#easel_checkpoint_note [role=alert]")).to_contain_text("cannot be used")
    expect(selector).to_have_value(before)

"""What is around the prompts: counters, the inspector, styles, and keys that change weights."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import NewPage
from tests.browser.driver import Easel, Server
from tests.browser.serve import EMBEDDING

pytestmark = pytest.mark.browser
PROMPT = (
    f"(warm:1.3) [cool] light <lora:known:0.8> <lora:gone:1> {EMBEDDING} BREAK [cat:dog:0.5]"
    " # aside\nAND a bowl :0.6"
)


def press_in_prompt(easel: Easel, text: str, start: int, end: int, key: str) -> None:
    easel.prompt(text)
    area = easel.page.locator("#txt2img_prompt textarea")
    area.evaluate("(area, [start, end]) => { area.focus(); area.setSelectionRange(start, end) }", [start, end])
    area.press(key)


def test_a_counter_turns_red_while_brackets_do_not_match(new_page: NewPage) -> None:
    easel = new_page()
    counter = easel.page.locator("#txt2img_token_counter span")
    easel.prompt("a (red apple")
    expect(counter).to_have_attribute("data-easel-bad", "")
    expect(counter).to_have_attribute("title", "Brackets do not match: ( without )")
    easel.prompt("a (red) apple")
    expect(counter).not_to_have_attribute("data-easel-bad", "")
    expect(counter).to_have_text("3/75")


def test_the_inspector_shows_how_a_prompt_is_read(new_page: NewPage, server: Server) -> None:
    easel = new_page()
    page = easel.page
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if request.url.endswith("/inspect") else None)
    easel.prompt(PROMPT)
    page.locator("#txt2img_neg_prompt textarea").fill("blurry")
    easel.wait_form(negative_prompt="blurry")
    expect(page.locator("#txt2img_token_counter")).not_to_have_text("0/75")
    assert asked == [], "it asks only while it is open"
    page.locator(".easel-inspector summary").click()
    networks = page.locator(".easel-network")
    expect(networks.nth(0)).to_contain_text("known 0.8found")
    expect(networks.nth(1)).to_contain_text("gone 1missing")
    expect(page.locator(".easel-comments del")).to_have_text("# aside")
    expect(page.locator(".easel-part-head")).to_have_text(["Part 1 weight 1", "AND part 2 weight 0.6"])
    expect(page.locator(".easel-token[data-weight=more]")).to_have_text("warm1.3")
    expect(page.locator(".easel-token[data-weight=less]")).to_have_text("cool0.91")
    expect(page.locator(".easel-token[data-weight=more]")).to_have_attribute("title", re.compile(r"1\.3, id \d+"))
    expect(page.locator(".easel-embedding")).to_have_text(EMBEDDING)
    expect(page.locator(".easel-break")).to_have_count(1)
    stages = page.locator(".easel-strip button")
    expect(stages).to_have_text(["1–10", "11–20"])
    stages.nth(1).click()
    expect(page.locator(".easel-stage-text")).to_contain_text("dog")
    expect(page.locator(".easel-inspection h3")).to_contain_text(["Prompt", "Negative prompt"])
    page.reload()
    easel.wait_ready()
    expect(page.locator(".easel-network").first).to_contain_text("known")


def test_styles_are_written_chosen_applied_and_deleted(new_page: NewPage, server: Server) -> None:
    (server.folder / "styles.csv").unlink(missing_ok=True)
    easel = new_page()
    page = easel.page
    easel.prompt("a lamp")
    easel.wait_form(prompt="a lamp")
    page.locator("#txt2img_styles_edit_button").click()
    page.locator("#txt2img_edit_style_copy").click()
    expect(page.locator("#txt2img_edit_style_prompt")).to_have_value("a lamp")
    page.locator("#txt2img_styles_edit_select").fill("In ink")
    page.locator("#txt2img_edit_style_prompt").fill("{prompt}, in ink")
    page.locator("#txt2img_edit_style_neg_prompt").fill("colours")
    page.locator("#txt2img_edit_style_save").click()
    expect(page.get_by_role("option", name="In ink")).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Escape")
    page.locator("#txt2img_styles input").click()
    page.locator("#txt2img_styles [role=option]").filter(has_text="In ink").click()
    easel.wait_form(styles=["In ink"])
    expect(page.locator("#txt2img_token_counter")).to_have_text("4/75")
    page.reload()
    easel.wait_ready()
    expect(page.locator("#txt2img_styles .token")).to_have_text("In ink")
    page.locator("#txt2img_style_apply").click()
    easel.wait_form(prompt="a lamp, in ink", negative_prompt="colours", styles=[])
    page.locator("#txt2img_styles_edit_button").click()
    page.get_by_role("option", name="In ink").click()
    page.locator("#txt2img_edit_style_delete").click()
    page.locator("dialog.easel-ask [data-answer=yes]").click()
    expect(page.locator(".easel-style-list")).to_have_text("No styles yet.")


def test_keys_change_weights_and_move_items(new_page: NewPage) -> None:
    easel = new_page()
    area = easel.page.locator("#txt2img_prompt textarea")
    press_in_prompt(easel, "a red apple", 3, 3, "Control+ArrowUp")
    expect(area).to_have_value("a (red:1.1) apple")
    area.press("Control+ArrowUp")
    expect(area).to_have_value("a (red:1.2) apple")
    area.press("Control+ArrowDown")
    area.press("Control+ArrowDown")
    expect(area).to_have_value("a red apple")
    area.press("Control+ArrowDown")
    expect(area).to_have_value("a (red:0.9) apple")
    press_in_prompt(easel, "a red apple", 2, 11, "Control+ArrowUp")
    expect(area).to_have_value("a (red apple:1.1)")
    press_in_prompt(easel, "x <lora:known:0.8> y", 8, 8, "Control+ArrowDown")
    expect(area).to_have_value("x <lora:known:0.75> y")
    press_in_prompt(easel, "one, two, three", 6, 6, "Alt+ArrowRight")
    expect(area).to_have_value("one, three, two")
    area.press("Alt+ArrowLeft")
    area.press("Alt+ArrowLeft")
    expect(area).to_have_value("two, one, three")
    easel.wait_form(prompt="two, one, three")

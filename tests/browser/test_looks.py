"""Light and dark, narrow and wide, and the structures of Gradio's page that our scripts rely on."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import NewPage, OpenPage
from tests.browser.driver import Easel, Server

pytestmark = pytest.mark.browser
CONTRACT = [
    "#tabs > .tab-wrapper [role=tablist] > button[role=tab][data-tab-id=queue]",
    "#tabs button[role=tab][data-tab-id=txt2img].selected",
    "#txt2img_prompt textarea",
    "#txt2img_steps input[type=number]",
    "#txt2img_steps input[type=range]",
    "#txt2img_steps .tab-like-container",
    "#txt2img_sampling input[role=combobox]",
    "#txt2img_sampling .wrap-inner",
    "#txt2img_settings .form > .block",
    "#txt2img_hr-checkbox label input[type=checkbox]",
    "#txt2img_hr .easel-fold-head > .form",
    "#txt2img_styles .wrap-inner .secondary-wrap .icon-wrap",
    "button#txt2img_remember",
    "button#txt2img_generate",
    "button#txt2img_fill",
    "button#txt2img_gallery_refresh",
    "button#easel_checkpoint_sync",
    "main.contain > .column",
    "#txt2img_gallery .gallery-container .preview button.media-button img[data-testid=detailed-image]",
    "#txt2img_gallery .preview .thumbnails > button.thumbnail-item.thumbnail-small.selected",
    "#txt2img_gallery .grid-wrap .thumbnail-item",
    "[role=listbox] [role=option]",
]
BACKGROUND = "getComputedStyle(document.body).backgroundColor"


def brightness(easel: Easel) -> float:
    numbers = easel.page.evaluate(BACKGROUND).strip("rgba()").split(",")
    return sum(float(number) for number in numbers[:3]) / 3


def overflow(easel: Easel) -> int:
    width: int = easel.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return width


def test_the_scheme_follows_the_system_and_the_users_choice(new_page: NewPage) -> None:
    assert brightness(new_page()) > 200
    dark = new_page(instead=True, scheme="dark")
    assert brightness(dark) < 60
    dark.page.get_by_role("button", name="Light or dark").click()
    assert brightness(dark) > 200
    dark.page.reload()
    dark.wait_ready()
    assert brightness(dark) > 200
    dark.page.goto(f"{dark.url}/?__theme=dark")
    dark.wait_ready()
    assert brightness(dark) < 60


def test_a_phone_shows_everything_without_scrolling_sideways(new_page: NewPage, server: Server) -> None:
    server.open_gate()
    easel = new_page(width=390, height=844)
    easel.prepare("a very long prompt " * 20 + "x" * 200, batch_count=2)
    easel.generate()
    easel.wait_pictures(2)
    assert overflow(easel) <= 0
    tabs = {"queue": ".easel-card", "pnginfo": "#pnginfo_image", "settings": ".easel-option"}
    for tab, content in {**tabs, "txt2img": "#txt2img_generate"}.items():
        easel.tab(tab)
        expect(easel.page.locator(content).first).to_be_visible()
        assert overflow(easel) <= 0, tab
    gallery, settings = (easel.page.locator(f"#txt2img_{name}").bounding_box() for name in ("results", "settings"))
    assert gallery is not None
    assert settings is not None
    assert gallery["y"] < settings["y"], "pictures come before the settings"


def test_everything_folded_out_fits_on_a_phone(new_page: NewPage) -> None:
    easel = new_page(width=390, height=844, scheme="dark")
    easel.prompt("[a|b] AND " + "word " * 90)
    easel.wait_form(prompt="[a|b] AND " + "word " * 90)
    for box in ("txt2img_hr-checkbox", "txt2img_enable-checkbox", "txt2img_subseed_show"):
        easel.page.locator(f"#{box} input").check()
    easel.page.locator("#txt2img_hr_more button").click()
    easel.page.locator(".easel-inspector summary").click()
    expect(easel.page.locator(".easel-strip button").first).to_be_visible()
    assert overflow(easel) <= 0
    label, frame = (easel.page.locator(place).bounding_box() for place in (".easel-hires-size", "#txt2img_hr"))
    assert label is not None
    assert frame is not None
    assert label["x"] + label["width"] <= frame["x"] + frame["width"]


def test_every_button_and_field_has_a_name(open_page: OpenPage, server: Server) -> None:
    easel = open_page(server)
    nameless = easel.page.evaluate(
        "[...document.querySelectorAll('#tab_txt2img :is(button, input, textarea)')].filter(e => e.offsetParent"
        " && !(e.ariaLabel || e.title || e.textContent.trim() || e.labels?.length)).map(e => e.outerHTML)"
    )
    assert nameless == []


def test_touch_targets_are_large_enough(open_page: OpenPage, server: Server) -> None:
    easel = open_page(server, width=390, height=844)
    ours = ("paste", "txt2img_clear_prompt", "txt2img_styles_edit_button", "txt2img_res_switch_btn")
    for element in (*ours, "txt2img_generate", "txt2img_random_seed", "refresh_sd_model_checkpoint"):
        box = easel.page.locator(f"#{element}").bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= 40, element


def test_gradios_structure_is_as_our_scripts_and_styles_expect(new_page: NewPage, server: Server) -> None:
    server.open_gate()
    easel = new_page()
    easel.prepare("contract")
    easel.generate()
    easel.wait_pictures(1)
    easel.page.locator("#txt2img_sampling input").click()
    missing = [selector for selector in CONTRACT if easel.page.locator(selector).count() == 0]
    assert missing == []

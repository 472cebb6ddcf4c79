"""Light and dark, narrow and wide, and the structures of Gradio's page that our scripts rely on."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import NewPage
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
    light, dark = new_page(), new_page(scheme="dark")
    assert brightness(light) > 200
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
    for tab, content in (("queue", ".easel-card"), ("settings", ".easel-option"), ("txt2img", "#txt2img_generate")):
        easel.tab(tab)
        expect(easel.page.locator(content).first).to_be_visible()
        assert overflow(easel) <= 0, tab
    gallery, settings = (easel.page.locator(f"#txt2img_{name}").bounding_box() for name in ("results", "settings"))
    assert gallery is not None
    assert settings is not None
    assert gallery["y"] < settings["y"], "pictures come before the settings"


def test_touch_targets_are_large_enough(new_page: NewPage) -> None:
    easel = new_page(width=390, height=844)
    for element in ("txt2img_generate", "txt2img_res_switch_btn", "txt2img_random_seed", "refresh_sd_model_checkpoint"):
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

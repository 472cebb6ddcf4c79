"""What each known extension is for, done once through the page or its own addresses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import httpx
from playwright.sync_api import expect

from tests.community.page import Watched
from tests.community.site import Site
from tests.fakes import wait_until

Scenario = Callable[[Watched, Site], "str | None"]
"""Returns what is wrong, or nothing."""
PATIENCE_MS = 60_000
PROMPT = "#txt2img_prompt textarea"


def _infotext(page: Watched) -> str:
    page.page.wait_for_timeout(1000)
    return page.page.locator(f"#html_info_{page.place}").inner_text()


def _run_saying(page: Watched, word: str) -> str | None:
    """Generate, and look for a word in the picture's infotext."""
    said = page.run_job()
    text = _infotext(page)
    return said or (None if word in text else f"{word!r} is not in the infotext: {text[:300]}")


def complete_tag(page: Watched, _: Site) -> str | None:
    # It fetches its lists once the page is there; what is typed before that completes nothing.
    page.page.wait_for_function("typeof allTags !== 'undefined' && allTags.length > 0", timeout=PATIENCE_MS)
    page.prompt("")
    page.page.locator(PROMPT).click()
    page.page.keyboard.type("1gi", delay=120)
    results = page.page.locator(".autocompleteResults:visible li")
    expect(results.first).to_be_visible(timeout=PATIENCE_MS)
    page.page.keyboard.press("Tab")
    page.page.wait_for_timeout(500)
    text = page.page.locator(PROMPT).input_value()
    return None if text.startswith("1girl") else f"the prompt became {text!r}"


def use_wildcard(page: Watched, site: Site) -> str | None:
    page.prompt("a __easel_colour__ {apple|apple}")
    said = page.run_job()
    text = _infotext(page)
    return said or (None if "a turquoise apple" in text else f"the infotext is {text[:200]!r}")


def write_wildcard(site: Site) -> None:
    folder = site.folder / "extensions" / "sd-dynamic-prompts" / "wildcards"
    folder.mkdir(exist_ok=True)
    (folder / "easel_colour.txt").write_text("turquoise\n", encoding="utf-8")


def detect_again(page: Watched, _: Site) -> str | None:
    page.page.locator("#script_txt2img_adetailer_ad_main_accordion-visible-checkbox").check()
    page.page.locator("#script_txt2img_adetailer_ad_model input").first.click()
    page.page.locator("[role=option][aria-label='easel_face.pt']").first.click()
    return _run_saying(page, "ADetailer model")


def write_detector(site: Site) -> None:
    folder = site.folder / "models" / "adetailer"
    folder.mkdir(parents=True)
    (folder / "easel_face.pt").write_bytes(b"stub")


def enqueue(page: Watched, site: Site) -> str | None:
    page.prepare("a queued apple", steps=2, width=64, height=64)
    page.page.locator("#txt2img_enqueue").click()

    def done() -> bool:
        found = site.get("/agent-scheduler/v1/history")
        return bool(found["tasks"])

    wait_until(done, 90)
    task = site.get("/agent-scheduler/v1/history")["tasks"][0]
    return None if task["status"] == "done" else f"the task is {task['status']}: {task['result']}"


def browse_images(page: Watched, site: Site) -> str | None:
    answer = httpx.get(f"{site.url}/infinite_image_browsing", timeout=30, follow_redirects=True)
    if answer.status_code != httpx.codes.OK:
        return f"its page answers {answer.status_code}"
    page.open_tab("infinite-image-browsing")

    def shown() -> bool:
        frames = [frame for frame in page.page.frames if frame != page.page.main_frame]
        page.page.wait_for_timeout(500)
        return any(frame.evaluate("document.body.querySelectorAll('button, a, input').length > 3") for frame in frames)

    wait_until(shown, 60)
    return None


def format_prompt(page: Watched, _: Site) -> str | None:
    page.prompt("a,,b  , a_c")
    page.page.locator("#le-formatter button").first.evaluate("e => e.click()")
    page.page.wait_for_timeout(500)
    text = page.page.locator(PROMPT).input_value()
    return None if text.startswith("a, b") else f"the prompt became {text!r}"


def see_element(selector: str, page: Watched, _: Site) -> str | None:
    """Look for something of the extension's in the document."""
    found = page.page.locator(selector)
    return None if found.count() else f"{selector} is not in the document"


def see_tab(tab: str, page: Watched, _: Site) -> str | None:
    """Open the extension's tab, and look whether it shows controls."""
    page.open_tab(tab)
    page.page.wait_for_timeout(500)
    inside = page.page.locator(f"#tab_{tab} :is(button, input, textarea):visible")
    return None if inside.count() else f"the tab {tab} shows no control"


def keep_ratio(page: Watched, _: Site) -> str | None:
    picker = page.page.locator("#tab_txt2img select")
    if not picker.count():
        return "there is no picker of ratios"
    options = picker.first.locator("option").all_inner_texts()
    wanted = next((each for each in options if each in ("16:9", "2:1", "3:2", "4:3")), None)
    if wanted is None:
        return f"the picker offers {options}"
    before = (page.value("width"), page.value("height"))
    picker.first.select_option(label=wanted)
    page.page.wait_for_timeout(700)
    width, height = float(page.value("width")), float(page.value("height"))
    across, down = map(int, wanted.split(":"))
    fits = abs(width / height - across / down) < 0.1 * across / down
    return None if fits else f"{wanted} made {before} to {width}x{height}"


def tile_run(page: Watched, site: Site) -> str | None:
    page.img2img()
    page.choose_script("Ultimate SD upscale")
    page.page.wait_for_timeout(1500)
    box = page.page.locator("#img2img_script_container input[type=number]:visible")
    return page.run_job() if box.count() else "the script shows no controls"


def second_pass(page: Watched, _: Site) -> str | None:
    page.page.locator("#txt2img_hr-checkbox input").first.evaluate("e => e.checked || e.click()")
    page.page.wait_for_timeout(500)
    return page.run_job()


SCENARIOS: Mapping[str, Scenario] = {
    "a1111-sd-webui-tagcomplete": complete_tag,
    "sd-webui-infinite-image-browsing": browse_images,
    "sd-webui-aspect-ratio-helper": keep_ratio,
    "sd-webui-prompt-all-in-one": partial(see_element, "[id*=physton-prompt]"),
    "stable-diffusion-webui-images-browser": partial(see_tab, "image_browser"),
    "Config-Presets": partial(see_element, "#config_preset_txt2img_dropdown input"),
    "a1111-sd-webui-haku-img": partial(see_tab, "haku_img"),
    "sd-webui-prompt-format": format_prompt,
    "stable-diffusion-webui-model-toolkit": partial(see_tab, "checkpoint_toolkit"),
    "stable-diffusion-webui-wd14-tagger": partial(see_tab, "tagger"),
    "Stable-Diffusion-Webui-Civitai-Helper": partial(see_tab, "civitai_helper"),
    "sd-dynamic-prompts": use_wildcard,
    "adetailer": detect_again,
    "ultimate-upscale-for-automatic1111": tile_run,
    "sd-webui-agent-scheduler": enqueue,
    "sd-webui-inpaint-anything": partial(see_tab, "inpaint_anything"),
    "sd-webui-deforum": partial(see_tab, "deforum_interface"),
    "sd-webui-hires-fix-tweaks": second_pass,
    "stable-diffusion-webui-depthmap-script": partial(see_tab, "depthmap_interface"),
    "sd-webui-additional-networks": partial(see_tab, "additional_networks"),
    "embedding-inspector": partial(see_tab, "inspector"),
}
PREPARATIONS: Mapping[str, Callable[[Site], None]] = {
    "sd-dynamic-prompts": write_wildcard,
    "adetailer": write_detector,
}
"""What is put into the data folder before the server begins."""

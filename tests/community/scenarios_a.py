"""What extensions of kind a are for: pages, tabs and what stands beside the form."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx
from PIL import Image
from playwright.sync_api import Route, expect

from tests.community.page import Watched, picture
from tests.community.site import STARTER, Site
from tests.community.steps import (
    PATIENCE_MS,
    PROMPT,
    SMALL,
    Scenario,
    choose,
    fill,
    number,
    picture_of,
    press,
    renew,
    see_element,
    see_tab,
    shown,
)  # fmt: skip
from tests.fakes import wait_until

TAGGER = ("SmilingWolf/wd-v1-4-convnextv2-tagger-v2", "v2.0")
TAGS = ("general", "sensitive", "questionable", "explicit", "easel_turquoise")
MAKE_TAGGER = """
import sys
import numpy, onnx
from onnx import TensorProto, helper, numpy_helper
path, count = sys.argv[1], int(sys.argv[2])
weights = numpy_helper.from_array(numpy.zeros((3, count), "float32"), "weights")
surely = numpy_helper.from_array(numpy.full((count,), 0.9, "float32"), "surely")
nodes = [
    helper.make_node("ReduceMean", ["picture"], ["mean"], axes=[1, 2], keepdims=0),
    helper.make_node("Gemm", ["mean", "weights", "surely"], ["tags"]),
]
taken = helper.make_tensor_value_info("picture", TensorProto.FLOAT, [1, 64, 64, 3])
given = helper.make_tensor_value_info("tags", TensorProto.FLOAT, [1, count])
graph = helper.make_graph(nodes, "stub", [taken], [given], [weights, surely])
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
"""
"""A stub of a tagger, whose weights are not here: it is sure of every tag."""
MAKE_VAE = """
import sys
from pathlib import Path
import torch
from safetensors.torch import save_file
listed, path = Path(sys.argv[1]), sys.argv[2]
pairs = [line.split(" ", 1) for line in listed.read_text().splitlines() if " [" in line]
shapes = {name: [int(each) for each in shape.strip("[] ").split(",") if each] for name, shape in pairs}
save_file({f"first_stage_model.{name}": torch.zeros(shape) for name, shape in shapes.items()}, path)
"""

MAKE_WRITER = """
import sys
from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel
tokens, path = AutoTokenizer.from_pretrained(sys.argv[1]), sys.argv[2]
sizes = dict(vocab_size=len(tokens), n_positions=256, n_embd=8, n_layer=1, n_head=1)
ends = dict(bos_token_id=tokens.bos_token_id, eos_token_id=tokens.eos_token_id)
GPT2LMHeadModel(GPT2Config(**sizes, **ends)).save_pretrained(path)
tokens.save_pretrained(path)
"""
"""A stub of a writer of prompts, whose weights are not here: it goes on with any words."""


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


def browse_images(page: Watched, site: Site) -> str | None:
    answer = httpx.get(f"{site.url}/infinite_image_browsing", timeout=30, follow_redirects=True)
    if answer.status_code != httpx.codes.OK:
        return f"its page answers {answer.status_code}"
    page.open_tab("infinite-image-browsing")

    def is_there() -> bool:
        frames = [frame for frame in page.page.frames if frame != page.page.main_frame]
        page.page.wait_for_timeout(500)
        return any(frame.evaluate("document.body.querySelectorAll('button, a, input').length > 3") for frame in frames)

    wait_until(is_there, 60)
    return None


def format_prompt(page: Watched, _: Site) -> str | None:
    page.prompt("a,,b  , a_c")
    page.page.locator("#le-formatter button").first.evaluate("e => e.click()")
    page.page.wait_for_timeout(500)
    text = page.page.locator(PROMPT).input_value()
    return None if text.startswith("a, b") else f"the prompt became {text!r}"


def keep_ratio(page: Watched, site: Site) -> str | None:
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
    if abs(width / height - across / down) >= 0.1 * across / down:
        return f"{wanted} made {before} to {width}x{height}"
    page.img2img()
    wide = site.folder / "wide.png"
    Image.radial_gradient("L").resize((96, 64)).convert("RGB").save(wide)
    page.page.locator(".easel-canvas[data-name=img2img] input[type=file]").first.set_input_files(wide)
    page.page.wait_for_function("a1111Pictures.picture", timeout=PATIENCE_MS)
    page.page.locator("#tab_img2img select").first.select_option(label="🖼️")
    page.page.wait_for_timeout(1500)
    size = (page.value("width"), page.value("height"))
    return None if size == ("96", "64") else f"the picture of 96x64 gives {size}"


def press_ratio(page: Watched, _: Site) -> str | None:
    """Press a button of sd-webui-ar's rows for a ratio that is not 1."""
    page.prepare(width=512, height=512)
    row = page.page.locator("#txt2img_row_aspect_ratio button").filter(has_text=re.compile(r"^\s*\d+:\d+\s*$"))
    words = [text.strip() for text in row.all_inner_texts()]
    wanted = next((text for text in words if text != "1:1"), None)
    if wanted is None:
        return f"there are the buttons {words}"
    row.filter(has_text=wanted).first.evaluate("button => button.click()")
    across, down = map(int, wanted.split(":"))
    page.page.wait_for_timeout(2000)
    width, height = float(page.value("width")), float(page.value("height"))
    return None if abs(width / height - across / down) < 0.05 else f"{wanted} made the size {width}x{height}"


def show_picture(page: Watched, _: Site) -> str | None:
    """Make a picture, and find it in the browser of pictures."""
    picture_of(page, "a red apple")
    page.open_tab("image_browser")
    page.page.wait_for_timeout(1000)
    press(page.page.locator("#tab_image_browser"), "First Page")
    found = page.page.locator("[id$=_image_browser_gallery] img")
    expect(found.first).to_be_attached(timeout=PATIENCE_MS)
    found.first.evaluate("image => (image.closest('button') ?? image).click()")
    told = "() => [...document.querySelectorAll('#tab_image_browser textarea, #tab_image_browser p')]"
    told += ".some(each => (each.value ?? each.textContent).includes('a red apple'))"
    return None if shown(page, told) else "the picture's text is not shown"


def turn_hue(page: Watched, site: Site) -> str | None:
    """Give haku-img a picture, and have its brightness changed."""
    page.open_tab("haku_img")
    tab = page.page.locator("#tab_haku_img")
    tab.get_by_role("tab", name="Effect", exact=True).click()
    tab.locator("#haku_img_eff input[type=file]").first.set_input_files(picture(site.folder))
    page.page.wait_for_timeout(1500)
    number(tab, "temperature", 60)
    page.page.wait_for_timeout(500)
    press(tab.locator("#haku_color"), "refresh")
    expect(tab.locator("#haku_out img")).to_be_attached(timeout=PATIENCE_MS)
    return None


def analyse_vae(page: Watched, _: Site) -> str | None:
    page.open_tab("checkpoint_toolkit")
    tab = page.page.locator("#tab_checkpoint_toolkit")
    choose(page, tab, "Source", "easel_vae")
    press(tab, "Load")
    report = tab.locator("#reportmd").first
    expect(report).to_contain_text("VAE-v1", timeout=PATIENCE_MS)
    return None


def write_vae(site: Site) -> None:
    """Write a checkpoint with the names and shapes of a VAE that the extension itself lists."""
    listed = site.folder / "extensions" / "stable-diffusion-webui-model-toolkit" / "components" / "VAE-v1-SD.txt"
    path = site.folder / "models" / "Stable-diffusion" / "easel_vae.safetensors"
    subprocess.run([sys.executable, "-c", MAKE_VAE, str(listed), str(path)], check=True)


def tag_picture(page: Watched, site: Site) -> str | None:
    page.open_tab("tagger")
    tab = page.page.locator("#tab_tagger")
    choose(page, tab, "Interrogator", "wd14-convnextv2-v2")
    tab.locator("input[type=file]").first.set_input_files(picture(site.folder))
    found = "tag => [...document.querySelectorAll('#tab_tagger textarea')].some(each => each.value.includes(tag))"
    return None if shown(page, found, "easel turquoise") else "the tag is not among those found"


def write_tagger(site: Site) -> None:
    """Put a stub where Hugging Face's files are kept."""
    name, version = TAGGER
    model = site.folder / "hub" / "hub" / f"models--{name.replace('/', '--')}"
    files = model / "snapshots" / "easel"
    files.mkdir(parents=True)
    (model / "refs").mkdir()
    (model / "refs" / version).write_text("easel", encoding="utf-8")
    lines = [f"{place},{tag},{9 if place < 4 else 0},1" for place, tag in enumerate(TAGS)]
    (files / "selected_tags.csv").write_text("\n".join(["tag_id,name,category,count", *lines]), encoding="utf-8")
    site.python(MAKE_TAGGER, str(files / "model.onnx"), str(len(TAGS)))


def draw_pose(page: Watched, _: Site) -> str | None:
    """Draw a pose and send it; where it goes is ControlNet's, which is not here."""
    page.open_tab("openpose_editor")
    drawn = "() => document.querySelector('#openpose_editor_canvas').getContext('2d')"
    drawn += ".getImageData(0, 0, 512, 512).data.some((value, place) => place % 4 < 3 && value > 50)"
    if not shown(page, drawn):
        return "the canvas is empty"
    with page.page.expect_download(timeout=PATIENCE_MS) as download:
        press(page.page.locator("#tab_openpose_editor"), "Save PNG")
    return None if Path(download.value.path()).read_bytes().startswith(b"\x89PNG") else "no PNG was saved"


def write_on(page: Watched, _: Site) -> str | None:
    """Have a stub go on with a prompt, and send what it wrote to the form."""
    page.open_tab("promptgen")
    tab = page.page.locator("#tab_promptgen")
    fill(tab.locator("#promptgen_prompt textarea"), "a turquoise apple")
    for label, value in (("Max length", 32), ("Batch size", 2)):
        number(tab, label, value)
    press(tab, "Generate")
    expect(tab.locator("#promptgen_res_2")).to_be_attached(timeout=PATIENCE_MS)
    tab.locator("tr a").filter(has_text="to txt2img").first.click()
    sent = "() => document.querySelector('#txt2img_prompt textarea').value.startsWith('a turquoise apple')"
    return None if shown(page, sent) else "the prompt did not come to the form"


def write_writer(site: Site) -> None:
    path = site.folder / "extensions" / "stable-diffusion-webui-promptgen" / "models" / "easel"
    subprocess.run([sys.executable, "-c", MAKE_WRITER, str(STARTER / "tokenizer"), str(path)], check=True)


def keep_state(page: Watched, site: Site) -> str | None:
    """Have the prompt and the steps kept by the extension alone, and come back when the page is loaded again."""
    page.open_tab("settings")
    section = page.page.locator("#easel_settings #settings_state")
    expect(section.locator("#settings_state_buttons button").first).to_be_visible(timeout=PATIENCE_MS)
    kept = section.locator("#setting_state_txt2img")
    for name in ("prompt", "sampling_steps"):
        kept.get_by_label(name, exact=True).check()
    wait_until(lambda: site.settings().get("state_txt2img") == ["prompt", "sampling_steps"], 30)
    renew(page)
    page.prepare("a kept apple", steps=7)
    page.page.wait_for_timeout(1000)
    # Easel keeps the form too.
    page.page.evaluate("Object.keys(localStorage).forEach(k => k.startsWith('state-') || localStorage.removeItem(k))")
    renew(page)
    back = "() => document.querySelector('#txt2img_prompt textarea').value === 'a kept apple'"
    if not shown(page, back):
        return "the prompt did not come back"
    return None if page.value("steps") == "7" else f"the steps came back as {page.value('steps')}"


def pose_in_space(page: Watched, _: Site) -> str | None:
    """Send the pose that the editor begins with to where it can be saved."""
    page.open_tab("threedopenpose")
    editor = page.page.frame_locator("#openpose3d_iframe")
    # Its menu is there before what it draws.
    page.page.wait_for_timeout(10_000)
    editor.get_by_text("Generate", exact=True).first.click(timeout=PATIENCE_MS)
    pose = page.page.locator("#openpose3d_pose_image img")
    expect(pose.first).to_be_attached(timeout=PATIENCE_MS)
    with page.page.expect_download(timeout=PATIENCE_MS) as download:
        press(page.page.locator("#tab_threedopenpose"), "Download")
    return None if Path(download.value.path()).read_bytes().startswith(b"\x89PNG") else "no PNG was saved"


def dress_page(page: Watched, _: Site) -> str | None:
    """Let lobe-theme ask its websites, for which we answer, and make a picture in what it makes of the page."""
    page.page.route(re.compile("^https://"), _answer_for_website)
    sites = {"names": ["https://api.github.com", "https://registry.npmmirror.com"]}
    page.page.request.post(f"{page.url}/easel/extensions/sites", data=sites)
    renew(page)
    tab = page.page.get_by_role("tab", name="Txt 2 Img").or_(page.page.get_by_text("Txt 2 Img")).first
    expect(tab).to_be_visible(timeout=PATIENCE_MS)
    page.prepare("a red apple", **SMALL)
    return page.run_job()


def _answer_for_website(route: Route) -> None:
    headers = {"access-control-allow-origin": "*"}
    if "api.github.com" in route.request.url:
        route.fulfill(json={"tag_name": "v1.0.0"}, headers=headers)
    else:
        route.fulfill(body="", headers=headers)


def open_scripts(page: Watched, _: Site) -> str | None:
    """Open the tab that the extension made of the scripts, and run one from there; what else is there is a tab too."""
    place = page.page.locator("#txt2img_script_container")
    tabs = place.locator("#tabs_ex_txt button")
    expect(tabs.first).to_be_visible(timeout=PATIENCE_MS)
    words = [text.strip() for text in tabs.all_inner_texts()]
    if "Scripts" not in words:
        return f"there are the tabs {words}"
    if words[0] != "Scripts":
        tabs.filter(has_text="Scripts").click()
    expect(place.locator("[id^=tabs_ex_content] #txt2img_script_list")).to_be_visible(timeout=PATIENCE_MS)
    page.prepare("a red|green apple", **SMALL)
    page.choose_script("Prompt matrix")
    return page.run_job()


SCENARIOS: Mapping[str, Scenario] = {
    "a1111-sd-webui-tagcomplete": complete_tag,
    "sd-webui-infinite-image-browsing": browse_images,
    "sd-webui-aspect-ratio-helper": keep_ratio,
    "sd-webui-prompt-all-in-one": see_element("[id*=physton-prompt]"),
    "stable-diffusion-webui-images-browser": show_picture,
    "Config-Presets": see_element("#config_preset_txt2img_dropdown input"),
    "a1111-sd-webui-haku-img": turn_hue,
    "sd-webui-prompt-format": format_prompt,
    "stable-diffusion-webui-model-toolkit": analyse_vae,
    "stable-diffusion-webui-wd14-tagger": tag_picture,
    "Stable-Diffusion-Webui-Civitai-Helper": see_tab("civitai_helper"),
    "sd-webui-ar": press_ratio,
    "openpose-editor": draw_pose,
    "sd-webui-tabs-extension": open_scripts,
    "stable-diffusion-webui-promptgen": write_on,
    "stable-diffusion-webui-state": keep_state,
    "sd-webui-3d-open-pose-editor": pose_in_space,
    "sd-webui-lobe-theme": dress_page,
}
PREPARATIONS: Mapping[str, Callable[[Site], None]] = {
    "stable-diffusion-webui-model-toolkit": write_vae,
    "stable-diffusion-webui-wd14-tagger": write_tagger,
    "stable-diffusion-webui-promptgen": write_writer,
}
"""What is put into the data folder before the server begins."""

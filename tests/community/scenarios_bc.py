"""What extensions of kinds b and c are for: prompts, pictures after they are made, and whole runs."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Mapping

from PIL import Image
from playwright.sync_api import expect

from tests.community.page import Watched, picture
from tests.community.site import Site
from tests.community.steps import (
    PATIENCE_MS,
    Scenario,
    choose,
    infotext,
    number,
    part,
    picture_of,
    press,
    run_saying,
    shown,
    tick,
    write,
)  # fmt: skip
from tests.fakes import wait_until

LONG = 240.0
DEFORUM = {
    "W": 64, "H": 64, "seed": 5, "steps": 2, "steps_schedule": "0: (2)", "max_frames": 3, "animation_mode": "2D",
    "diffusion_cadence": 1, "skip_video_creation": True, "prompts": {"0": "a red apple"}, "sampler": "Euler",
    "color_coherence": "LAB", "batch_name": "easel",
}  # fmt: skip
MAKE_CUTTER = """
import sys
import onnx
from onnx import TensorProto, helper
node = helper.make_node("ReduceMean", ["picture"], ["mask"], axes=[1], keepdims=1)
taken = helper.make_tensor_value_info("picture", TensorProto.FLOAT, [1, 3, 320, 320])
given = helper.make_tensor_value_info("mask", TensorProto.FLOAT, [1, 1, 320, 320])
graph = helper.make_graph([node], "stub", [taken], [given])
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), sys.argv[1])
"""


def use_wildcard(page: Watched, _: Site) -> str | None:
    page.prompt("a __easel_colour__ {apple|apple}")
    return run_saying(page, "a turquoise apple")


def write_wildcard(site: Site) -> None:
    folder = site.folder / "extensions" / "sd-dynamic-prompts" / "wildcards"
    folder.mkdir(exist_ok=True)
    (folder / "easel_colour.txt").write_text("turquoise\n", encoding="utf-8")


def use_lines(page: Watched, site: Site) -> str | None:
    """Have a name in the prompt stand for a line of a file, then for another line."""
    file = site.folder / "extensions" / "stable-diffusion-webui-wildcards" / "wildcards" / "easel_thing.txt"
    plain = picture_of(page, "a red apple")
    pictures = {}
    for line in ("apple", "cup"):
        file.write_text(f"{line}\n{line}\n", encoding="utf-8")
        pictures[line] = picture_of(page, "a red __easel_thing__")
    told = infotext(page)
    if pictures["apple"] != plain or pictures["cup"] == plain:
        return "a line makes another picture than its words do in the prompt, or another line makes the same"
    wanted = ("a red cup", "Wildcard prompt: a red __easel_thing__")
    return None if all(words in told for words in wanted) else f"the infotext is {told[:300]}"


def detect_again(page: Watched, _: Site) -> str | None:
    page.page.locator("#script_txt2img_adetailer_ad_main_accordion-visible-checkbox").check()
    page.page.locator("#script_txt2img_adetailer_ad_model input").first.click()
    page.page.locator("[role=option][aria-label='easel_face.pt']").first.click()
    return run_saying(page, "ADetailer model")


def write_detector(site: Site) -> None:
    folder = site.folder / "models" / "adetailer"
    folder.mkdir(parents=True)
    (folder / "easel_face.pt").write_bytes(b"stub")


def swap_face(page: Watched, site: Site) -> str | None:
    """Have a run go through the swapping of faces, whose model lies beside the program, where the check has none."""
    roop = part(page, "roop")
    roop.locator("input[type=file]").first.set_input_files(picture(site.folder))
    page.page.wait_for_timeout(1500)
    tick(roop, "Enable")
    page.prepare("a red apple", steps=2, width=64, height=64)
    return page.run_job()


def ask_for_weights(page: Watched, site: Site) -> str | None:
    """Ask Segment Anything for a mask, which without weights has to end with its own words."""
    section = part(page, "Segment Anything")
    section.locator("#txt2img_sam_input_image input[type=file]").first.set_input_files(picture(site.folder))
    page.page.wait_for_timeout(1500)
    press(section, "Preview Segmentation")
    said = "() => [...document.querySelectorAll('#tab_txt2img textarea')]"
    said += ".some(each => each.value.includes('SAM model not found'))"
    return None if shown(page, said) else "it does not say that its model is missing"


def choose_shortcode(page: Watched, _: Site) -> str | None:
    page.prompt("a [choose]turquoise|turquoise[/choose] apple")
    return run_saying(page, "a turquoise apple")


def remove_background(_: Watched, site: Site) -> str | None:
    """Have a picture cut out through its address, by a stub of a network that takes brightness for what matters."""
    given = base64.b64encode(picture(site.folder).read_bytes()).decode()
    answer = site.post("/rembg", {"input_image": given, "model": "u2net"})
    cut = Image.open(io.BytesIO(base64.b64decode(answer["image"])))
    seen = cut.getchannel("A").tobytes()
    return None if min(seen) < 8 and max(seen) == 255 else f"what is seen of it goes from {min(seen)} to {max(seen)}"


def write_cutter(site: Site) -> None:
    (site.folder / "hub").mkdir(exist_ok=True)
    site.python(MAKE_CUTTER, str(site.folder / "hub" / "u2net.onnx"))


def tile_run(page: Watched, site: Site) -> str | None:
    """Have a picture of 64 pixels painted anew at twice the size."""
    page.img2img()
    page.page.locator(".easel-canvas[data-name=img2img] input[type=file]").first.set_input_files(picture(site.folder))
    page.prepare(steps=2, width=64, height=64)
    page.choose_script("Ultimate SD upscale")
    page.page.wait_for_timeout(1500)
    page.page.locator("#ultimateupscale_target_size_type input").first.click()
    page.page.locator("[role=option][aria-label='Scale from image size']").first.click()
    page.page.wait_for_timeout(1000)
    said = page.run_job()
    return said or (None if len(page.pixels()) == 128 * 128 * 3 else "the picture did not become twice as large")


def enqueue(page: Watched, site: Site) -> str | None:
    page.prepare("a queued apple", steps=2, width=64, height=64)
    page.page.locator("#txt2img_enqueue").click()

    def tasks() -> list[dict[str, str]]:
        found: list[dict[str, str]] = site.get("/agent-scheduler/v1/history")["tasks"]
        return found

    wait_until(lambda: bool(tasks()), 90)
    page.img2img()
    chooser = page.page.locator(".easel-canvas[data-name=img2img] input[type=file]").first
    chooser.set_input_files(picture(site.folder))
    page.page.wait_for_function("a1111Pictures.picture", timeout=PATIENCE_MS)
    page.prepare("a queued pear", steps=2, width=64, height=64)
    page.page.locator("#img2img_enqueue").click()
    wait_until(lambda: len(tasks()) == 2, 90)
    wrong = [f"the {task['type']} task is {task['status']}: {task['result']}" for task in tasks()
             if task["status"] != "done"]  # fmt: skip
    return "; ".join(wrong) or None


def ask_link(_: Watched, site: Site) -> str | None:
    status = site.get("/civitai/v1/link-status")
    return None if status == {"connected": False} else f"the state of its link is {status}"


def segment(page: Watched, site: Site) -> str | None:
    """Ask Inpaint Anything for segments, which without weights has to end with its own words."""
    page.open_tab("inpaint_anything")
    tab = page.page.locator("#tab_inpaint_anything")
    tab.locator("#ia_input_image input[type=file]").first.set_input_files(picture(site.folder))
    expect(tab.locator("#sam_btn")).to_be_enabled(timeout=PATIENCE_MS)
    tab.locator("#sam_btn").click()
    said = "() => document.querySelector('#tab_inpaint_anything #status_text :is(textarea, input)').value"
    return None if shown(page, f"{said}.includes('not found, please download')") else "it said nothing of its model"


def animate(page: Watched, site: Site) -> str | None:
    """Make an animation of three small frames, through its address and its page."""
    usual = site.folder / "extensions" / "sd-webui-deforum" / "scripts" / "default_settings.txt"
    # Its API knows no defaults for what it has for ControlNet, without which it makes nothing.
    given = {key: value for key, value in json.loads(usual.read_text("utf-8")).items() if key.startswith("cn_")}
    batch = site.post("/deforum_api/batches", {"deforum_settings": {**given, **DEFORUM}})
    job = batch["job_ids"][0]

    def ended() -> bool:
        return bool(site.get(f"/deforum_api/jobs/{job}")["status"] != "ACCEPTED")

    wait_until(ended, LONG)
    told = site.get(f"/deforum_api/jobs/{job}")
    frames = sorted(path for path in site.folder.rglob("*.png") if path.stem.rpartition("_")[2].isdigit())
    made = [path for path in frames if "easel" in path.parent.name]
    if told["status"] != "SUCCEEDED" or len(made) != DEFORUM["max_frames"]:
        return f"the job {told['status']}: {told.get('message')}; {len(made)} frames"
    return None if Image.open(made[0]).tobytes() != Image.open(made[-1]).tobytes() else "the frames are all the same"


def second_pass(page: Watched, _: Site) -> str | None:
    page.page.locator("#txt2img_hr-checkbox input").first.evaluate("e => e.checked || e.click()")
    page.page.wait_for_timeout(500)
    page.prepare(steps=2, width=64, height=64)
    return page.run_job()


def use_own_depth(page: Watched, site: Site) -> str | None:
    """Give a depth map besides a picture, since no weights for one are here, and have it drawn."""
    page.open_tab("depthmap_interface")
    tab = page.page.locator("#tab_depthmap_interface")
    tab.locator("#depthmap_input_image input[type=file]").first.set_input_files(picture(site.folder))
    tab.locator("#custom_depthmap input").first.evaluate("box => box.click()")
    page.page.wait_for_timeout(1500)
    tab.locator("#custom_depthmap_img input[type=file]").first.set_input_files(picture(site.folder))
    page.page.wait_for_timeout(1500)
    tick(tab, "Generate NormalMap")
    page.page.wait_for_timeout(500)
    tab.locator("#depthmap_generate").click()
    expect(tab.locator("#depthmap_gallery img").first).to_be_attached(timeout=PATIENCE_MS)
    return None


def zoom(page: Watched, site: Site) -> str | None:
    """Make the shortest video, of one step."""
    page.open_tab("iz_interface")
    tab = page.page.locator("#tab_iz_interface")
    number(tab, "Total video length", 1)
    for label, value in (("Output Width", 256), ("Output Height", 256), ("Sampling Steps", 2)):
        number(tab, label, value)
    press(tab, "Generate video")
    wait_until(lambda: any((site.folder / "outputs").rglob("*.mp4")), LONG)
    return None


def make_grid(page: Watched, site: Site) -> str | None:
    """Make a grid of two pictures with its page."""
    page.prepare(steps=2, width=64, height=64)
    page.choose_script("Generate Infinite-Axis Grid")
    page.page.wait_for_timeout(1500)
    section = part(page, "Axis 1 Mode")
    write(section, "Output folder name", "easel_grid")
    choose(page, section, "Axis 1 Mode", "Steps")
    page.page.wait_for_timeout(1000)
    write(section, "Axis 1 Value", "1, 2")
    write(section, "Output folder name", "easel_grid")
    page.page.wait_for_timeout(1000)
    said = page.run_job()
    pages = list(site.folder.rglob("easel_grid/index.html"))
    pictures = [path for each in pages for path in each.parent.iterdir() if path.suffix in (".jpg", ".png")]
    return said or (None if len(pictures) >= 2 else f"the grid has {len(pictures)} pictures and {len(pages)} pages")


SCENARIOS: Mapping[str, Scenario] = {
    "sd-dynamic-prompts": use_wildcard,
    "stable-diffusion-webui-wildcards": use_lines,
    "sd-webui-roop": swap_face,
    "sd-webui-segment-anything": ask_for_weights,
    "stable-diffusion-webui-rembg": remove_background,
    "unprompted": choose_shortcode,
    "adetailer": detect_again,
    "ultimate-upscale-for-automatic1111": tile_run,
    "sd-webui-agent-scheduler": enqueue,
    "sd_civitai_extension": ask_link,
    "sd-webui-inpaint-anything": segment,
    "sd-webui-deforum": animate,
    "sd-webui-hires-fix-tweaks": second_pass,
    "stable-diffusion-webui-depthmap-script": use_own_depth,
    "infinite-zoom-automatic1111-webui": zoom,
    "sd-infinity-grid-generator-script": make_grid,
}
PREPARATIONS: Mapping[str, Callable[[Site], None]] = {
    "sd-dynamic-prompts": write_wildcard,
    "stable-diffusion-webui-rembg": write_cutter,
    "adetailer": write_detector,
}
"""What is put into the data folder before the server begins."""

"""The page's parts as A1111 has them: Generate's event, what infotexts fill in, and values that come back as a form."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import pytest
from PIL import Image
from starlette.testclient import TestClient

from modules.a1111 import ui
from modules.a1111._form_runs import form_of, processing_of_form
from modules.a1111._option_info import OptionInfo, described
from modules.a1111._page_parts import FORM_MARK, ORDERS, parts, stand_in_id
from modules.a1111._shim_blocks import Functions, dependencies
from modules.a1111._working import working_for
from modules.a1111.img2img import img2img
from modules.a1111.infotext_utils import PASTE_FIELDS
from modules.a1111.txt2img import txt2img_create_processing
from modules.a1111.ui_extra_networks import extra_pages
from modules.core.errors import InvalidRequest
from modules.web.server import create_app
from tests.a1111.page_site import with_extensions
from tests.web.site import Site, open_site, site_config


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder: Path = tmp_path_factory.mktemp("site")
    with (
        open_site(site_config(folder)) as opened,
        with_extensions(opened.services, "panels_sample") as services,
        TestClient(create_app(services), base_url="http://127.0.0.1:7860"),
    ):
        yield opened


def test_generate_has_an_event_as_a1111_has_it(site: Site) -> None:
    event = next(each for each in parts().events if each.button.elem_id == "txt2img_generate")
    assert len(event.outputs) == 4
    assert event.inputs[0].elem_id == stand_in_id("txt2img", "id_task")
    named = [component.elem_id for component in event.inputs[1 : 1 + len(ORDERS["txt2img"])]]
    assert named[:4] == ["txt2img_prompt", "txt2img_neg_prompt", "txt2img_styles", "txt2img_batch_count"]
    assert event.inputs[-1].value == FORM_MARK + "txt2img"
    assert "txt2img_sample_amount" in [component.elem_id for component in event.inputs]
    # Some extensions know what is sent by its labels alone.
    labels = {getattr(component, "label", None) for component in event.inputs}
    assert {"Prompt", "Sampling method", "Sampling steps", "CFG Scale", "Width", "Seed", "Override settings"} <= labels


def test_an_extension_s_own_field_of_the_same_id_does_not_stand_for_the_form_s(site: Site) -> None:
    width = parts().field("txt2img", "width")
    with working_for("sample"):
        own = gr.Slider(elem_id="txt2img_width")
        parts().note(own, "txt2img_width")
        parts().note(own, "sample_width")
        parts().note(newer := gr.Slider(elem_id="sample_width"), "sample_width")
    assert parts().field("txt2img", "width") is width
    assert parts().by_id["sample_width"] is newer


def test_an_extension_finds_the_event_among_the_pages(site: Site) -> None:
    with gr.Blocks() as blocks:
        button = gr.Button()
        button.click(lambda: None)
    event = parts().events[0]
    listed = [each for each in dependencies(blocks) if each["trigger"] == "click"]
    assert listed[0]["targets"] == [button._id]
    assert [event.button._id] in [each["targets"] for each in listed]
    with working_for("sample"):
        functions = blocks.fns
    assert isinstance(functions, Functions)
    assert event in list(functions)
    assert not isinstance(blocks.fns, Functions)


def test_what_an_infotext_fills_in_is_known_by_its_keys(site: Site) -> None:
    assert [key for _, key in ui.txt2img_paste_fields[:2]] == ["Prompt", "Negative prompt"]
    prompts = [component.elem_id for component, _ in ui.img2img_paste_fields[:2]]
    assert prompts == ["img2img_prompt", "img2img_neg_prompt"]
    keys = {key for _, key in PASTE_FIELDS["txt2img"]["fields"]}
    assert {"Steps", "Sampler", "CFG scale", "Seed", "Hires upscaler"} <= keys


def values_of(form: dict[str, object], **changed: object) -> list[object]:
    """Return what A1111's function takes, with a form in the place of the last value."""
    named = {name: form.get(ours) for name, ours in ORDERS["txt2img"]} | changed
    return ["task(1)", None, *named.values(), 0, "of a script", json.dumps(form)]


FORM: dict[str, object] = {
    "prompt": "an apple", "negative_prompt": "", "steps": 7, "sampler": "Euler", "scheduler": "Karras", "width": 64,
    "height": 128, "batch_count": 2, "batch_size": 1, "cfg_scale": 3, "seed": "9", "styles": [],
    "override_settings": ["Clip skip: 2"],
}  # fmt: skip


def test_values_of_the_form_become_p(site: Site) -> None:
    p = txt2img_create_processing(*values_of(FORM))
    assert (p.prompt, p.steps, p.sampler_name, p.scheduler) == ("an apple", 7, "Euler", "Karras")
    assert (p.width, p.height, p.n_iter, p.seed) == (64, 128, 2, 9)
    assert p.script_args == [0, "of a script"]


def test_values_that_were_changed_since_count(site: Site) -> None:
    changed = {"prompt": "a pear", "n_iter": 3, "override_settings_texts": ["Clip skip: 1", "VAE: Automatic"]}
    p = txt2img_create_processing(*values_of(FORM, **changed))
    assert (p.prompt, p.n_iter) == ("a pear", 3)


def test_a_wrong_value_of_the_form_is_named(site: Site) -> None:
    with pytest.raises(InvalidRequest, match="Width"):
        txt2img_create_processing(*values_of({**FORM, "width": 7}))


def test_img2imgs_form_becomes_p_with_its_picture(site: Site) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 128), "green").save(buffer, "PNG")
    picture = {"mode": "img2img", "picture": site.services.inputs.keep(buffer.getvalue()), "drawing": ""}
    p = processing_of_form("img2img", {"prompt": "a pear"}, [0, "{}"], {**FORM, **picture})
    assert (p.prompt, p.steps, p.init_images[0].size, p.script_args) == ("a pear", 7, (64, 128), [0])
    assert p.init_images[0].getpixel((3, 3)) == (0, 128, 0)


@pytest.mark.parametrize(("fields", "words"), [
    ({"mode": "img2img", "picture": "", "drawing": ""}, "no picture"), ({}, "one that is sent with the form"),
    ({"mode": "batch", "picture": "", "drawing": ""}, "Sub-tab"),
])  # fmt: skip
def test_the_img2img_function_takes_easels_form_and_says_what_is_missing(
    fields: dict[str, str], words: str, site: Site
) -> None:
    named = [FORM.get(ours) for _, ours in ORDERS["img2img"]]
    with pytest.raises(InvalidRequest, match=words):
        img2img("task(1)", None, *named, 0, json.dumps({**FORM, **fields}))  # type: ignore[arg-type]


def test_a1111s_own_list_of_values_is_no_form() -> None:
    assert form_of([0, "text", None]) is None
    assert form_of([]) is None
    assert form_of(['{"prompt": "x"}']) == {"prompt": "x"}


def test_the_librarys_models_are_listed_as_extra_networks(site: Site) -> None:
    pages = {page.name: page for page in extra_pages}
    assert {"lora", "textual inversion", "hypernetworks", "checkpoints"} <= set(pages)
    assert list(pages["lora"].list_items()) == []
    assert all({"name", "filename", "prompt", "metadata"} <= set(item) for item in pages["checkpoints"].list_items())


def test_options_of_extensions_hold_long_texts() -> None:
    option = described("sample_colours", OptionInfo("{" + "x" * 5000 + "}", "Colours", section=("sample", "Sample")))
    assert option is not None
    assert option.parse("y" * 50_000) == "y" * 50_000


def test_buttons_below_the_gallery_come_after_it(site: Site) -> None:
    order = list(parts().by_id)
    assert order.index("txt2img_gallery") < order.index("txt2img_send_to_extras")
    assert order.index("img2img_gallery") < order.index("img2img_generation_info_button")

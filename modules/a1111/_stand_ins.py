"""Components of A1111's page that Easel's page has in another form: extensions may look for them by their ids.

They are told of each, and may name it among an event's inputs, where it holds nothing: what a user sees in its place
is made by scripts of the page. None of these is in the document, where the ids belong to those parts; what an extension
puts beside one of them is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import gradio as gr

from modules.a1111._page_parts import build_event_parts
from modules.web.forms import IMG2IMG, TXT2IMG

ALIASES: Mapping[str, str] = {f"{tab}_script_list": "script_list" for tab in (TXT2IMG, IMG2IMG)}
"""Where Easel's id is another, since an id is there once."""
BUTTONS = (
    "{tab}_generation_info_button", "{tab}_send_to_img2img", "{tab}_send_to_inpaint", "{tab}_send_to_extras",
    "save_{tab}", "save_zip_{tab}", "{tab}_token_button", "{tab}_negative_token_button", "{tab}_style_apply",
    "{tab}_clear_prompt", "paste",
)  # fmt: skip
TEXTS = ("generation_info_{tab}", "html_log_{tab}", "settings_json")
PICTURES = ("img2img_image", "img2img_sketch", "img2maskimg", "inpaint_sketch", "img_inpaint_base", "img_inpaint_mask")
FOLDERS = ("img2img_batch_input_dir", "img2img_batch_output_dir", "img2img_batch_inpaint_mask_dir")
LAYOUTS = (
    "img2img_img2img_tab", "img2img_img2img_sketch_tab", "img2img_inpaint_tab", "img2img_inpaint_sketch_tab",
    "img2img_inpaint_upload_tab", "img2img_batch_tab", "img2img_column_size", "img2img_column_batch",
)  # fmt: skip


def build_stand_ins(tab: str) -> None:
    """Make the stand-ins for parts of a tab's settings, in the layout that is being built, in A1111's order."""
    if tab != IMG2IMG:
        return
    with gr.Column(elem_classes=["easel-stand-ins"], min_width=0):
        _make_all(LAYOUTS, tab, _layout)
        _make_all(PICTURES, tab, _picture)
        _make_all(FOLDERS, tab, lambda element: gr.Textbox(elem_id=element, visible=False))


def build_result_stand_ins(tab: str) -> None:
    """Make those for what A1111 has below the gallery, once that is there."""
    with gr.Column(elem_classes=["easel-stand-ins"], min_width=0):
        _make_all(BUTTONS, tab, lambda element: gr.Button(elem_id=element, visible=False))
        _make_all(TEXTS, tab, lambda element: gr.Textbox(elem_id=element, visible=False))
        build_event_parts(tab)


def _make_all(names: tuple[str, ...], tab: str, make: Callable[[str], Any]) -> None:
    for name in names:
        element = name.format(tab=tab)
        # The id is for those who were told of it; the document has another element by it.
        make(element).elem_id = f"a1111_{tab}_{element}"


def _layout(element: str) -> Any:
    with gr.Column(elem_id=element, visible=False) as made:
        pass
    if element.endswith("_tab"):
        # The page's scripts press it when the sub-tab is chosen, which a tab has an event for.
        made.select = gr.Button(elem_id=f"a1111_{element}_chosen", visible="hidden").click
    return made


def _picture(element: str) -> Any:
    return gr.Image(elem_id=element, type="pil", image_mode="RGBA", visible=False)

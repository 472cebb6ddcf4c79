"""The settings of the txt2img tab, in AUTOMATIC1111's order.

What can be folded away is always in the document and only hidden by a style: a closed accordion of Gradio's is not
there until it is opened, so neither scripts nor a filled form could reach what is in it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from modules.web.pages.events import FRONTEND_ONLY

Add = Callable[[str], Any]
"""Creates the component of a field in the layout that is being built."""


def build_settings_column(tab: str, add: Add) -> None:
    """Build the column and wire the small buttons in it."""
    with gr.Row(elem_classes=["easel-pair"]):
        add("sampler")
        add("scheduler")
    add("steps")
    with gr.Row(elem_id=f"{tab}_accordions", elem_classes=["easel-folds"]):
        _build_hires(tab, add)
        _build_refiner(tab, add)
    _build_size(tab, add)
    with gr.Row(elem_classes=["easel-pair"]):
        add("batch_count")
        add("batch_size")
    add("cfg_scale")
    _build_seed(tab, add)
    with gr.Row(elem_id=f"{tab}_override_settings_row"):
        add("override_settings")


def _build_hires(tab: str, add: Add) -> None:
    with gr.Column(elem_id=f"{tab}_hr", elem_classes=["easel-fold"], min_width=0):
        with gr.Row(elem_classes=["easel-fold-head"]):
            add("enable_hr")
            gr.HTML("", elem_id="txtimg_hr_finalres", js_on_load=None)
        with gr.Column(elem_classes=["easel-fold-body"]):
            with gr.Row(elem_id=f"{tab}_hires_fix_row1", elem_classes=["easel-trio"]):
                add("hr_upscaler")
                add("hr_second_pass_steps")
                add("denoising_strength")
            with gr.Row(elem_id=f"{tab}_hires_fix_row2", elem_classes=["easel-trio"]):
                add("hr_scale")
                add("hr_resize_x")
                add("hr_resize_y")
            gr.HTML("", elem_id=f"{tab}_hr_more", js_on_load=None)
            with gr.Column(elem_id=f"{tab}_hr_own", elem_classes=["easel-own"]):
                with gr.Row(elem_id=f"{tab}_hires_fix_row3", elem_classes=["easel-trio"]):
                    add("hr_checkpoint")
                    add("hr_sampler")
                    add("hr_scheduler")
                with gr.Row(elem_id=f"{tab}_hires_fix_row4", elem_classes=["easel-pair"]):
                    add("hr_prompt")
                    add("hr_negative_prompt")


def _build_refiner(tab: str, add: Add) -> None:
    with gr.Column(elem_id=f"{tab}_enable", elem_classes=["easel-fold"], min_width=0):
        gr.HTML("", elem_id=f"{tab}_enable-checkbox", elem_classes=["easel-fold-head"], js_on_load=None)
        with gr.Row(elem_classes=["easel-fold-body", "easel-pair"]):
            add("refiner_checkpoint")
            add("refiner_switch_at")


def _build_size(tab: str, add: Add) -> None:
    with gr.Row(elem_classes=["easel-size"]):
        with gr.Column(elem_classes=["easel-sliders"], min_width=200):
            width, height = add("width"), add("height")
        switch = _tool("⇅", f"{tab}_res_switch_btn")
    switch.click(None, [width, height], [width, height], js="(width, height) => [height, width]", **FRONTEND_ONLY)


def _build_seed(tab: str, add: Add) -> None:
    with gr.Row(elem_id=f"{tab}_seed_row", elem_classes=["easel-seed"]):
        seed = add("seed")
        random, reuse = _tool("🎲️", f"{tab}_random_seed"), _tool("♻️", f"{tab}_reuse_seed")
        gr.HTML("", elem_id=f"{tab}_subseed_show", js_on_load=None)
    with gr.Column(elem_id=f"{tab}_seed_extras", elem_classes=["easel-own"]):
        with gr.Row(elem_id=f"{tab}_subseed_row", elem_classes=["easel-seed", "easel-subseed"]):
            subseed = add("subseed")
            random_subseed = _tool("🎲️", f"{tab}_random_subseed")
            reuse_subseed = _tool("♻️", f"{tab}_reuse_subseed")
        add("subseed_strength")
        with gr.Row(elem_id=f"{tab}_seed_resize_from_row", elem_classes=["easel-pair"]):
            add("seed_resize_from_w")
            add("seed_resize_from_h")
    _wire_seed(seed, random, reuse, "selectedSeed")
    _wire_seed(subseed, random_subseed, reuse_subseed, "selectedSubseed")


def _wire_seed(seed: Any, random: Any, reuse: Any, method: str) -> None:
    """Have two buttons make a seed random or take it from the gallery, whose `method` tells it."""
    selected = f"(seed) => [window.easel.gallery.{method}() ?? seed]"
    random.click(None, None, [seed], js="() => ['-1']", **FRONTEND_ONLY)
    reuse.click(None, [seed], [seed], js=selected, **FRONTEND_ONLY)


def _tool(text: str, elem_id: str) -> Any:
    return gr.Button(text, elem_id=elem_id, elem_classes=["easel-tool"], scale=0)

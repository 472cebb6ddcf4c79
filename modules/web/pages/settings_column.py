"""The settings of a generation tab, in AUTOMATIC1111's order.

What can be folded away is always in the document and only hidden by a style: a closed accordion of Gradio's is not
there until it is opened, so neither scripts nor a filled form could reach what is in it. Only the fields of the
Script dropdown's scripts are made when a script is chosen; until then Gradio keeps their values for them.
"""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Mapping
from typing import Any

import gradio as gr

from modules.hooks.plugins import SCRIPT_FIELD, PluginDescription
from modules.web.forms import IMG2IMG, MASK_ALPHA_FIELD, SCALE_FIELD, TXT2IMG
from modules.web.pages.events import FRONTEND_ONLY
from modules.web.tab_forms import TabForm

Add = Callable[[str], Any]
"""Creates the component of a field in the layout that is being built."""


def build_settings_column(form: TabForm, add: Add) -> None:
    """Build the column and wire the small buttons in it."""
    tab = form.tab
    if tab == IMG2IMG:
        _build_source(tab, add)
    with gr.Row(elem_classes=["easel-pair"]):
        add("sampler")
        add("scheduler")
    add("steps")
    with gr.Row(elem_id=f"{tab}_accordions", elem_classes=["easel-folds"]):
        if tab == TXT2IMG:
            _build_hires(tab, add)
        _build_refiner(tab, add)
        for plugin in form.sections():
            _build_section(tab, plugin, add)
    if tab == IMG2IMG:
        _build_resizing(tab, add)
        add("denoising_strength")
    else:
        _build_size(tab, add)
    with gr.Row(elem_classes=["easel-pair"]):
        add("batch_count")
        add("batch_size")
    add("cfg_scale")
    if tab == IMG2IMG:
        add("image_cfg_scale")
    _build_seed(tab, add)
    with gr.Row(elem_id=f"{tab}_override_settings_row", elem_classes=["easel-overrides"]):
        add("override_settings")
    if form.panels.present:
        with gr.Column(elem_id=f"{tab}_script_container", elem_classes=["easel-foreign"], min_width=0):
            form.panels.build_sections(tab)
            _build_scripts(form, add)
    elif form.scripts():
        _build_scripts(form, add)


def _build_section(tab: str, plugin: PluginDescription, add: Add) -> None:
    """Build a plugin's accordion, which its switch opens; advice and fields are below it."""
    with gr.Column(elem_id=f"{tab}_{plugin.name}", elem_classes=["easel-fold", "easel-section"], min_width=0):
        with gr.Row(elem_classes=["easel-fold-head"]):
            add(f"{plugin.name}.{plugin.switch}")
        with gr.Column(elem_classes=["easel-fold-body"], min_width=0):
            _build_note(plugin)
            for parameter in plugin.valued():
                add(plugin.field(parameter))


def _build_scripts(form: TabForm, add: Add) -> None:
    """Build the Script dropdown and every script's fields, of which assets/form_looks.js shows the chosen one's."""
    if not form.script_titles():
        return
    add(SCRIPT_FIELD)
    for script in form.foreign_scripts():
        with gr.Column(elem_id=f"{form.tab}_script_{script.name}", elem_classes=["easel-script"], min_width=0):
            script.build()
    # Extensions look for the fields of all scripts. Without any, those of a script are made when it is first chosen.
    columns = {plugin.title: _build_script(form.tab, plugin, add, form.panels.present) for plugin in form.scripts()}
    if not form.panels.present:
        _wire_scripts(form.tab, columns)


def _wire_scripts(tab: str, columns: Mapping[str, Any]) -> None:
    """Have a hidden button, which assets/form_looks.js presses, make the fields of the script that the form names."""
    chosen = f"each === window.easel.pages.{tab}.form.values.{SCRIPT_FIELD}"
    shown = f"({{ __type__: 'update', ...({chosen} && {{ visible: true }}) }})"
    script = f"() => {json.dumps(list(columns))}.map((each) => {shown})"
    button = gr.Button(elem_id=f"{tab}_make_script", visible="hidden")
    button.click(None, None, list(columns.values()), js=script, **FRONTEND_ONLY)


def _build_script(tab: str, plugin: PluginDescription, add: Add, visible: bool) -> Any:
    """Build a script's fields and return their column."""
    name = f"{tab}_script_{plugin.name}"
    with gr.Column(elem_id=name, elem_classes=["easel-script"], min_width=0, visible=visible) as column:
        _build_note(plugin)
        for parameter in plugin.parameters:
            add(plugin.field(parameter))
    return column


def _build_note(plugin: PluginDescription) -> None:
    if plugin.note:
        gr.HTML(f"<p>{html.escape(plugin.note)}</p>", elem_classes=["easel-note-line"], js_on_load=None)


def _build_source(tab: str, add: Add) -> None:
    """Build the place of the pictures, which assets/source.js fills, and what is set for masks."""
    gr.HTML("", elem_id=f"{tab}_source", elem_classes=["easel-source"], js_on_load=None)
    add("resize_mode")
    with gr.Column(elem_id="inpaint_controls", elem_classes=["easel-inpaint-controls"], min_width=0):
        with gr.Row(elem_classes=["easel-pair", "easel-mask-row"]):
            add("mask_blur_x")
            add(MASK_ALPHA_FIELD)
        gr.HTML("", elem_id=f"{tab}_mask_blur_more", js_on_load=None)
        with gr.Column(elem_id=f"{tab}_mask_blur_own", elem_classes=["easel-own"]):
            add("mask_blur_y")
        for name in ("mask_mode", "masked_content", "inpaint_area", "masked_padding"):
            add(name)


def _build_resizing(tab: str, add: Add) -> None:
    """Build the size in pixels and as a multiple of the picture's; assets/resizing.js shows one of the two."""
    gr.HTML("", elem_id=f"{tab}_tabs_resize", elem_classes=["easel-resize-tabs"], js_on_load=None)
    with gr.Column(elem_id=f"{tab}_tab_resize_to", min_width=0):
        _build_size(tab, add)
    with gr.Column(elem_id=f"{tab}_tab_resize_by", min_width=0):
        add(SCALE_FIELD)
    gr.HTML("", elem_id=f"{tab}_scale_resolution_preview", js_on_load=None)


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
        with gr.Column(elem_classes=["easel-size-tools"], min_width=0, scale=0):
            switch = _tool("⇅", f"{tab}_res_switch_btn")
            if tab == IMG2IMG:
                gr.HTML("", elem_id=f"{tab}_detect_image_size", js_on_load=None)
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
    gallery = f"window.easel.pages.{tab}.gallery"
    _wire_seed(seed, random, reuse, f"{gallery}.selectedSeed()")
    _wire_seed(subseed, random_subseed, reuse_subseed, f"{gallery}.selectedSubseed()")


def _wire_seed(seed: Any, random: Any, reuse: Any, told: str) -> None:
    """Have two buttons make a seed random or take it from the gallery: `told` is the script that reads it."""
    selected = f"(seed) => [{told} ?? seed]"
    random.click(None, None, [seed], js="() => ['-1']", **FRONTEND_ONLY)
    reuse.click(None, [seed], [seed], js=selected, **FRONTEND_ONLY)


def _tool(text: str, elem_id: str) -> Any:
    return gr.Button(text, elem_id=elem_id, elem_classes=["easel-tool"], scale=0)

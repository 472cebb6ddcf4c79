"""The page's parts under A1111's names: what infotexts fill in, send-to buttons, and Generate's event (S25).

A1111's Generate hands all of the form to one function of the server. Easel's does not, so that extensions that look for
that event to make one of their own from it are shown what is described here; `_form_runs.py` answers its function.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import gradio as gr
from gradio.components import Component

from modules.a1111._host import HOST
from modules.a1111.infotext_utils import BINDINGS, ParamBinding, add_paste_fields
from modules.core.parameters import PARAMETERS
from modules.web.forms import IMG2IMG, PAGE_FIELDS, TXT2IMG, element_id

FORM_MARK = "easel-form:"
"""Begins the value of a stand-in, in whose place the page's scripts put the whole form as JSON."""
TASK_ID, SCRIPT_INDEX, WHOLE_FORM, EMPTY = "id_task", "script_index", "whole_form", "empty"
STAND_INS = (TASK_ID, SCRIPT_INDEX, WHOLE_FORM, EMPTY)
ORDERS: Mapping[str, tuple[tuple[str, str], ...]] = {
    TXT2IMG: (
        ("prompt", "prompt"), ("negative_prompt", "negative_prompt"), ("prompt_styles", "styles"),
        ("n_iter", "batch_count"), ("batch_size", "batch_size"), ("cfg_scale", "cfg_scale"), ("height", "height"),
        ("width", "width"), ("enable_hr", "enable_hr"), ("denoising_strength", "denoising_strength"),
        ("hr_scale", "hr_scale"), ("hr_upscaler", "hr_upscaler"), ("hr_second_pass_steps", "hr_second_pass_steps"),
        ("hr_resize_x", "hr_resize_x"), ("hr_resize_y", "hr_resize_y"), ("hr_checkpoint_name", "hr_checkpoint"),
        ("hr_sampler_name", "hr_sampler"), ("hr_scheduler", "hr_scheduler"), ("hr_prompt", "hr_prompt"),
        ("hr_negative_prompt", "hr_negative_prompt"), ("override_settings_texts", "override_settings"),
    ),
    IMG2IMG: (
        ("mode", ""), ("prompt", "prompt"), ("negative_prompt", "negative_prompt"), ("prompt_styles", "styles"),
        ("init_img", ""), ("sketch", ""), ("init_img_with_mask", ""), ("inpaint_color_sketch", ""),
        ("inpaint_color_sketch_orig", ""), ("init_img_inpaint", ""), ("init_mask_inpaint", ""),
        ("mask_blur", "mask_blur_x"), ("mask_alpha", "mask_alpha"), ("inpainting_fill", ""),
        ("n_iter", "batch_count"), ("batch_size", "batch_size"), ("cfg_scale", "cfg_scale"),
        ("image_cfg_scale", "image_cfg_scale"), ("denoising_strength", "denoising_strength"),
        ("selected_scale_tab", ""), ("height", "height"), ("width", "width"), ("scale_by", "scale_by"),
        ("resize_mode", "resize_mode"), ("inpaint_full_res", ""), ("inpaint_full_res_padding", "masked_padding"),
        ("inpainting_mask_invert", ""), ("img2img_batch_input_dir", ""), ("img2img_batch_output_dir", ""),
        ("img2img_batch_inpaint_mask_dir", ""), ("override_settings_texts", "override_settings"),
        ("img2img_batch_use_png_info", ""), ("img2img_batch_png_info_props", ""), ("img2img_batch_png_info_dir", ""),
        ("img2img_batch_source_type", ""), ("img2img_batch_upload", ""),
    ),
}  # fmt: skip
"""The values that A1111's functions take after the task's id, by their parameters' names, and our fields; "": none."""

BESIDE = ("steps", "sampler", "scheduler", "seed", "subseed", "subseed_strength")
"""Fields that A1111 has among its scripts' controls; extensions find them in the event by their labels."""


@dataclass(slots=True)
class GenerateEvent:
    """What Gradio knows of an event, for the one that Easel does not have."""

    button: Any
    inputs: list[Any]
    outputs: list[Any]
    fn: Any
    targets: list[tuple[int, str]]
    js: str = "submit"
    queue: bool = True
    api_name: str | None = None
    trigger_after: int | None = None


class PageParts:
    """The components of the page that was built last, by tab and field, and by their ids."""

    def __init__(self) -> None:
        self.by_id: dict[str, Any] = {}
        self.events: list[GenerateEvent] = []

    def note(self, component: Any, element: str | None) -> None:
        """Know a component by its id; one of Easel's, whatever an extension has of the same id on a tab of its own."""
        known = self.by_id.get(element or "")
        if element and (known is None or _is_foreign(known) or not _is_foreign(component)):
            self.by_id[element] = component

    def field(self, tab: str, name: str) -> Any:
        """Return the component of a field of ours; None where the tab has none."""
        return self.by_id.get(element_id(tab, name)) if name else None

    def paste_fields(self, tab: str) -> list[tuple[Any, str]]:
        """Return what an infotext fills in: components, and the infotext's keys; the prompts come first."""
        named = [(self.field(tab, name), PARAMETERS[name]) for name in PAGE_FIELDS[tab] if name in PARAMETERS]
        keys = {"prompt": "Prompt", "negative_prompt": "Negative prompt"}
        pairs = [(component, keys.get(each.name) or each.infotext or "") for component, each in named]
        return [(component, key) for component, key in pairs if component is not None and key]

    def finish(self, page: Any, controls: Mapping[str, Sequence[Any]]) -> None:
        """Make what can only be made when all components are there; `controls`: the scripts' own, by tab."""
        self.events = [event for tab in ORDERS if (event := self._event(tab, controls.get(tab, ()))) is not None]
        for tab in ORDERS:
            overrides = self.field(tab, "override_settings")
            add_paste_fields(tab, self.by_id.get(f"{tab}_image"), self.paste_fields(tab), overrides)
        with page:
            for binding in list(BINDINGS):
                _connect(binding)

    def _event(self, tab: str, controls: Sequence[Any]) -> GenerateEvent | None:
        button = self.by_id.get(f"{tab}_generate")
        own = {name: self.by_id.get(stand_in_id(tab, name)) for name in STAND_INS}
        if button is None or None in own.values():
            return None
        fields = [self.field(tab, ours) or own[EMPTY] for _, ours in ORDERS[tab]]
        placed = [control if isinstance(control, Component) else own[EMPTY] for control in controls]
        beside = [self.field(tab, name) or own[EMPTY] for name in BESIDE]
        inputs = [own[TASK_ID], *fields, own[SCRIPT_INDEX], *placed, *beside, own[WHOLE_FORM]]
        outputs = [self.by_id.get(name) or own[EMPTY] for name in (
            f"{tab}_gallery", f"generation_info_{tab}", f"html_info_{tab}", f"html_log_{tab}",
        )]  # fmt: skip
        return GenerateEvent(button, inputs, outputs, SimpleNamespace(__name__=tab), [(button._id, "click")])  # noqa: SLF001 (Gradio's own number)


def _is_foreign(component: Any) -> bool:
    return hasattr(component, "easel_extension")


def parts() -> PageParts:
    """Return the parts of the page that is built, or was built last."""
    made: PageParts = HOST.state("page_parts", PageParts)
    return made


def stand_in_id(tab: str, name: str) -> str:
    """Return the id by which a stand-in of the event is known."""
    return f"a1111_{tab}_{name}"


def build_event_parts(tab: str) -> None:
    """Make the components that only the event has, in the layout that is being built."""
    gr.Textbox(elem_id=stand_in_id(tab, TASK_ID), visible=False)
    gr.Number(0, precision=0, elem_id=stand_in_id(tab, SCRIPT_INDEX), visible=False)
    gr.Textbox(f"{FORM_MARK}{tab}", elem_id=stand_in_id(tab, WHOLE_FORM), visible=False)
    # A state has no id of its own.
    parts().note(gr.State(None), stand_in_id(tab, EMPTY))


def _connect(binding: ParamBinding) -> None:
    """Let a button hand a picture and an infotext to the page's scripts, which put them where they belong."""
    sources = {"picture": binding.source_image_component, "text": binding.source_text_component}
    present = {name: source for name, source in sources.items() if source is not None}
    # The browser knows what the components hold: pictures by their addresses.
    target, source = json.dumps(binding.tabname), json.dumps(binding.source_tabname)
    script = f"(...values) => a1111Receive({target}, {json.dumps(list(present))}, values, {source})"
    binding.paste_button.click(None, list(present.values()), None, js=script, queue=False, show_progress="hidden",
                               api_visibility="private")  # fmt: skip

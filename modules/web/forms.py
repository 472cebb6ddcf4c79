"""The generation form: a component for each `Parameter`, and from the components' values back to a request."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import gradio as gr

from modules.core.parameter import Parameter, Value
from modules.core.parameters import PARAMETERS
from modules.core.request import ChoiceLists
from modules.hooks.plugins import form_value
from modules.imaging.fitting import RESIZE_MODES

_COMMON_FIELDS = (
    "prompt",
    "negative_prompt",
    "sampler",
    "scheduler",
    "steps",
    "width",
    "height",
    "batch_count",
    "batch_size",
    "cfg_scale",
    "seed",
    "subseed",
    "subseed_strength",
    "seed_resize_from_w",
    "seed_resize_from_h",
    "denoising_strength",
    "refiner_checkpoint",
    "refiner_switch_at",
)
_HIRES_FIELDS = (
    "enable_hr",
    "hr_upscaler",
    "hr_second_pass_steps",
    "hr_scale",
    "hr_resize_x",
    "hr_resize_y",
    "hr_checkpoint",
    "hr_sampler",
    "hr_scheduler",
    "hr_prompt",
    "hr_negative_prompt",
)
_PICTURE_FIELDS = (
    "resize_mode",
    "image_cfg_scale",
    "mask_blur_x",
    "mask_blur_y",
    "mask_mode",
    "masked_content",
    "inpaint_area",
    "masked_padding",
)
TXT2IMG, IMG2IMG = "txt2img", "img2img"
STYLES_FIELD = "styles"
OVERRIDES_FIELD = "override_settings"
TEXT_LISTS: Mapping[str, tuple[str, str]] = {
    STYLES_FIELD: ("Styles", "Pieces of prompt that are added to both prompts."),
    OVERRIDES_FIELD: (
        "Override settings",
        "Options that have another value for the next pictures only, such as Clip skip: 2.",
    ),
}
"""Label and help of the fields that are no parameters and hold lists of texts."""
SCALE_FIELD, MASK_ALPHA_FIELD = "scale_by", "mask_alpha"
PAGE_PARAMETERS: Mapping[str, Parameter] = {
    parameter.name: parameter
    for parameter in (
        Parameter(
            SCALE_FIELD, "Scale", "number", 1.0, "Width and height as multiples of the picture's own.",
            minimum=0.05, maximum=4, step=0.05,
        ),
        Parameter(
            MASK_ALPHA_FIELD, "Mask transparency", "number", 0,
            "How much of the picture stays visible through what was painted, in per cent.",
            minimum=0, maximum=100, step=1,
        ),
    )
}  # fmt: skip
"""What is on a form and becomes other parameters in the request."""
PAGE_FIELDS: Mapping[str, tuple[str, ...]] = {
    TXT2IMG: (*_COMMON_FIELDS, *_HIRES_FIELDS, *TEXT_LISTS),
    IMG2IMG: (*_COMMON_FIELDS, *_PICTURE_FIELDS, *PAGE_PARAMETERS, *TEXT_LISTS),
}
"""What is on each page's form, in the order in which the values travel."""
_PAGE_DEFAULTS: Mapping[str, Mapping[str, Value]] = {IMG2IMG: {"denoising_strength": 0.75}}
"""Where a page begins with another value than the parameter's default."""
_AS_ANOTHER = frozenset({"mask_blur_y"})
"""Fields that hold nothing until they are opened: they have the value of another one."""
PASTED_FIELDS = (*_COMMON_FIELDS, *_HIRES_FIELDS, *_PICTURE_FIELDS)
"""What an infotext can fill in on some page."""

ELEMENT_NAMES = {
    "negative_prompt": "neg_prompt",
    "sampler": "sampling",
    "mask_blur_x": "mask_blur",
    "masked_content": "inpainting_fill",
    "inpaint_area": "inpaint_full_res",
    "masked_padding": "inpaint_full_res_padding",
    SCALE_FIELD: "scale",
    "enable_hr": "hr-checkbox",
    "hr_second_pass_steps": "hires_steps",
    "refiner_checkpoint": "checkpoint",
    "refiner_switch_at": "switch_at",
}
"""Where AUTOMATIC1111's element id is not the parameter's name."""
WHOLE_IDS = {
    "hr_checkpoint": "hr_checkpoint",
    "hr_sampler": "hr_sampler",
    "hr_scheduler": "hr_scheduler",
    "hr_prompt": "hires_prompt",
    "hr_negative_prompt": "hires_neg_prompt",
    "resize_mode": "resize_mode",
}
"""Where AUTOMATIC1111's element id does not begin with the tab's name."""

RADIOS: Mapping[str, Sequence[tuple[str, Value]]] = {
    "resize_mode": tuple((label, place) for place, label in enumerate(RESIZE_MODES)),
    **{
        name: tuple((label, label) for label in PARAMETERS[name].choices or ())
        for name in ("mask_mode", "masked_content", "inpaint_area")
    },
}
"""Labels and values of the fields whose choices are all on the form to be seen."""
LABELS = {"mask_blur_x": "Mask blur"}
"""Where a field is called otherwise than its parameter."""
PROMPT_LINES: Mapping[str, int] = {"prompt": 3, "negative_prompt": 2, "hr_prompt": 2, "hr_negative_prompt": 2,
                                   "prompt_txt": 7}  # fmt: skip
MOST_PROMPT_LINES = 12
PLACEHOLDERS = {
    "prompt": "What the picture shows. Ctrl+Enter generates, Esc interrupts, Alt+Enter skips.",
    "negative_prompt": "What the picture must not show.",
    "hr_prompt": "Empty: the same prompt as in the first pass.",
    "hr_negative_prompt": "Empty: the same negative prompt as in the first pass.",
}


def element_id(tab: str, field: str) -> str:
    """Return the id of a field's element on the page."""
    return WHOLE_IDS.get(field) or f"{tab}_{ELEMENT_NAMES.get(field, field)}"


def make_component(tab: str, field: str, lists: ChoiceLists) -> Any:
    """Create the Gradio component of a field in the layout that is being built."""
    if field in TEXT_LISTS:
        return _make_texts(tab, field)
    return component_of(parameter_of(tab, field), element_id(tab, field), lists)


def component_of(parameter: Parameter, elem_id: str, lists: ChoiceLists) -> Any:
    """Create the Gradio component of a parameter, of ours or of a plugin's."""
    if parameter.name in RADIOS:
        return _make_radio(parameter, elem_id)
    return _MAKERS[parameter.kind](parameter, elem_id, lists)


def parameter_of(tab: str, field: str) -> Parameter:
    """Return what a field of a page is, with the page's own default."""
    parameter = PAGE_PARAMETERS.get(field) or PARAMETERS[field]
    default = _PAGE_DEFAULTS.get(tab, {}).get(field)
    return parameter if default is None else replace(parameter, default=default)


def describe_overrides() -> list[dict[str, object]]:
    """Return the parameters that are options: by which key of the infotext each is overridden, None for none."""
    return [
        {"name": name, "label": parameter.label, "option": parameter.option, "key": parameter.infotext}
        for name, parameter in PARAMETERS.items()
        if parameter.option is not None
    ]


def describe_field(tab: str, name: str) -> dict[str, object]:
    """Return what the page's JavaScript knows of a field: name, element, label, help and default."""
    return {"name": name, "element": element_id(tab, name), **_facts_of(tab, name)}


def _facts_of(tab: str, name: str) -> dict[str, object]:
    if name in TEXT_LISTS:
        label, text = TEXT_LISTS[name]
        return {"label": label, "help": text, "default": []}
    parameter = parameter_of(tab, name)
    default: Value | None = str(parameter.default) if parameter.kind == "seed" else parameter.default
    if name in _AS_ANOTHER:
        default = None
    return {"label": parameter.label, "help": parameter.help, "default": default}


def _make_texts(tab: str, field: str) -> Any:
    return gr.Dropdown(
        label=TEXT_LISTS[field][0],
        choices=[],
        value=[],
        multiselect=True,
        # What a page was left with may be gone from the list, and override settings are in no list at all.
        allow_custom_value=True,
        elem_id=element_id(tab, field),
        interactive=True,
        min_width=120,
    )


def _make_text(parameter: Parameter, elem_id: str, _: ChoiceLists) -> Any:
    return gr.Textbox(
        label=parameter.label,
        value=str(parameter.default),
        lines=PROMPT_LINES.get(parameter.name, 1),
        max_lines=MOST_PROMPT_LINES,
        placeholder=PLACEHOLDERS.get(parameter.name),
        elem_id=elem_id,
        elem_classes=["easel-prompt"],
        interactive=True,
    )


def choices_of(parameter: Parameter, lists: ChoiceLists) -> list[str]:
    """Return the names that a choice offers now, in their order."""
    if isinstance(parameter.choices, tuple):
        return [*parameter.besides, *parameter.choices]
    return [*parameter.besides, *lists.names(parameter.choices or "")]


def _make_choice(parameter: Parameter, elem_id: str, lists: ChoiceLists) -> Any:
    return gr.Dropdown(
        label=parameter.label,
        choices=choices_of(parameter, lists),
        value=parameter.default,
        # A name that is not in the list must reach our own check, which says what is.
        allow_custom_value=True,
        elem_id=elem_id,
        interactive=True,
        min_width=120,
    )


def _make_radio(parameter: Parameter, elem_id: str) -> Any:
    return gr.Radio(
        label=parameter.label,
        choices=[*RADIOS[parameter.name]],
        value=parameter.default,
        elem_id=elem_id,
        elem_classes=["easel-radio"],
        interactive=True,
        min_width=120,
    )


def _make_slider(parameter: Parameter, elem_id: str, _: ChoiceLists) -> Any:
    return gr.Slider(
        label=LABELS.get(parameter.name, parameter.label),
        minimum=parameter.minimum if parameter.form_minimum is None else parameter.form_minimum,
        maximum=parameter.maximum if parameter.form_maximum is None else parameter.form_maximum,
        step=parameter.step,
        value=parameter.default,
        elem_id=elem_id,
        interactive=True,
        buttons=[],
        min_width=120,
    )


def _make_flag(parameter: Parameter, elem_id: str, _: ChoiceLists) -> Any:
    return gr.Checkbox(
        label=parameter.label, value=bool(parameter.default), elem_id=elem_id, interactive=True, min_width=120
    )


def _make_several(parameter: Parameter, elem_id: str, _: ChoiceLists) -> Any:
    return gr.CheckboxGroup(
        label=parameter.label,
        choices=[*(parameter.choices or ())],
        value=form_value(parameter, parameter.default),
        elem_id=elem_id,
        elem_classes=["easel-radio"],
        interactive=True,
        min_width=120,
    )


def _make_seed(parameter: Parameter, elem_id: str, _: ChoiceLists) -> Any:
    # A text, since a 64-bit seed does not survive a browser's floating-point numbers.
    return gr.Textbox(
        label=parameter.label,
        value=str(parameter.default),
        lines=1,
        max_lines=1,
        elem_id=elem_id,
        interactive=True,
        min_width=120,
        html_attributes=gr.InputHTMLAttributes(autocomplete="off", spellcheck=False),
    )


_MAKERS: Mapping[str, Callable[[Parameter, str, ChoiceLists], Any]] = {
    "text": _make_text,
    "choice": _make_choice,
    "several": _make_several,
    "integer": _make_slider,
    "number": _make_slider,
    "seed": _make_seed,
    "flag": _make_flag,
}

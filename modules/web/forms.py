"""The generation form: a component for each `Parameter`, and from the components' values back to a request."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gradio as gr

from modules.core.parameter import Parameter
from modules.core.parameters import PARAMETERS
from modules.core.request import ChoiceLists

TXT2IMG_FIELDS = (
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
)
"""The parameters on the txt2img form, in the order in which their values travel."""

ELEMENT_NAMES = {"negative_prompt": "neg_prompt", "sampler": "sampling"}
"""Where AUTOMATIC1111's element id is not the parameter's name."""

PROMPT_LINES: Mapping[str, int] = {"prompt": 3, "negative_prompt": 2}
MOST_PROMPT_LINES = 12
PLACEHOLDERS = {
    "prompt": "What the picture shows. Ctrl+Enter generates, Esc interrupts, Alt+Enter skips.",
    "negative_prompt": "What the picture must not show.",
}


def element_id(tab: str, field: str) -> str:
    """Return the id of a field's element on the page."""
    return f"{tab}_{ELEMENT_NAMES.get(field, field)}"


def make_component(tab: str, field: str, lists: ChoiceLists) -> Any:
    """Create the Gradio component of a parameter in the layout that is being built."""
    parameter = PARAMETERS[field]
    return _MAKERS[parameter.kind](parameter, element_id(tab, field), lists)


def describe_fields(tab: str, fields: Sequence[str]) -> list[dict[str, object]]:
    """Return what the page's JavaScript knows of each field: name, element, label, help and default."""
    return [
        {
            "name": name,
            "element": element_id(tab, name),
            "label": PARAMETERS[name].label,
            "help": PARAMETERS[name].help,
            "default": str(PARAMETERS[name].default) if PARAMETERS[name].kind == "seed" else PARAMETERS[name].default,
        }
        for name in fields
    ]


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


def _make_slider(parameter: Parameter, elem_id: str, _: ChoiceLists) -> Any:
    return gr.Slider(
        label=parameter.label,
        minimum=parameter.minimum if parameter.form_minimum is None else parameter.form_minimum,
        maximum=parameter.maximum if parameter.form_maximum is None else parameter.form_maximum,
        step=parameter.step,
        value=parameter.default,
        elem_id=elem_id,
        interactive=True,
        buttons=[],
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
    "integer": _make_slider,
    "number": _make_slider,
    "seed": _make_seed,
}

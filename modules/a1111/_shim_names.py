"""Names that Gradio 3 had and Gradio 6 has not: classes, mix-ins and the namespaces of Gradio 2 (S8, S9)."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import gradio as gr
import gradio.components
import gradio.events

from modules.a1111._patching import Patches

EVENT_MIXINS = (
    "Changeable", "Inputable", "Clickable", "Submittable", "Editable", "Clearable", "Playable", "Streamable",
    "Blurrable", "Uploadable", "Releaseable", "Selectable", "Focusable", "Likeable", "Deletable",
)  # fmt: skip
INPUTS = ("Textbox", "Number", "Slider", "Checkbox", "CheckboxGroup", "Radio", "Dropdown", "Image", "Video", "Audio",
          "File", "Dataframe", "State")  # fmt: skip
OUTPUTS = ("Textbox", "Label", "Image", "Video", "Audio", "File", "Dataframe", "Gallery", "HTML", "State")


def add_names(patches: Patches, used: Callable[[str], None]) -> None:
    """Give Gradio's modules the names that it has dropped; `used` is told when somebody asks for one of the first."""
    dropped = {"Box": gr.Group, "Variable": gr.State, "StatusTracker": None, "Carousel": gr.Tabs}

    def answer(name: str) -> Any:
        if name not in dropped:
            raise AttributeError(f"module 'gradio' has no attribute {name!r}")
        used(f"{'S8' if name == 'Box' else 'S9'} gr.{name}")
        return dropped[name]

    patches.set(gr, "__getattr__", answer)
    _add(patches, gradio.components, "IOComponent", gradio.components.Component)
    _add(patches, gradio.components, "Variable", gr.State)
    _add(patches, gradio.components, "Box", gr.Group)
    for name in EVENT_MIXINS:
        _add(patches, gradio.events, name, type(name, (), {"__module__": "gradio.events"}))
    for name, members in {"inputs": INPUTS, "outputs": OUTPUTS}.items():
        _add(patches, gr, name, _namespace(patches, f"gradio.{name}", members))
    deprecation = ModuleType("gradio.deprecation")
    deprecation.__dict__["GradioDeprecationWarning"] = type("GradioDeprecationWarning", (UserWarning,), {})
    _add_module(patches, deprecation)
    _add(patches, gr, "deprecation", deprecation)


def _namespace(patches: Patches, name: str, members: tuple[str, ...]) -> ModuleType:
    module = ModuleType(name)
    for member in members:
        module.__dict__[member] = getattr(gr, member)
    _add_module(patches, module)
    return module


def _add(patches: Patches, owner: Any, name: str, value: Any) -> None:
    if not hasattr(owner, name):
        patches.set(owner, name, value)


def _add_module(patches: Patches, module: ModuleType) -> None:
    patches.put(sys.modules, module.__name__, module)

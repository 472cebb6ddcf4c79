"""A1111's modules.ui_components: small buttons, form layouts, and the accordion with a switch in its head."""

from __future__ import annotations

from typing import Any

import gradio as gr

import modules.a1111._derived  # noqa: F401
from modules.a1111._host import HOST

ACCORDION_SCRIPT = "function(checked){{ inputAccordionChecked({element!r}, checked); }}"


class FormComponent:
    """Marks components that stand in forms; Gradio's own ones know it by themselves."""

    webui_do_not_create_gradio_pyi_thank_you = True

    def get_expected_parent(self) -> Any:
        """Return the layout that holds such components."""
        return gr.layouts.Form


class ToolButton(gr.Button, FormComponent):  # type: ignore[misc]
    """A small button with an emoji as text."""

    def __init__(self, value: str = "", *, elem_classes: Any = None, tooltip: str | None = None, **kwargs: Any) -> None:
        classes = [elem_classes] if isinstance(elem_classes, str) else list(elem_classes or ())
        if tooltip:
            self.webui_tooltip = tooltip
        for unknown in ("label", "full_width"):
            kwargs.pop(unknown, None)
        kwargs.setdefault("min_width", 0)
        kwargs.setdefault("scale", 0)
        super().__init__(value, elem_classes=["tool", "easel-tool", *classes], **kwargs)

    def get_block_name(self) -> str:
        """Return the name of the part of the page that shows it."""
        return "button"

    def get_expected_parent(self) -> None:
        """Return None: a button stands in no form."""


class ResizeHandleRow(gr.Row):  # type: ignore[misc]
    """A row; A1111's has a handle between its columns."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.elem_classes.append("resize-handle-row")

    def get_block_name(self) -> str:
        """Return the name of the part of the page that shows it."""
        return "row"


class FormRow(gr.Row):  # type: ignore[misc]
    """A row within a form."""

    def get_block_name(self) -> str:
        """Return the name of the part of the page that shows it."""
        return "row"


class FormColumn(gr.Column):  # type: ignore[misc]
    """A column within a form."""

    def get_block_name(self) -> str:
        """Return the name of the part of the page that shows it."""
        return "column"


class FormGroup(gr.Group):  # type: ignore[misc]
    """A group within a form."""

    def get_block_name(self) -> str:
        """Return the name of the part of the page that shows it."""
        return "group"


class FormHTML(gr.HTML):  # type: ignore[misc]
    """Markup within a form."""

    def get_block_name(self) -> str:
        """Return the name of the part of the page that shows it."""
        return "html"


class FormColorPicker(gr.ColorPicker):  # type: ignore[misc]
    """A colour within a form."""

    def get_block_name(self) -> str:
        """Return the name of the part of the page that shows it."""
        return "colorpicker"


class DropdownMulti(gr.Dropdown):  # type: ignore[misc]
    """A choice of several."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("value", [])
        super().__init__(multiselect=True, **kwargs)

    def get_block_name(self) -> str:
        """Return the name of the part of the page that shows it."""
        return "dropdown"


class DropdownEditable(gr.Dropdown):  # type: ignore[misc]
    """A choice into which other values can be typed."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(allow_custom_value=True, **kwargs)

    def get_block_name(self) -> str:
        """Return the name of the part of the page that shows it."""
        return "dropdown"


class InputAccordionImpl(gr.Checkbox):  # type: ignore[misc]
    """A checkbox that is shown in the head of an accordion, which it opens; used with `with`, it is the accordion."""

    def __init__(self, value: bool | None = None, setup: bool = False, **kwargs: Any) -> None:
        if not setup:
            super().__init__(value=value, **kwargs)
            return
        counter: list[int] = HOST.state("input_accordions", lambda: [0])
        self.accordion_id = kwargs.get("elem_id") or f"input-accordion-{counter[0]}"
        counter[0] += 1
        head = {**kwargs, "elem_id": f"{self.accordion_id}-checkbox", "visible": "hidden"}
        head.pop("open", None)
        super().__init__(value=bool(value), **head)
        script = ACCORDION_SCRIPT.format(element=self.accordion_id)
        self.change(fn=None, js=script, inputs=[self], show_progress="hidden")
        self.accordion = gr.Accordion(
            kwargs.get("label", "Accordion"), open=bool(value) or 0, elem_id=self.accordion_id,
            elem_classes=["input-accordion"], visible=kwargs.get("visible", True),
        )  # fmt: skip

    def extra(self) -> Any:
        """Return a column that stands in the accordion's head; to be used with `with`, within the accordion."""
        return gr.Column(elem_id=f"{self.accordion_id}-extra", elem_classes=["input-accordion-extra"], min_width=0)

    def __enter__(self) -> InputAccordionImpl:
        self.accordion.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.accordion.__exit__(*error)

    def get_block_name(self) -> str:
        """Return the name of the part of the page that shows it."""
        return "checkbox"


def InputAccordion(value: bool | None = None, **kwargs: Any) -> InputAccordionImpl:  # noqa: N802 (A1111's name)
    """Return an accordion whose head is a checkbox, the value of which is the component's."""
    return InputAccordionImpl(value=value, setup=True, **kwargs)


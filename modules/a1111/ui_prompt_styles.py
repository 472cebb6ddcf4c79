"""A1111's modules.ui_prompt_styles: the choice of styles, for pages that extensions build themselves."""

from __future__ import annotations

from typing import Any

import gradio as gr

from modules.a1111._host import HOST
from modules.a1111.ui_common import create_refresh_button

styles_edit_symbol = "\U0001f58c\ufe0f"
styles_materialize_symbol = "\U0001f4cb"
styles_copy_symbol = "\U0001f4dd"


def _names() -> list[str]:
    return [style.name for style in HOST.connected.styles.styles()]


def refresh_styles() -> tuple[Any, Any]:
    """Return the updates that show the styles of now, for two lists."""
    return gr.update(choices=_names()), gr.update(choices=_names())


def materialize_styles(prompt: str, negative_prompt: str, styles: list[str]) -> list[Any]:
    """Return the prompts with the styles written into them, and the empty choice."""
    applied = HOST.connected.styles.apply(prompt, negative_prompt, styles)
    return [gr.update(value=applied[0]), gr.update(value=applied[1]), gr.update(value=[])]


class UiPromptStyles:
    """A dropdown with the styles and its refresh button."""

    def __init__(self, tabname: str, main_ui_prompt: Any, main_ui_negative_prompt: Any) -> None:
        self.tabname = tabname
        self.main_ui_prompt = main_ui_prompt
        self.main_ui_negative_prompt = main_ui_negative_prompt
        with gr.Row(elem_id=f"{tabname}_styles_row"):
            self.dropdown = gr.Dropdown(
                label="Styles", show_label=False, elem_id=f"{tabname}_styles", choices=_names(), value=[],
                multiselect=True,
            )  # fmt: skip
            name = f"refresh_{tabname}_styles"
            create_refresh_button(self.dropdown, lambda: None, lambda: {"choices": _names()}, name)

    def setup_apply_button(self, button: Any) -> None:
        """Have a button write the chosen styles into the prompts."""
        parts = [self.main_ui_prompt, self.main_ui_negative_prompt, self.dropdown]
        button.click(fn=materialize_styles, inputs=parts, outputs=parts, show_progress="hidden")

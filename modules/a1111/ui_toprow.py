"""A1111's modules.ui_toprow: prompts and Generate button, for pages that extensions build themselves."""

from __future__ import annotations

import gradio as gr

from modules.a1111.ui_components import ToolButton
from modules.a1111.ui_prompt_styles import UiPromptStyles


class Toprow:
    """The upper part of a generation page: `prompt`, `negative_prompt`, `submit`, `interrupt`, `skip`, `ui_styles`."""

    def __init__(self, is_img2img: bool, is_compact: bool = False, id_part: str | None = None) -> None:
        self.id_part = id_part or ("img2img" if is_img2img else "txt2img")
        self.is_compact = is_compact
        self.button_interrogate = self.button_deepbooru = None
        with gr.Row(elem_id=f"{self.id_part}_toprow"):
            self.create_prompts()
            with gr.Column(scale=1, elem_id=f"{self.id_part}_actions_column"):
                self.create_submit_box()
                self.create_tools_row()
                self.create_styles_ui()

    def create_prompts(self) -> None:
        """Make the two prompts."""
        with gr.Column(elem_id=f"{self.id_part}_prompt_container", scale=6):
            self.prompt = gr.Textbox(label="Prompt", elem_id=f"{self.id_part}_prompt", show_label=False, lines=3)
            self.negative_prompt = gr.Textbox(
                label="Negative prompt", elem_id=f"{self.id_part}_neg_prompt", show_label=False, lines=3
            )
        self.prompt_img = gr.File(label="", elem_id=f"{self.id_part}_prompt_image", type="binary", visible="hidden")

    def create_submit_box(self) -> None:
        """Make the buttons that begin and end the work."""
        with gr.Row(elem_id=f"{self.id_part}_generate_box"):
            self.interrupt = gr.Button("Interrupt", elem_id=f"{self.id_part}_interrupt")
            self.skip = gr.Button("Skip", elem_id=f"{self.id_part}_skip")
            self.interrupting = gr.Button("Interrupting...", elem_id=f"{self.id_part}_interrupting", visible="hidden")
            self.submit = gr.Button("Generate", elem_id=f"{self.id_part}_generate", variant="primary")

    def create_tools_row(self) -> None:
        """Make the small buttons below."""
        with gr.Row(elem_id=f"{self.id_part}_tools"):
            self.paste = ToolButton("↙️", elem_id=f"{self.id_part}_paste", tooltip="Read generation parameters")
            self.clear_prompt_button = ToolButton("🗑️", elem_id=f"{self.id_part}_clear_prompt", tooltip="Clear prompt")
            self.apply_styles = ToolButton("📋", elem_id=f"{self.id_part}_style_apply", tooltip="Apply styles")
            self.restore_progress_button = ToolButton(
                "🌀", elem_id=f"{self.id_part}_restore_progress", visible="hidden", tooltip="Restore progress"
            )
            self.token_counter = gr.HTML("<span>0/75</span>", elem_id=f"{self.id_part}_token_counter")
            self.token_button = gr.Button(elem_id=f"{self.id_part}_token_button", visible="hidden")
            self.negative_token_counter = gr.HTML("<span>0/75</span>", elem_id=f"{self.id_part}_negative_token_counter")
            self.negative_token_button = gr.Button(elem_id=f"{self.id_part}_negative_token_button", visible="hidden")
        texts = [self.prompt, self.negative_prompt]
        self.clear_prompt_button.click(
            fn=None, js="confirm_clear_prompt", inputs=texts, outputs=texts, show_progress="hidden"
        )

    def create_styles_ui(self) -> None:
        """Make the choice of styles."""
        self.ui_styles = UiPromptStyles(self.id_part, self.prompt, self.negative_prompt)
        self.ui_styles.setup_apply_button(self.apply_styles)

"""The whole page: the checkpoint selector on top and the tabs under it."""

from __future__ import annotations

import json
from typing import Any

import gradio as gr

from modules.web.checkpoints import CheckpointChooser
from modules.web.pages.events import FRONTEND_ONLY, SERVER
from modules.web.pages.queue import build_queue
from modules.web.pages.settings import build_settings
from modules.web.pages.txt2img import build_txt2img
from modules.web.services import WebServices

TITLE = "Easel"
SHOW_STATE = "(text) => { window.easel.checkpoints.show(text); return [] }"


def build_page(services: WebServices, chooser: CheckpointChooser) -> Any:
    """Return the Gradio blocks of the page."""
    with gr.Blocks(title=TITLE, analytics_enabled=False, fill_width=True) as page:
        _build_top(page, chooser)
        with gr.Tabs(elem_id="tabs", selected="txt2img", overflow_behavior="wrap"):
            with gr.Tab("txt2img", id="txt2img", elem_id="tab_txt2img"):
                build_txt2img(page, services, chooser)
            with gr.Tab("Queue", id="queue", elem_id="tab_queue"):
                build_queue()
            with gr.Tab("Settings", id="settings", elem_id="tab_settings"):
                build_settings()
    return page


def _build_top(page: Any, chooser: CheckpointChooser) -> None:
    with gr.Row(elem_id="quicksettings", elem_classes=["easel-top"]):
        selector = gr.Dropdown(
            label="Stable Diffusion checkpoint",
            choices=chooser.choices(),
            value=chooser.state()["title"],
            elem_id="setting_sd_model_checkpoint",
            interactive=True,
            scale=1,
        )
        refresh = gr.Button("🔄", elem_id="refresh_sd_model_checkpoint", elem_classes=["easel-tool"], scale=0)
        gr.HTML("", elem_id="easel_checkpoint_note", js_on_load=None)
        gr.HTML("", elem_id="easel_status", js_on_load=None)
    sync = gr.Button(elem_id="easel_checkpoint_sync", visible="hidden")
    state = gr.Textbox(elem_id="easel_checkpoint_state", visible="hidden")

    def choose(title: str) -> tuple[Any, str]:
        return show(dict(chooser.choose(title or "")))

    def look_again() -> tuple[Any, str]:
        chooser.refresh()
        return show(dict(chooser.state()))

    def tell() -> tuple[Any, str]:
        return show(dict(chooser.state()))

    def tell_at_start() -> tuple[Any, str]:
        return show(dict(chooser.state()))

    def show(current: dict[str, object]) -> tuple[Any, str]:
        return gr.Dropdown(choices=chooser.choices(), value=current["title"]), json.dumps(current)

    outputs = [selector, state]
    for event in (
        selector.input(choose, [selector], outputs, **SERVER),
        refresh.click(look_again, None, outputs, **SERVER),
        sync.click(tell, None, outputs, **SERVER),
        page.load(tell_at_start, None, outputs, **SERVER),
    ):
        event.then(None, [state], None, js=SHOW_STATE, **FRONTEND_ONLY)

"""The whole page: the checkpoint selector on top and the tabs under it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from modules.web.checkpoints import CheckpointChooser
from modules.web.forms import IMG2IMG, TXT2IMG
from modules.web.pages.bare_apps import bare_apps
from modules.web.pages.events import FRONTEND_ONLY, SERVER
from modules.web.pages.extensions import build_extensions
from modules.web.pages.generation import ListedFields, Tab, build_generation, wire_memory
from modules.web.pages.merger import build_merger
from modules.web.pages.models import build_models
from modules.web.pages.pnginfo import build_pnginfo
from modules.web.pages.queue import build_queue
from modules.web.pages.settings import build_settings
from modules.web.services import WebServices
from modules.web.tab_forms import TabForm

TITLE = "Easel"
SHOW_STATE = "(text) => { window.easel.checkpoints.show(text); return [] }"


@dataclass(frozen=True, slots=True)
class _Top:
    """The components of the row on top of the page."""

    selector: Any
    refresh: Any
    sync: Any
    state: Any


def build_page(services: WebServices, chooser: CheckpointChooser) -> Any:
    """Return the Gradio blocks of the page."""
    with bare_apps(), services.panels.page():
        return _build_page(services, chooser)


def _build_page(services: WebServices, chooser: CheckpointChooser) -> Any:
    with gr.Blocks(title=TITLE, analytics_enabled=False, fill_width=True) as page:
        top = _build_top(chooser)
        with gr.Tabs(elem_id="tabs", selected="txt2img", overflow_behavior="wrap"):
            tabs = []
            for name in (TXT2IMG, IMG2IMG):
                with gr.Tab(name, id=name, elem_id=f"tab_{name}"):
                    form = TabForm(name, services.lists, services.plugins, services.panels)
                    tabs.append(build_generation(Tab(form, services, chooser)))
            with gr.Tab("PNG Info", id="pnginfo", elem_id="tab_pnginfo"):
                build_pnginfo()
            with gr.Tab("Models", id="models", elem_id="tab_models"):
                build_models()
            with gr.Tab("Checkpoint Merger", id="modelmerger", elem_id="tab_modelmerger"):
                build_merger()
            with gr.Tab("Queue", id="queue", elem_id="tab_queue"):
                build_queue()
            with gr.Tab("Extensions", id="extensions", elem_id="tab_extensions"):
                build_extensions()
            for tab in services.panels.tabs():
                with gr.Tab(tab.title, id=tab.id, elem_id=f"tab_{tab.id}"):
                    tab.build()
            with gr.Tab("Settings", id="settings", elem_id="tab_settings"):
                build_settings()
        for built in tabs:
            wire_memory(page, built)
        _wire_top(page, top, chooser, [built.listed for built in tabs])
    return page


def _build_top(chooser: CheckpointChooser) -> _Top:
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
    return _Top(selector, refresh, sync, state)


def _wire_top(page: Any, top: _Top, chooser: CheckpointChooser, listed: Sequence[ListedFields]) -> None:
    """Wire the selector; whatever looks at the folders again brings the other lists up to date too."""

    def updates(new_page: bool) -> list[Any]:
        return [update for fields in listed for update in fields.updates(new_page)]

    def choose(title: str) -> list[Any]:
        return show(dict(chooser.choose(title or "")))

    def look_again() -> list[Any]:
        chooser.refresh()
        return [*show(dict(chooser.state())), *updates(False)]

    def tell() -> list[Any]:
        return [*show(dict(chooser.state())), *updates(False)]

    def tell_at_start() -> list[Any]:
        return [*show(dict(chooser.state())), *updates(True)]

    def show(current: dict[str, object]) -> list[Any]:
        return [gr.Dropdown(choices=chooser.choices(), value=current["title"]), json.dumps(current)]

    shown = [top.selector, top.state]
    everything = [*shown, *(component for fields in listed for component in fields.components)]
    for event in (
        top.selector.input(choose, [top.selector], shown, **SERVER),
        top.refresh.click(look_again, None, everything, **SERVER),
        top.sync.click(tell, None, everything, **SERVER),
        page.load(tell_at_start, None, everything, **SERVER),
    ):
        event.then(None, [top.state], None, js=SHOW_STATE, **FRONTEND_ONLY)

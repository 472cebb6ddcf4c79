"""The Extensions tab: an empty place that assets/extensions.js fills; only admins see it."""

from __future__ import annotations

import gradio as gr


def build_extensions() -> None:
    """Build the tab's content."""
    gr.HTML("", elem_id="easel_extensions", js_on_load=None)

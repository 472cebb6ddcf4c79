"""The Models tab: an empty place that assets/downloads.js fills with downloads; only admins see it."""

from __future__ import annotations

import gradio as gr


def build_models() -> None:
    """Build the tab's content."""
    gr.HTML("", elem_id="easel_models", js_on_load=None)

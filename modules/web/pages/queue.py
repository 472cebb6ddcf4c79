"""The Queue tab: an empty place that assets/queue.js fills from the live messages."""

from __future__ import annotations

import gradio as gr


def build_queue() -> None:
    """Build the tab's content."""
    gr.HTML("", elem_id="easel_queue", js_on_load=None)

"""The Queue tab: empty places that assets/queue.js and assets/tasks.js fill from the live messages."""

from __future__ import annotations

import gradio as gr


def build_queue() -> None:
    """Build the tab's content."""
    gr.HTML("", elem_id="easel_queue", js_on_load=None)
    gr.HTML("", elem_id="easel_queue_tasks", js_on_load=None)

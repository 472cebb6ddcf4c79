"""The Checkpoint Merger tab: an empty place that assets/merger.js fills with A1111's form; only admins see it."""

from __future__ import annotations

import gradio as gr


def build_merger() -> None:
    """Build the tab's content."""
    gr.HTML("", elem_id="easel_merger", js_on_load=None)

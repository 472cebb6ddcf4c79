"""The PNG Info tab: an empty place that assets/pnginfo.js fills with what a picture's file says of it."""

from __future__ import annotations

import gradio as gr


def build_pnginfo() -> None:
    """Build the tab's content."""
    gr.HTML("", elem_id="easel_pnginfo", js_on_load=None)

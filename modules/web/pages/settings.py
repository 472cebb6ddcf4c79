"""The Settings tab: an empty place that assets/settings.js fills with a form of its own.

Options are many and rarely changed; as Gradio components each would weigh on every event of the page.
"""

from __future__ import annotations

import gradio as gr


def build_settings() -> None:
    """Build the tab's content."""
    gr.HTML("", elem_id="easel_settings", js_on_load=None)

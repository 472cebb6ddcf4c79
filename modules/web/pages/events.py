"""How the page's Gradio events are declared: short, private, quiet, and never through Gradio's queue.

An event outside of the queue is one POST with one answer: no stream stays open, so neither the browser's six
connections per host nor a cut network can hurt a running job. Values arrive as the browser holds them
(`preprocess=False`), so that our own check, which names field, value and range, sees them first.
"""

from __future__ import annotations

from typing import Any

SERVER: dict[str, Any] = {
    "queue": False,
    "preprocess": False,
    "show_progress": "hidden",
    "trigger_mode": "multiple",
    "api_visibility": "private",
}
"""Keyword arguments of an event that calls a Python function."""

FRONTEND_ONLY: dict[str, Any] = {
    "queue": False,
    "show_progress": "hidden",
    "trigger_mode": "multiple",
    "api_visibility": "private",
}
"""Keyword arguments of an event that only runs JavaScript."""

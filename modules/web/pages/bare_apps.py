"""Blocks that are mounted, not launched, need no application of their own with all of Gradio's routes.

Gradio makes one when blocks begin and another when they end, for the page and for every tab of an extension, and uses
none of them: mounting makes the one that serves. They take as long as all the rest of the page.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gradio.blocks
from gradio.routes import App


class _BareApp(App):  # type: ignore[misc]
    """Stands where Gradio keeps the application that nobody uses."""

    @staticmethod
    def create_app(blocks: Any, *_: object, **__: object) -> App:
        """Return an application without a route."""
        app = App()
        app.configure_app(blocks)
        return app


@contextmanager
def bare_apps() -> Iterator[None]:
    """Let blocks that are built meanwhile get applications without routes; should Gradio change, they get full ones."""
    full = getattr(gradio.blocks, "App", None)
    gradio.blocks.App = _BareApp
    try:
        yield
    finally:
        gradio.blocks.App = full

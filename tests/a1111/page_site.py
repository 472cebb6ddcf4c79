"""A whole application with extensions for A1111 on its page, and everything real but the engine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from modules.a1111 import _gradio3, script_callbacks
from modules.a1111._host import HOST, Connection, connect
from modules.a1111._loader import load_extensions
from modules.a1111._panels import AdapterPanels
from modules.hooks.registry import HookRegistry
from modules.plugins.discovery import Extension
from modules.plugins.metadata import read_metadata
from modules.plugins.reports import Reports
from modules.web.services import WebServices

SAMPLES = Path(__file__).resolve().parents[1] / "extensions"


@contextmanager
def with_extensions(services: WebServices, *names: str) -> Iterator[WebServices]:
    """Load sample extensions; returns the services of a page that shows them."""
    reports = Reports()
    found = [Extension(name, SAMPLES / name, read_metadata(SAMPLES / name)) for name in names]
    connect(services, Connection(HookRegistry(), reports, found))
    _gradio3.install(reports.shim)
    try:
        script_callbacks.clear_callbacks()
        load_extensions()
        script_callbacks.ui_settings_callback()
        yield replace(services, panels=AdapterPanels())
    finally:
        script_callbacks.clear_callbacks()
        _gradio3.shim().remove()
        HOST.services, HOST.extensions = None, ()
        load_extensions()

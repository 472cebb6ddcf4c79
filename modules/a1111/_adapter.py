"""What app.py calls: the adapter connected, extensions loaded, and told of models that are in memory."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from modules.a1111 import _gradio3, _loader, script_callbacks, shared, shared_options
from modules.a1111._bridge import PLUGIN, ScriptsPlugin
from modules.a1111._host import HOST, Connection, Services, connect
from modules.a1111._panels import AdapterPanels
from modules.a1111._values import decode
from modules.a1111.options import told
from modules.cli import REPO_ROOT

__all__ = ["AdapterPanels", "Connection", "start", "stop"]


def start(services: Services, connection: Connection) -> AdapterPanels:
    """Connect the adapter, load every extension that is enabled, and return what they add to the page.

    Called by app.py before the page is built. Errors of an extension go into the reports, and no further.
    """
    connect(services, connection)
    _gradio3.install(connection.reports.shim)
    if str(REPO_ROOT) not in sys.path:
        sys.path.insert(0, str(REPO_ROOT))
    _loader.preload_extensions()
    _loader.load_extensions()
    script_callbacks.ui_settings_callback()
    services.settings.subscribe(lambda changes: told(shared_options.options(), changes))
    connection.hooks.remove(PLUGIN)
    connection.hooks.add(ScriptsPlugin(decode))
    services.jobs.subscribe(_hear, watches=False)
    return AdapterPanels()


def _hear(message: Mapping[str, Any]) -> None:
    """Tell extensions of a checkpoint that was loaded."""
    if message.get("type") == "model" and message.get("state") == "ready":
        script_callbacks.model_loaded_callback(shared.sd_model)


def stop() -> None:
    """Tell extensions that they are unloaded."""
    script_callbacks.script_unloaded_callback()
    script_callbacks.clear_callbacks()
    HOST.hooks.remove(PLUGIN)

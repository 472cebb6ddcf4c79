"""What app.py calls: the adapter connected, extensions loaded, and told when the server and models begin."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from modules.a1111 import _loader, script_callbacks, shared, shared_options
from modules.a1111._bridge import PLUGIN, ScriptsPlugin, plain_arguments
from modules.a1111._host import HOST, Connection, Services, connect
from modules.a1111.options import told
from modules.cli import REPO_ROOT
from modules.core.events import ModelReady

Decode = Callable[[str, Callable[[str], Any]], list[Any]]


def start(services: Services, connection: Connection, decode: Decode = plain_arguments) -> None:
    """Connect the adapter and load every extension that is enabled; errors of each go into the reports.

    Called by app.py before the page is built. `decode` makes scripts' arguments of what the page sent.
    """
    connect(services, connection)
    if str(REPO_ROOT) not in sys.path:
        sys.path.insert(0, str(REPO_ROOT))
    _loader.preload_extensions()
    _loader.load_extensions()
    script_callbacks.ui_settings_callback()
    services.settings.subscribe(lambda changes: told(shared_options.options(), changes))
    connection.hooks.remove(PLUGIN)
    connection.hooks.add(ScriptsPlugin(decode))
    services.jobs.subscribe(_told_of_models(), watches=False)


def begin(demo: Any, app: Any) -> None:
    """Tell extensions that the server begins; `demo`: Gradio's page, `app`: the FastAPI one, not started yet."""
    script_callbacks.app_started_callback(demo, app)


def _told_of_models() -> Callable[[Any], None]:
    """Return what tells extensions of a checkpoint that was loaded."""

    def hear(message: Any) -> None:
        if isinstance(message, ModelReady) or (isinstance(message, dict) and message.get("type") == "model_ready"):
            script_callbacks.model_loaded_callback(shared.sd_model)

    return hear


def stop() -> None:
    """Tell extensions that they are unloaded."""
    script_callbacks.script_unloaded_callback()
    script_callbacks.clear_callbacks()
    HOST.hooks.remove(PLUGIN)

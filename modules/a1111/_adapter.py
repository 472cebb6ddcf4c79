"""What app.py calls: the adapter connected, extensions loaded, and told of models that are in memory."""

from __future__ import annotations

import sys
import weakref
from argparse import ArgumentParser
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from modules.a1111 import (
    _gradio3,
    _k_package,
    _ldm_packages,
    _loader,
    _restoring,
    _webui_package,
    script_callbacks,
    sd_unet,
    shared,
    shared_options,
)
from modules.a1111._axes import connect_plot, disconnect_plot
from modules.a1111._bridge import PLUGIN, ScriptsPlugin
from modules.a1111._host import HOST, Connection, Services, connect
from modules.a1111._lists import connect_lists, disconnect_lists
from modules.a1111._model import ModelFacade
from modules.a1111._owners import owner_of
from modules.a1111._panels import AdapterPanels
from modules.a1111._values import decode
from modules.a1111.options import told
from modules.cli import REPO_ROOT, AppConfig
from modules.core.errors import EaselError
from modules.plugins.discovery import Extension
from modules.plugins.reports import Reports

__all__ = ["AdapterPanels", "Connection", "start", "stop"]


MODEL_FOLDERS = ("embeddings_dir", "hypernetwork_dir", "lora_dir")
"""The flags that say where they are."""
Judge = Callable[[Sequence[str]], None]
"""Takes the flags of the command line that nobody knows."""


def no_judge(unknown: Sequence[str]) -> None:
    """Accept all flags."""


def start(services: Services, connection: Connection, judge: Judge = no_judge) -> AdapterPanels:
    """Connect the adapter, load every extension that is enabled, and return what they add to the page.

    Called by app.py before the page is built. Errors of an extension go into the reports, and no further; what `judge`
    raises ends the start before any extension is loaded.
    """
    connect(services, connection)
    HOST.state("sd_model", ModelFacade)
    _gradio3.install(connection.reports.shim)
    if str(REPO_ROOT) not in sys.path:
        sys.path.insert(0, str(REPO_ROOT))
    _offer_packages()
    _restoring.begin()
    _loader.preload_extensions()
    judge(_loader.unknown_flags(services.config.foreign_flags))
    _make_folders()
    _loader.load_extensions()
    _list_parts(connection.reports)
    script_callbacks.ui_settings_callback()
    services.settings.subscribe(lambda changes: told(shared_options.options(), changes))
    connection.hooks.remove(PLUGIN)
    connection.hooks.add(ScriptsPlugin(decode))
    connect_plot()
    connect_lists()
    services.jobs.subscribe(_hear, watches=False)
    return AdapterPanels(stop)


def _make_folders() -> None:
    """Make the folders that are in every A1111, into which extensions write without a look."""
    for name in MODEL_FOLDERS:
        with suppress(OSError):
            Path(getattr(shared.cmd_opts, name)).mkdir(parents=True, exist_ok=True)


def _offer_packages() -> None:
    """Let extensions import what lies beside A1111's modules."""
    _k_package.offer()
    _ldm_packages.offer()
    _webui_package.offer()


def _list_parts(reports: Reports) -> None:
    """Ask extensions for U-Nets, which may be chosen, and for ways to compute attention, of which Easel has one."""
    sd_unet.list_unets()
    for optimizer in script_callbacks.list_optimizers_callback():
        name = str(getattr(optimizer, "name", None) or type(optimizer).__name__)
        owner = owner_of(type(optimizer))
        if owner:
            reports.note(owner, f"Its way to compute attention, {name}, is not used: Easel keeps to torch's own.")


def add_flags(parser: ArgumentParser, config: AppConfig, extensions: Sequence[Extension]) -> None:
    """Add the flags of extensions to a parser, which is not to parse anything; nothing need be connected."""
    HOST.extensions = tuple(extensions)
    HOST.own_state = {"config": config}
    _offer_packages()
    _loader.preload_extensions()
    for name, actions in _loader.flags_by_extension().items():
        group = parser.add_argument_group(f"extension {name}")
        for action in actions:
            group._add_action(action)  # noqa: SLF001 (argparse has no other way to add a flag twice)


def _hear(message: Mapping[str, Any]) -> None:
    """Tell extensions of a checkpoint that was loaded, once: they put their own into it, around what is there."""
    if message.get("type") != "model" or message.get("state") != "ready":
        return
    known = HOST.own_state.get("model told of")
    loaded = _loaded(str(message.get("title")))
    if loaded is not None and known is not None and known() is loaded:
        return
    HOST.own_state["model told of"] = None if loaded is None else weakref.ref(loaded)
    script_callbacks.model_loaded_callback(shared.sd_model)


def _loaded(title: str) -> Any:
    """Return the U-Net of a checkpoint in memory; None where there is none."""
    shelf = getattr(HOST.connected.jobs.engine(), "shelf", None)
    try:
        found = None if shelf is None else shelf.loaded(title)
    except EaselError:
        return None
    return None if found is None else found.bundle.unet


def stop() -> None:
    """Tell extensions that they are unloaded, and put back what they replaced."""
    script_callbacks.script_unloaded_callback()
    script_callbacks.clear_callbacks()
    HOST.hooks.remove(PLUGIN)
    runners = _loader.LOADED
    _restoring.unshadowed([runners.txt2img, runners.img2img, runners.extras, *HOST.own_state.values()])
    _restoring.end()
    disconnect_plot()
    disconnect_lists()

"""A1111's modules.script_loading."""

from __future__ import annotations

from typing import Any

from modules.a1111 import _loader
from modules.a1111._loader import LOADED, load_module

__all__ = ["load_module", "loaded_scripts", "preload_extensions"]

loaded_scripts = LOADED.modules


def preload_extensions(extensions_dir: str, parser: Any, extension_list: Any = None) -> None:
    """Let the extensions' preload.py add their flags."""
    _loader.preload_extensions()

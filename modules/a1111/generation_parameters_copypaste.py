"""The name that modules.infotext_utils had before A1111 1.8."""

from __future__ import annotations

from typing import Any

from modules.a1111 import infotext_utils


def __getattr__(name: str) -> Any:
    """Return what the module of today's name has."""
    if name.startswith("__"):
        raise AttributeError(name)
    return getattr(infotext_utils, name)

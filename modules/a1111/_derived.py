"""Lets classes be derived from Gradio's components without Gradio writing a stub file beside them.

To be imported before any such class is defined. Gradio looks for the source of each class, which fails for files that
are no modules, as the scripts of extensions are, and writes a .pyi file next to it (S13).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio.component_meta


def _only_for_gradio(write: Callable[..., None]) -> Callable[..., None]:
    def write_stub(cls: type, name: str, events: list[Any]) -> None:
        if cls.__module__.partition(".")[0] == "gradio":
            write(cls, name, events)

    return write_stub


def _install() -> None:
    gradio.component_meta.create_or_modify_pyi = _only_for_gradio(gradio.component_meta.create_or_modify_pyi)


_install()

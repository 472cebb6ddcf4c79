"""What extensions find without importing it by its whole name: the module `webui`, and modules as attributes."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import Any

from modules.a1111 import call_queue

MODULE = "webui"
ROOT = "modules"
NAMES = ("queue_lock", "wrap_queued_call", "wrap_gradio_gpu_call", "wrap_gradio_call")


def offer() -> None:
    """Let `import webui` work."""
    if MODULE in sys.modules or importlib.util.find_spec(MODULE) is not None:
        return
    module = ModuleType(MODULE, "A1111's webui, as far as extensions import it.")
    module.__dict__.update({name: getattr(call_queue, name) for name in NAMES})
    sys.modules[MODULE] = module


def offer_modules() -> None:
    """Let `import modules` be enough for `modules.shared_items`: A1111 has imported all of them by then."""

    def answer(name: str) -> Any:
        full = f"{ROOT}.{name}"
        if name.startswith("_") or importlib.util.find_spec(full) is None:
            raise AttributeError(f"module {ROOT!r} has no attribute {name!r}")
        return importlib.import_module(full)

    vars(sys.modules[ROOT])["__getattr__"] = answer

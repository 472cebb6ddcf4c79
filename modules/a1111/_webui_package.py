"""The module `webui`, from which extensions import a few functions."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType

from modules.a1111 import call_queue

MODULE = "webui"
NAMES = ("queue_lock", "wrap_queued_call", "wrap_gradio_gpu_call", "wrap_gradio_call")


def offer() -> None:
    """Let `import webui` work."""
    if MODULE in sys.modules or importlib.util.find_spec(MODULE) is not None:
        return
    module = ModuleType(MODULE, "A1111's webui, as far as extensions import it.")
    module.__dict__.update({name: getattr(call_queue, name) for name in NAMES})
    sys.modules[MODULE] = module

"""Halves the time of `import gradio`: keeps it from rewriting its type stubs for every component class.

Gradio parses and writes a `.pyi` file per component at each import, which only editors profit from. The finder here
runs before the others for one module name and swaps that one function for one that does nothing. Should a later
Gradio have no such function or module, nothing is swapped and the import is merely slow.
"""

from __future__ import annotations

import importlib.machinery
import os
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

STUB_WRITING_MODULE = "gradio.component_meta"
STUB_WRITING_FUNCTION = "create_or_modify_pyi"
OFFLINE = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1", "GRADIO_RUN_HISTORY": "False"}
"""What Gradio must find in the environment before it is imported, so that it calls nobody."""


class _SwappingLoader(Loader):
    """Loads a module as `original` does, then swaps its stub writer."""

    def __init__(self, original: Loader) -> None:
        self._original = original

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Leave it to the original loader."""
        return self._original.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Run the module, then swap the function, if it is there."""
        self._original.exec_module(module)
        if callable(getattr(module, STUB_WRITING_FUNCTION, None)):
            setattr(module, STUB_WRITING_FUNCTION, _write_no_stub)


class StubWritingFinder(MetaPathFinder):
    """Finds the one module that writes stubs, and nothing else."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the ordinary spec of the module with its loader wrapped."""
        if fullname != STUB_WRITING_MODULE:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _SwappingLoader(spec.loader)
        return spec


def install() -> None:
    """Prepare the process for a quick and silent `import gradio`; harmless when called twice or too late."""
    for name, value in OFFLINE.items():
        os.environ.setdefault(name, value)
    if not any(isinstance(finder, StubWritingFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, StubWritingFinder())


def _write_no_stub(*_: object, **__: object) -> None:
    """Stand in for Gradio's stub writer."""

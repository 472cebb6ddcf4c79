"""Halves the time of `import gradio`: keeps it from doing what only editors and readers of docstrings profit from.

At each import Gradio rewrites a type stub (`.pyi`) for every component class and renders a docstring from a template
for every event of every component. The finder here runs before the others for those two modules and swaps each
function for one that does nothing. Should a later Gradio have no such function or module, nothing is swapped and the
import is merely slow.
"""

from __future__ import annotations

import importlib.machinery
import os
import sys
from collections.abc import Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

SWAPPED: Mapping[str, tuple[str, ...]] = {
    "gradio.component_meta": ("create_or_modify_pyi",),
    "gradio.events": ("EventListener", "set_doc"),
}
"""Module to the attribute in it, step by step, that is swapped."""
OFFLINE = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1", "GRADIO_RUN_HISTORY": "False"}
"""What Gradio must find in the environment before it is imported, so that it calls nobody."""


class _SwappingLoader(Loader):
    """Loads a module as `original` does, then swaps one function in it."""

    def __init__(self, original: Loader, attributes: Sequence[str]) -> None:
        self._original = original
        self._attributes = attributes

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Leave it to the original loader."""
        return self._original.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Run the module, then swap the function, if it is there."""
        self._original.exec_module(module)
        place: object = module
        for name in self._attributes[:-1]:
            place = getattr(place, name, None)
        if callable(getattr(place, self._attributes[-1], None)):
            setattr(place, self._attributes[-1], _do_nothing)


class SwappingFinder(MetaPathFinder):
    """Finds the modules in which something is swapped, and nothing else."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the ordinary spec of the module with its loader wrapped."""
        if fullname not in SWAPPED:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _SwappingLoader(spec.loader, SWAPPED[fullname])
        return spec


def install() -> None:
    """Prepare the process for a quick and silent `import gradio`; harmless when called twice or too late."""
    for name, value in OFFLINE.items():
        os.environ.setdefault(name, value)
    if not any(isinstance(finder, SwappingFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, SwappingFinder())


def _do_nothing(*_: object, **__: object) -> None:
    """Stand in for a function of Gradio's that nobody needs while the page is served."""

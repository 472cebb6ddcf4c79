"""Easel's packages, one word each; docs/architecture.md draws them, and imports only ever point down that list.

What community extensions import as `modules.shared` is `modules.a1111.shared`, the same object under both names.
Nothing else of the adapter is known here, and nothing of it is loaded before somebody asks.
"""

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from types import ModuleType

_ADAPTER = f"{__name__}.a1111"


class _AdapterFinder(importlib.machinery.PathFinder):
    """Answers `modules.NAME`, when there is no such package of ours, with `modules.a1111.NAME`."""

    @classmethod
    def find_spec(
        cls, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return how a module of A1111's is loaded; None for a name that is neither."""
        package, _, name = fullname.partition(".")
        if package != __name__ or not name or fullname.startswith(_ADAPTER):
            return None
        adapted = f"{_ADAPTER}.{name}"
        if importlib.util.find_spec(adapted) is None:
            return None
        return importlib.machinery.ModuleSpec(fullname, _Loader(adapted), is_package=True)


class _Loader(importlib.abc.Loader):
    """Loads a module by another name: the object is the same, and is loaded once."""

    def __init__(self, name: str) -> None:
        self._name = name

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        """Return the module of the other name."""
        module = importlib.import_module(self._name)
        # The import system is about to write the new name's spec into it.
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Give the module its own spec back; it was run already."""
        module.__spec__ = module.__spec__.loader_state if module.__spec__ is not None else None


def __getattr__(name: str) -> ModuleType:
    """Return a module of A1111's that nobody has imported yet; there they all are from the start."""
    if _ADAPTER not in sys.modules or name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return importlib.import_module(f"{__name__}.{name}")
    except ModuleNotFoundError as error:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from error


sys.meta_path.append(_AdapterFinder)

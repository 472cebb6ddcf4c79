"""Makes every name that A1111 defines importable: what no file here defines is a placeholder."""

from __future__ import annotations

import importlib
import importlib.machinery
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from modules.a1111._placeholders import placeholder

PREFIX = "modules.a1111."
_FOLDER = Path(__file__).parent


@cache
def known_names() -> Mapping[str, tuple[str, ...]]:
    """Return the names that A1111 1.10.1 defines, by module, "shared" for its `modules.shared`."""
    names = json.loads((_FOLDER / "names.json").read_text(encoding="utf-8"))
    return {module: tuple(of_module) for module, of_module in names.items()}


class KnownModules:
    """Finds A1111's modules: those with a file here, with what the file lacks, and those without one."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return how the module is loaded; None for what is none of A1111's."""
        name = fullname.removeprefix(PREFIX)
        if name == fullname or name.startswith("_"):
            return None
        folder = _FOLDER.joinpath(*name.split(".")[:-1])
        spec = importlib.machinery.PathFinder.find_spec(fullname, [str(folder)])
        if spec is None and not _is_module(name):
            return None
        real = spec.loader if spec is not None else None
        made = importlib.machinery.ModuleSpec(fullname, _Completing(name, real), is_package=True)
        if spec is not None:
            made.origin, made.has_location = spec.origin, True
        # Without folders of their own, packages leave their modules to this finder, under both of their names.
        made.submodule_search_locations = []
        return made


class _Completing:
    """Runs a module's file, if it has one, and then lets it answer to every name of A1111's."""

    def __init__(self, name: str, real: Any) -> None:
        self._name = name
        self._real = real

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        """Leave it to the import system."""
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Fill the module."""
        if self._real is not None:
            self._real.exec_module(module)
        own = module.__dict__.get("__getattr__")

        def answer(name: str) -> Any:
            """Return a name that the file does not define: computed by the file itself, or a placeholder."""
            if own is not None:
                try:
                    return own(name)
                except AttributeError:
                    pass
            if name not in known_names().get(self._name, ()):
                # A1111's modules import one another, so that each is found in many others too.
                for module_name in (f"{self._name}.{name}", name):
                    if _is_module(module_name):
                        return importlib.import_module(f"{PREFIX}{module_name}")
                raise AttributeError(f"module 'modules.{self._name}' has no attribute {name!r}")
            return placeholder(f"modules.{self._name}", name)

        module.__dict__["__getattr__"] = answer


def _is_module(name: str) -> bool:
    """Say whether A1111 has a module or package of that name."""
    return any(known == name or known.startswith(f"{name}.") for known in known_names())

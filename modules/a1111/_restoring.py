"""What extensions replace in A1111's modules: by whom, where two replace the same, and everything put back at the end.

Extensions replace functions of modules, methods of classes, and entries of lists and dictionaries that they find there.
All of these are noted before the first extension is loaded.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from modules.a1111._host import HOST
from modules.a1111._owners import owner_of

PREFIX = "modules.a1111"
CONTAINERS = (list, dict, set)
_ABSENT = object()
_STATE = "replacements"
_OWN_AFFAIRS = frozenset({"CALLBACK_MAP", "callback_map", "LOADED", "HOST", "SHIM"})
"""What is emptied in other ways, or belongs to nobody but the adapter."""


class Replacements:
    """What was there before the extensions came, and what has become of it."""

    def __init__(self) -> None:
        """Note everything as it is now."""
        self._modules = [module for name, module in sorted(sys.modules.items()) if _is_adapter(name, module)]
        self._before: dict[int, tuple[Any, dict[str, Any]]] = {}
        self._contents: list[tuple[Any, Any]] = []
        self._seen: dict[tuple[int, str], Any] = {}
        for module in self._modules:
            self._note(module)

    def _note(self, module: ModuleType) -> None:
        names = {name: value for name, value in vars(module).items() if not _is_machinery(name)}
        self._before[id(module)] = (module, names)
        for name, value in names.items():
            if isinstance(value, type) and value.__module__.startswith(PREFIX):
                self._before.setdefault(id(value), (value, dict(vars(value))))
            elif type(value) in CONTAINERS and name not in _OWN_AFFAIRS:
                self._contents.append((value, value.copy()))

    def changed(self) -> Iterator[tuple[Any, str, Any]]:
        """Yield each function, method or other attribute that is another now: its owner, its name, and what it is."""
        for owner, before in self._before.values():
            for name, old in before.items():
                now = vars(owner).get(name, _ABSENT)
                if now is not old and not _is_machinery(name):
                    yield owner, name, now

    def look(self, extension: str = "") -> None:
        """Note who has replaced what since the last look; where it was replaced already, both are told.

        `extension`: who is blamed for what cannot be told from files.
        """
        for owner, name, now in self.changed():
            place = (id(owner), name)
            if self._seen.get(place) is now:
                continue
            self._seen[place] = now
            culprit = owner_of(now) or extension
            if culprit:
                HOST.reports.claim(culprit, "function", f"{_shown(owner)}.{name}")

    def restore(self) -> None:
        """Put everything back, and take away what was added to modules and classes."""
        for owner, before in self._before.values():
            for name in [name for name in vars(owner) if name not in before and not _is_machinery(name)]:
                if isinstance(owner, type) or not isinstance(vars(owner)[name], ModuleType):
                    delattr(owner, name)
            for name, old in before.items():
                if vars(owner).get(name, _ABSENT) is not old and not _is_machinery(name):
                    setattr(owner, name, old)
        for container, old in self._contents:
            if not _same(container, old):
                container.clear()
                container.extend(old) if isinstance(container, list) else container.update(old)
        self._seen.clear()


def unshadowed(things: list[Any]) -> None:
    """Take away what hides a method of an object's class, so that the method acts again."""
    for thing in things:
        own = getattr(thing, "__dict__", {})
        for name in [name for name in own if callable(getattr(type(thing), name, None))]:
            del own[name]


def import_all() -> None:
    """Import every module of the adapter's, so that what extensions replace in them is known."""
    folder = Path(__file__).parent
    for path in sorted(folder.glob("*.py")):
        if not path.stem.startswith("_"):
            importlib.import_module(f"{PREFIX}.{path.stem}")


def begin() -> None:
    """Note what is there before extensions are loaded; what earlier ones replaced is put back first."""
    end()
    import_all()
    HOST.own_state[_STATE] = Replacements()


def look(extension: str = "") -> None:
    """Note who has replaced what since the last look, where anything was noted before."""
    noted = HOST.own_state.get(_STATE)
    if noted is not None:
        noted.look(extension)


def end() -> None:
    """Put everything back that extensions replaced."""
    noted = HOST.own_state.pop(_STATE, None)
    if noted is not None:
        noted.restore()


def _same(container: Any, old: Any) -> bool:
    """Say whether a container holds what it held, the very same things in the same order."""
    if isinstance(container, set):
        return bool(container == old)
    if isinstance(container, dict):
        return list(container) == list(old) and all(container[key] is old[key] for key in old)
    return len(container) == len(old) and all(one is other for one, other in zip(container, old, strict=True))


def _is_adapter(name: str, module: Any) -> bool:
    return name.startswith(f"{PREFIX}.") and isinstance(module, ModuleType)


def _is_machinery(name: str) -> bool:
    """Say whether Python itself keeps something under a name."""
    return (name.startswith("__") and name.endswith("__")) or name.startswith("_abc_")


def _shown(owner: Any) -> str:
    """Return a module or class under A1111's name."""
    module = owner.__name__ if isinstance(owner, ModuleType) else f"{owner.__module__}.{owner.__qualname__}"
    return module.replace(f"{PREFIX}.", "modules.")

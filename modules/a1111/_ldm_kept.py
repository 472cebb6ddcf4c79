"""What modules and classes were before extensions changed them, and how they become that again."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MethodType
from typing import Any

from torch import nn

_HOOKS = ("_forward_hooks", "_forward_pre_hooks")
_HOOK_DETAILS = ("_forward_hooks_with_kwargs", "_forward_hooks_always_called", "_forward_pre_hooks_with_kwargs")
_FORWARD, _ACCELERATED = "forward", "_hf_hook"
"""Where modules have what takes their method's place, and where accelerate keeps how it streams weights in."""
_OURS = frozenset({"modules", "torch", "accelerate", "diffusers", "transformers"})


def is_foreign(value: Any) -> bool:
    """Say whether a value is a function that is neither Easel's nor that of a library which the engine uses."""
    if not callable(value):
        return False
    while isinstance(value, partial):
        value = value.func
    # Not its `__module__`, which functools.wraps copies from what it wraps.
    around = getattr(getattr(value, "__func__", value), "__globals__", {})
    name = around.get("__name__") or getattr(value, "__module__", None) or type(value).__module__
    return str(name).partition(".")[0] not in _OURS


@dataclass(frozen=True, slots=True)
class Remnant:
    """A function that an extension had in a module when a run ended. It is known only as long as somebody keeps it."""

    module: Callable[[], nn.Module | None]
    name: str
    function: Callable[[], Any]

    def put_back(self) -> None:
        """Put it in its place again, unless nobody has kept it."""
        module, function = self.module(), self.function()
        if module is not None and function is not None:
            vars(module)[self.name] = function


def _remnant(module: nn.Module, name: str, function: Any) -> Remnant | None:
    try:
        known = weakref.WeakMethod(function) if isinstance(function, MethodType) else weakref.ref(function)
    except TypeError:
        return None
    return Remnant(weakref.ref(module), name, known)


class KeptModules:
    """What some modules are: `own` ones belong to nobody but extensions, `shared` ones to the engine too.

    Of shared ones only functions of extensions are undone, replaced forwards and hooks, since the engine and its
    libraries change the others.
    """

    def __init__(self, own: Iterable[nn.Module], shared: Iterable[nn.Module]) -> None:
        """Take the modules as they are now."""
        self._own = [(module, dict(vars(module)), _inner(module)) for module in own]
        self._shared = [(module, _attributes(module)) for module in shared]

    def remnants(self) -> list[Remnant]:
        """Return which functions extensions have put into them."""
        modules = [*((module, before) for module, before, _ in self._own), *self._shared]
        found = (
            _remnant(module, name, value)
            for module, before in modules
            for name, value in vars(module).items()
            if value is not before.get(name) and is_foreign(value)
        )
        return [each for each in found if each is not None]

    def restore(self) -> None:
        """Make them what they were."""
        for module, attributes, inner in self._own:
            vars(module).clear()
            vars(module).update(attributes)
            for name, content in inner.items():
                kept = vars(module)[name]
                kept.clear()
                kept.update(content)
        for module, attributes in self._shared:
            _restore_shared(module, attributes)


def _inner(module: nn.Module) -> dict[str, dict[Any, Any]]:
    """Return what torch's own tables in a module hold."""
    return {name: dict(value) for name, value in vars(module).items() if name[0] == "_" and isinstance(value, dict)}


def _attributes(module: nn.Module) -> dict[str, Any]:
    attributes = dict(vars(module))
    return attributes | {name: dict(vars(module)[name]) for name in _HOOKS}


def _restore_shared(module: nn.Module, before: Mapping[str, Any]) -> None:
    now = vars(module)
    replaced = [name for name in now if (name == _FORWARD or name not in before) and is_foreign(now[name])]
    for name in replaced:
        if name in before and (_ACCELERATED in now) == (_ACCELERATED in before):
            now[name] = before[name]
        else:
            del now[name]
    for table in _HOOKS:
        for key in [key for key, hook in now[table].items() if key not in before[table] and is_foreign(hook)]:
            del now[table][key]
            for details in _HOOK_DETAILS:
                now[details].pop(key, None)


class KeptAttributes:
    """What the attributes of classes and objects are; new, replaced and deleted ones are undone."""

    def __init__(self, owners: Iterable[Any]) -> None:
        """Take the owners as they are now."""
        self._before = [(owner, dict(vars(owner))) for owner in owners]

    def changes(self) -> list[tuple[Any, str]]:
        """Return what is not as it was."""
        return [
            (owner, name)
            for owner, before in self._before
            for name in {*before, *vars(owner)}
            if name not in vars(owner) or name not in before or vars(owner)[name] is not before[name]
        ]

    def restore(self) -> None:
        """Make them what they were."""
        before = {id(owner): attributes for owner, attributes in self._before}
        for owner, name in self.changes():
            if name in before[id(owner)]:
                setattr(owner, name, before[id(owner)][name])
            else:
                delattr(owner, name)



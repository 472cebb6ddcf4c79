"""What a request asks of plugins: by plugin, and there by parameter, a value. Cannot be changed, like the request."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from modules.core.errors import FieldProblem, InvalidRequest
from modules.core.parameter import SHOWN_CHARACTERS, Value

T = TypeVar("T")


class FrozenMapping(Mapping[str, T]):
    """A mapping that cannot be changed; equal to any other with the same content."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, T] | None = None) -> None:
        """Take a copy of `values`."""
        self._values = dict(values or {})

    def __getitem__(self, name: str) -> T:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __hash__(self) -> int:
        return hash(frozenset(self._values.items()))

    def __repr__(self) -> str:
        return repr(self._values)


PluginValues = FrozenMapping[Value]
Extras = FrozenMapping[PluginValues]
NO_EXTRAS: Extras = FrozenMapping()


def frozen_extras(given: object) -> Extras:
    """Return `given` as extras. Only its form is checked: plugins come and go, and know their values themselves.

    Raises InvalidRequest.
    """
    if not isinstance(given, Mapping):
        raise _refused("extras", given, "an object with an object of values for each plugin")
    extras: dict[str, PluginValues] = {}
    for plugin, values in given.items():
        if not isinstance(plugin, str) or not isinstance(values, Mapping):
            raise _refused(f"extras.{plugin}", values, "an object with the values of a plugin's parameters")
        for name, value in values.items():
            good = isinstance(value, (str, int, bool)) or (isinstance(value, float) and math.isfinite(value))
            if not isinstance(name, str) or not good:
                raise _refused(f"{plugin}.{name}", value, "a text, a number, true or false")
        extras[plugin] = FrozenMapping(values)
    return FrozenMapping(extras)


def without_plugin(extras: Extras, plugin: str) -> Extras:
    """Return extras in which a plugin is asked for nothing."""
    return FrozenMapping({name: values for name, values in extras.items() if name != plugin})


def plain_extras(extras: Extras) -> dict[str, dict[str, Any]]:
    """Return extras as dictionaries, as JSON has them."""
    return {plugin: dict(values) for plugin, values in extras.items()}


def _refused(field: str, value: object, allowed: str) -> InvalidRequest:
    return InvalidRequest([FieldProblem(field, field, str(value)[:SHOWN_CHARACTERS], allowed)])

"""Replaces attributes of modules and classes, and puts all of them back."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from functools import partial
from typing import Any

_ABSENT = object()


class Patches:
    """What was replaced, in order."""

    def __init__(self) -> None:
        self._undo: list[Callable[[], None]] = []

    def __bool__(self) -> bool:
        return bool(self._undo)

    def set(self, owner: Any, name: str, value: Any) -> None:
        """Give `owner` an attribute of its own, new or another than it has."""
        before = vars(owner).get(name, _ABSENT)
        self._undo.append(partial(delattr, owner, name) if before is _ABSENT else partial(setattr, owner, name, before))
        setattr(owner, name, value)

    def put(self, mapping: MutableMapping[str, Any], key: str, value: Any) -> None:
        """Give a mapping an entry, new or another than it has."""
        before = mapping.get(key, _ABSENT)
        self._undo.append(
            partial(mapping.pop, key, None) if before is _ABSENT else partial(mapping.__setitem__, key, before)
        )
        mapping[key] = value

    def undo(self) -> None:
        """Put back what was there before."""
        while self._undo:
            self._undo.pop()()

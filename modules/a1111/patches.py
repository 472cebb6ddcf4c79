"""A1111's modules.patches: functions of modules replaced and put back, each replacement under a key of its own."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

ORIGINALS: dict[object, dict[tuple[object, str], Any]] = defaultdict(dict)
originals = ORIGINALS


def patch(key: object, obj: object, field: str, replacement: Any) -> Any:
    """Replace an attribute and return what it was. Raises RuntimeError when this key has replaced it already."""
    place = (obj, field)
    if place in ORIGINALS[key]:
        raise RuntimeError(f"patch for {field} is already applied")
    before = getattr(obj, field)
    ORIGINALS[key][place] = before
    setattr(obj, field, replacement)
    return before


def undo(key: object, obj: object, field: str) -> None:
    """Put the attribute back. Raises RuntimeError when this key has not replaced it."""
    place = (obj, field)
    if place not in ORIGINALS[key]:
        raise RuntimeError(f"there is no patch for {field} to undo")
    setattr(obj, field, ORIGINALS[key].pop(place))


def original(key: object, obj: object, field: str) -> Any:
    """Return what an attribute was before this key replaced it; None where it did not."""
    return ORIGINALS[key].get((obj, field))

"""For which tab scripts are being made now: what they add elsewhere meanwhile goes when they are made anew."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from modules.a1111._host import HOST

Making = tuple[str, int]
"""A tab, and how often its scripts had been made."""


@contextmanager
def making(tab: str, anew: bool = False) -> Iterator[None]:
    """Have what is done inside belong to a tab's scripts; `anew`: those of before are gone."""
    counts: dict[str, int] = HOST.state("makings", dict)
    counts[tab] = counts.get(tab, 0) + int(anew)
    before = HOST.own_state.get("making")
    HOST.own_state["making"] = (tab, counts[tab])
    try:
        yield
    finally:
        HOST.own_state["making"] = before


def present_making() -> Making | None:
    """Return whose scripts are being made; None when none are."""
    found: Making | None = HOST.own_state.get("making")
    return found


def is_gone(making_then: Making | None) -> bool:
    """Say whether the scripts of a making were made anew since."""
    return making_then is not None and HOST.state("makings", dict).get(making_then[0]) != making_then[1]

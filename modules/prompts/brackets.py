"""Brackets of a prompt that have no partner; the page's token counter turns red for them."""

from __future__ import annotations

import re
from collections import Counter

PAIRS = (("(", ")"), ("[", "]"), ("{", "}"))

_ESCAPED_OR_BRACKET = re.compile(r"\\.|[()\[\]{}]", re.DOTALL)


def unbalanced(text: str) -> str | None:
    """Return which brackets lack a partner, in words, or None. Escaped ones do not count; kinds may cross."""
    waiting: Counter[str] = Counter()
    stray: Counter[str] = Counter()
    opening = {close: open_ for open_, close in PAIRS}
    for match in _ESCAPED_OR_BRACKET.finditer(text):
        mark = match.group()
        if mark not in opening:
            waiting[mark] += 1
        elif waiting[opening[mark]] > 0:
            waiting[opening[mark]] -= 1
        else:
            stray[mark] += 1
    problems = [_described(pair, waiting[pair[0]], stray[pair[1]]) for pair in PAIRS]
    return "; ".join(filter(None, problems)) or None


def _described(pair: tuple[str, str], waiting: int, stray: int) -> str:
    """Return the sentence about one kind of bracket, empty when each has its partner."""
    open_, close = pair
    parts = []
    if waiting:
        parts.append(f"{_times(open_, waiting)} without {close}")
    if stray:
        parts.append(f"{_times(close, stray)} without {open_}")
    return " and ".join(parts)


def _times(mark: str, count: int) -> str:
    return mark if count == 1 else f"{count} × {mark}"

"""How the values of an axis are written: separated by commas, numbers also as ranges.

`1-5` is 1, 2, 3, 4, 5; `1-10(+2)` goes in steps of 2; `1-10[5]` is five values from 1 to 10. Other than in A1111 a
range never goes beyond its end, and one that goes down (`10-1(-3)`) reaches it.
"""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Iterator, Sequence
from typing import TypeVar

from modules.core.parameter import SHOWN_CHARACTERS

MOST_VALUES = 10_000
Read = TypeVar("Read", str, str | int | float)
_DIGITS = 8
"""Decimal places of the numbers in a range, so that 0.1 three times over is 0.3."""
_NUMBER = r"([+-]?\s*\d+(?:\.\d*)?)"
_RANGE = re.compile(rf"\s*{_NUMBER}\s*-\s*{_NUMBER}\s*(?:\(\s*{_NUMBER}\s*\))?\s*")
_COUNTED = re.compile(rf"\s*{_NUMBER}\s*-\s*{_NUMBER}\s*\[\s*(\d+)\s*\]\s*")


class AxisError(ValueError):
    """A value that an axis cannot have, and what it can."""

    def __init__(self, value: object, allowed: str) -> None:
        text = str(value)
        self.value = text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"
        self.allowed = allowed
        super().__init__(f"{self.value} is not possible; allowed is {allowed}.")


def split_values(text: str, keep_empty: bool = False) -> list[str]:
    """Return the values of a text; what has a comma of its own stands in quotation marks. Raises AxisError."""
    try:
        cells = list(itertools.chain.from_iterable(csv.reader(io.StringIO(text), skipinitialspace=True)))
    except csv.Error as error:
        raise AxisError(text, f"values separated by commas ({error})") from error
    values = [cell.strip() for cell in cells]
    return _counted(values if keep_empty else [value for value in values if value])


def with_ranges(values: Sequence[str], whole: bool) -> list[str | int | float]:
    """Return values in which each range has become its numbers; `whole`: without fractions. Raises AxisError."""
    found: list[str | int | float] = []
    for value in values:
        found += itertools.islice(_expanded(value, whole), MOST_VALUES + 1)
        _counted(found)
    return found


def _expanded(value: str, whole: bool) -> Iterator[str | int | float]:
    stepped, counted = _RANGE.fullmatch(value), _COUNTED.fullmatch(value)
    if stepped is not None:
        start, end = _number(stepped[1]), _number(stepped[2])
        step = _number(stepped[3]) if stepped[3] else 1.0
        if not step or (end - start) * step < 0:
            raise AxisError(value, "a step that leads from the first number to the second")
        numbers = (start + step * number for number in range(int((end - start) / step + 1e-9) + 1))
    elif counted is not None:
        start, end, count = _number(counted[1]), _number(counted[2]), int(counted[3])
        numbers = (start + (end - start) * number / max(1, count - 1) for number in range(count))
    else:
        yield value
        return
    for number in numbers:
        yield int(round(number, _DIGITS)) if whole else round(number, _DIGITS)


def _number(text: str) -> float:
    return float(text.replace(" ", ""))


def _counted(values: list[Read]) -> list[Read]:
    if len(values) > MOST_VALUES:
        raise AxisError(f"{len(values)} values", f"at most {MOST_VALUES}")
    return values

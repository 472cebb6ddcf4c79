"""Finds nothing in any picture: stands for a network that the real package fetches as soon as it is imported.

Only for tests/community/check.py.
"""

from __future__ import annotations

from typing import Any


def detect(picture: Any, **options: Any) -> list[Any]:
    """Return what was found."""
    return []

"""Whose code is running: an extension's, told by the file of the innermost frame, or by who has called it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path

EXTENSIONS = "extensions"
_HOST = Path(__file__).resolve().parents[1] / "web"
_NAMED: ContextVar[str] = ContextVar("easel_extension", default="")


@contextmanager
def working_for(extension: str) -> Iterator[None]:
    """Say whose code runs inside, for what cannot be told from files: a host function that it has called back."""
    token = _NAMED.set(extension)
    try:
        yield
    finally:
        _NAMED.reset(token)


def extension_at_work() -> str:
    """Return the folder name of the extension whose code is running; "" when the page of ours is at work."""
    frame = inspect.currentframe()
    while frame is not None:
        owner = _owner(frame.f_code.co_filename)
        if owner is not None:
            return owner
        frame = frame.f_back
    return _NAMED.get()


@cache
def _owner(filename: str) -> str | None:
    """Return the extension that a file belongs to, "" for the page's own files, and None for all others."""
    path = Path(filename)
    if path.is_relative_to(_HOST):
        return ""
    parts = path.parts
    if EXTENSIONS not in parts[:-2]:
        return None
    last = len(parts) - 1 - parts[::-1].index(EXTENSIONS)
    return parts[last + 1] if last + 1 < len(parts) - 1 else None

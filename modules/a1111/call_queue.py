"""A1111's modules.call_queue: work of extensions one after the other. Easel's own jobs have a queue of their own."""

from __future__ import annotations

import functools
import html
import logging
import threading
from collections.abc import Callable
from typing import Any

from modules.a1111 import errors
from modules.a1111.shared_state import state

logger = logging.getLogger(__name__)
LOCK = threading.RLock()
queue_lock = LOCK


def wrap_queued_call(func: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that waits for others of its kind."""

    @functools.wraps(func)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        with LOCK:
            return func(*args, **kwargs)

    return wrapped


def wrap_gradio_gpu_call(func: Callable[..., Any], extra_outputs: Any = None) -> Callable[..., Any]:
    """Return a function for a button that makes pictures: one at a time, its errors as HTML."""

    @functools.wraps(func)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        with LOCK:
            state().begin(str(args[0]) if args and isinstance(args[0], str) else "(unknown)")
            try:
                return func(*args, **kwargs)
            finally:
                state().end()

    return wrap_gradio_call(wrapped, extra_outputs=extra_outputs, add_stats=True)


def wrap_gradio_call(
    func: Callable[..., Any], extra_outputs: Any = None, add_stats: bool = False
) -> Callable[..., Any]:
    """Return a function for a button whose errors become its last output, as HTML."""

    @functools.wraps(func)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return list(func(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 (what the wrapper is for)
            errors.report("Error completing request", exc_info=True)
            shown = html.escape(f"{type(error).__name__}: {error}")
            return [*(extra_outputs or [None, ""]), f"<div class='error'>{shown}</div>"]

    return wrapped


def wrap_gradio_call_no_job(
    func: Callable[..., Any], extra_outputs: Any = None, add_stats: bool = False
) -> Callable[..., Any]:
    """Return the same."""
    return wrap_gradio_call(func, extra_outputs, add_stats)

"""A1111's modules.errors: exceptions told in the log and kept for the report of the extension at fault."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable
from typing import Any

from modules.a1111._host import HOST
from modules.a1111._placeholders import calling_extension

logger = logging.getLogger(__name__)

MOST_RECORDS = 5
EXCEPTION_RECORDS: list[dict[str, Any]] = []
exception_records = EXCEPTION_RECORDS
ALREADY_DISPLAYED: dict[str, int] = {}
already_displayed = ALREADY_DISPLAYED


def format_traceback(tb: Any) -> list[list[str]]:
    """Return where an exception passed: ["file, line, function", "code"] for each frame."""
    frames = traceback.extract_tb(tb)
    return [[f"{frame.filename}, line {frame.lineno}, {frame.name}", frame.line or ""] for frame in frames]


def format_exception(e: BaseException, tb: Any) -> dict[str, Any]:
    """Return an exception as plain values."""
    return {"exception": str(e), "traceback": format_traceback(tb)}


def get_exceptions() -> list[dict[str, Any]]:
    """Return the last exceptions, newest first."""
    return list(reversed(EXCEPTION_RECORDS))


def record_exception() -> None:
    """Keep the exception that is being handled."""
    _, error, trace = sys.exc_info()
    if error is None:
        return
    EXCEPTION_RECORDS.append(format_exception(error, trace))
    del EXCEPTION_RECORDS[:-MOST_RECORDS]


def report(message: str, *, exc_info: bool = False) -> None:
    """Log a message, with the exception that is being handled if `exc_info`."""
    record_exception()
    logger.error("%s", message, exc_info=exc_info)
    extension = calling_extension()
    if extension:
        error = sys.exc_info()[1]
        told = f"{message}: {type(error).__name__}: {error}" if exc_info and error is not None else str(message)
        HOST.reports.fail(extension, "hook", told)


def print_error_explanation(message: str) -> None:
    """Log an explanation of several lines."""
    logger.error("%s", message.strip())


def display(e: BaseException, task: str, *, full_traceback: bool = False) -> None:
    """Log an exception and in which task it came."""
    record_exception()
    logger.error("%s: %s: %s", task or "error", type(e).__name__, e, exc_info=e)


def display_once(e: BaseException, task: str) -> None:
    """Log an exception of a task the first time only."""
    record_exception()
    if task not in ALREADY_DISPLAYED:
        ALREADY_DISPLAYED[task] = 1
        display(e, task)


def run(code: Callable[[], Any], task: str) -> None:
    """Call `code`; an exception is logged and goes no further."""
    try:
        code()
    except Exception as error:  # noqa: BLE001 (what A1111 promises its callers)
        display(error, task)


def check_versions() -> None:
    """Do nothing: the versions are pinned."""

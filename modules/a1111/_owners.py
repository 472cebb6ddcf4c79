"""Whose a function is, and whether something was put in the place of another."""

from __future__ import annotations

import functools
import inspect
from typing import Any

from modules.a1111._host import extension_of


def owner_of(function: Any) -> str:
    """Return the name of the extension whose file a function, method or object's class stands in; "" for others."""
    found = function
    while isinstance(found, functools.partial):
        found = found.func
    found = inspect.unwrap(getattr(found, "__func__", found))
    if not hasattr(found, "__code__"):
        # Of a class, and of an object that is called, any method tells.
        methods = vars(found if isinstance(found, type) else type(found)).values()
        found = next((each for each in methods if hasattr(each, "__code__")), None)
    code = getattr(found, "__code__", None)
    return extension_of(code.co_filename) if code is not None else ""


def replaced(owner: Any, name: str, original: Any) -> bool:
    """Say whether a method of an object is another than `original`: of its own, a subclass's, or put into the class."""
    found = getattr(owner, name)
    return getattr(found, "__func__", found) is not original

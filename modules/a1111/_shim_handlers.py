"""Event listeners as Gradio 3.41 took them, and the functions behind them, which run as an extension's code."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any

import gradio as gr

from modules.a1111._shim_arguments import Note, shown
from modules.a1111._working import working_for

DROPPED = frozenset({"status_tracker", "every", "max_batch_size", "_preprocess", "collects_event_data"})
"""Keywords of Gradio 3's listeners that mean nothing any more (S26)."""
PRIVATE = "private"


def adapted_listener(given: Mapping[str, Any], extension: str, note: Note) -> dict[str, Any]:
    """Return a listener's keyword arguments for those that an extension gives, its function wrapped."""
    kwargs = dict(given)
    if "_js" in kwargs:
        note("S1 _js=")
        script = kwargs.pop("_js")
        kwargs.setdefault("js", script)
    for name in DROPPED & kwargs.keys():
        note(f"S26 {name}=")
        del kwargs[name]
    if kwargs.get("queue", True) is None:
        note("S26 queue=None")
        del kwargs["queue"]
    if kwargs.get("show_progress", "full") is None:
        kwargs["show_progress"] = "hidden"
    show_api = kwargs.pop("show_api", None)
    if show_api is not None:
        note("S26 show_api=")
    if kwargs.get("api_name") is False:
        note("S26 api_name=False")
        kwargs["api_name"] = None
    if not isinstance(kwargs.get("api_name"), str):
        kwargs.setdefault("api_visibility", PRIVATE)
    if _shows_pictures(kwargs):
        note("S29 a picture for a script")
        kwargs["js"] = f"(...values) => a1111WithPictures({kwargs['js']}, values)"
    if callable(kwargs.get("fn")):
        kwargs["fn"] = wrapped(kwargs["fn"], extension, note)
    return kwargs


def _shows_pictures(given: Mapping[str, Any]) -> bool:
    """Say whether an event does nothing but to show pictures to a function of the page."""
    inputs = given.get("inputs") or ()
    listed = inputs if isinstance(inputs, (list, tuple, set)) else [inputs]
    alone = given.get("fn") is None and not given.get("outputs") and isinstance(given.get("js"), str)
    return alone and any(isinstance(each, gr.Image) for each in listed)


def wrapped(function: Callable[..., Any], extension: str, note: Note) -> Callable[..., Any]:
    """Return a function of an extension that runs as such, and whose answers fit Gradio 6."""
    if inspect.isasyncgenfunction(function):
        return _wrapped_async_generator(function, extension, note)
    if inspect.iscoroutinefunction(function):
        return _wrapped_coroutine(function, extension, note)
    if inspect.isgeneratorfunction(function):
        return _wrapped_generator(function, extension, note)

    @functools.wraps(function, assigned=_assigned(function))
    def run(*args: Any, **kwargs: Any) -> Any:
        with working_for(extension):
            return answer(function(*args, **kwargs), note)

    return run


def answer(value: Any, note: Note) -> Any:
    """Return what a function has answered with its updates as Gradio 6 has them."""
    if isinstance(value, dict):
        if value.get("__type__") == "update":
            changed = dict(value)
            shown(changed, note)
            return changed
        return {key: answer(each, note) for key, each in value.items()} if _by_component(value) else value
    if isinstance(value, tuple):
        return tuple(answer(each, note) for each in value)
    if isinstance(value, list) and any(isinstance(each, dict) for each in value):
        return [answer(each, note) for each in value]
    return value


def _by_component(value: Mapping[Any, Any]) -> bool:
    return bool(value) and all(hasattr(key, "_id") for key in value)


def _assigned(function: Callable[..., Any]) -> tuple[str, ...]:
    """Return what a wrapper takes over; objects that can be called have no name of their own."""
    return tuple(name for name in functools.WRAPPER_ASSIGNMENTS if hasattr(function, name))


def _wrapped_generator(function: Callable[..., Any], extension: str, note: Note) -> Callable[..., Any]:
    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Iterator[Any]:
        values = function(*args, **kwargs)
        while True:
            # Between two values another thread's context may run this, so it is told anew each time.
            with working_for(extension):
                try:
                    value = next(values)
                except StopIteration as end:
                    return end.value
            yield answer(value, note)

    return run


def _wrapped_coroutine(function: Callable[..., Any], extension: str, note: Note) -> Callable[..., Any]:
    @functools.wraps(function)
    async def run(*args: Any, **kwargs: Any) -> Any:
        with working_for(extension):
            return answer(await function(*args, **kwargs), note)

    return run


def _wrapped_async_generator(function: Callable[..., Any], extension: str, note: Note) -> Callable[..., Any]:
    @functools.wraps(function)
    async def run(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        async for value in function(*args, **kwargs):
            yield answer(value, note)

    return run

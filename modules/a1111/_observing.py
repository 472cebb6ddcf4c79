"""Tells extensions of every component while the page is built, before and after it is made, as A1111 does (S15)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from gradio.blocks import BlockContext
from gradio.components import Component
from gradio.context import Context, LocalContext

from modules.a1111._patching import Patches

Told = Callable[..., None]
"""Takes the component and the keyword arguments that it is made with."""


@contextmanager
def observed(before: Told, after: Told) -> Iterator[None]:
    """Call back for each component and layout that is made inside; each gets the class `gradio-<its kind>` too."""
    patches = Patches()
    for cls in (Component, BlockContext):
        patches.set(cls, "__init__", _telling(cls.__init__, before, after))
    try:
        yield
    finally:
        patches.undo()


@contextmanager
def outside_blocks() -> Iterator[None]:
    """Leave the page that is being built, so that code inside can build one of its own, and come back to it."""
    root, block = Context.root_block, Context.block
    Context.root_block = Context.block = None
    try:
        yield
    finally:
        Context.root_block, Context.block = root, block


@contextmanager
def same_place() -> Iterator[None]:
    """Be where the page is being built again afterwards, whatever code inside has left open."""
    root, block = Context.root_block, Context.block
    try:
        yield
    finally:
        Context.root_block, Context.block = root, block


def _telling(original: Callable[..., None], before: Told, after: Told) -> Callable[..., None]:
    @functools.wraps(original)
    def construct(self: Any, *args: Any, **kwargs: Any) -> None:
        if LocalContext.in_event_listener.get(False):
            original(self, *args, **kwargs)
            return
        before(self, **kwargs)
        original(self, *args, **kwargs)
        self.elem_classes = [f"gradio-{self.get_block_name()}", *self.elem_classes]
        if getattr(self, "multiselect", False):
            self.elem_classes.append("multiselect")
        after(self, **kwargs)

    return construct

"""Lets code that was written for Gradio 3.41 or 4 run on Gradio 6; it acts only where an extension's code is running.

Gradio's classes stay what they are: their constructors, listeners and a few of their methods are wrapped, and look
first whose code has called them. Each thing that was changed or dropped is counted for the extension.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import gradio as gr
import gradio.blocks
import gradio.component_meta
import gradio.components
import gradio.events
import gradio.helpers
import gradio.layouts
import gradio.templates
from gradio.blocks import Block, BlockContext

import modules.a1111._derived  # noqa: F401
from modules.a1111._patching import Patches
from modules.a1111._shim_arguments import Note, adapted, shown
from modules.a1111._shim_blocks import add_blocks_views, add_tabs_order
from modules.a1111._shim_handlers import adapted_listener
from modules.a1111._shim_names import add_names
from modules.a1111._shim_pydantic import add_pydantic_names
from modules.a1111._shim_sketch import SKETCH, make_sketch, paints
from modules.a1111._shim_values import add_gallery_values, add_label_values
from modules.a1111._working import extension_at_work, working_for

__all__ = ["Count", "Gradio3", "install", "shim", "working_for"]

Count = Callable[[str, str], None]
"""Is told the extension and what was changed or dropped for it, such as "S8 gr.Box"."""
PLACES = (gr, gradio.components, gradio.layouts, gradio.templates)
PAGE_EVENTS = ("load", "unload")
"""Events of Blocks, which lists them nowhere."""
LENIENT = ("Dropdown", "Radio", "CheckboxGroup", "Slider", "Number")
"""Components that refuse values which Gradio 3 handed on."""
STYLES = {"columns": "columns", "grid": "columns", "rows": "rows", "height": "height", "width": "width",
          "container": "container", "equal_height": "equal_height", "object_fit": "object_fit"}  # fmt: skip
"""What `.style` could set and is an attribute now."""


@cache
def shim() -> Gradio3:
    """Return the process's only one."""
    return Gradio3()


def install(count: Count) -> None:
    """Let extensions' code run, from now on, and tell `count` what is done for it; again: only change `count`."""
    shim().install(count)


class Gradio3:
    """The patches of Gradio's modules. `css`: style sheets that extensions gave to Blocks."""

    def __init__(self) -> None:
        self._patches = Patches()
        self._count: Count = lambda extension, what: None
        self.css: list[str] = []

    def install(self, count: Count) -> None:
        """Patch Gradio, once."""
        self._count = count
        if self._patches:
            return
        self._patch_metaclass()
        add_names(self._patches, lambda what: self._count(extension_at_work(), what))
        add_pydantic_names(self._patches, lambda what: self._count(extension_at_work(), what))
        for cls in gradio_classes():
            self._patch_constructor(cls)
            self._patch_listeners(cls)
            self._patches.set(cls, "update", _update_of(cls, self.note_of))
        for name in LENIENT:
            self._patch_preprocess(getattr(gr, name))
        self._patch_image()
        self._patch_blocks()
        add_blocks_views(self._patches)
        add_tabs_order(self._patches)
        add_gallery_values(self._patches)
        add_label_values(self._patches)

    def remove(self) -> None:
        """Leave Gradio as it was."""
        self._patches.undo()
        self.css.clear()

    def note_of(self, extension: str) -> Note:
        """Return what counts for an extension."""
        return lambda what: self._count(extension, what)

    def _patch_constructor(self, cls: type) -> None:
        original = cls.__dict__.get("__init__")
        if original is None:
            return
        shim = self

        @functools.wraps(original)
        def construct(self: Any, *args: Any, **kwargs: Any) -> None:
            extension = extension_at_work()
            if not extension:
                original(self, *args, **kwargs)
                return
            note = shim.note_of(extension)
            kwargs = dict(kwargs)
            if "tooltip" in kwargs:
                note("S4 tooltip=")
                self.webui_tooltip = kwargs.pop("tooltip")
            self.easel_extension = extension
            if cls is gr.Blocks and isinstance(kwargs.get("css"), str):
                shim.css.append(kwargs["css"])
            original(self, **adapted(cls, args, kwargs, note))

        self._patches.set(cls, "__init__", construct)

    def _patch_image(self) -> None:
        """Make an editor where an image box is to be painted on: what `__new__` returns is not constructed again."""

        def new(cls: type, *args: Any, **kwargs: Any) -> Any:
            extension = extension_at_work() if cls is gr.Image else ""
            if not extension or not paints(kwargs):
                return object.__new__(cls)
            self._count(extension, f"S6 Image(tool={kwargs.get('tool', SKETCH)!r})")
            return make_sketch({**dict(zip(("value",), args, strict=False)), **kwargs})

        self._patches.set(gr.Image, "__new__", staticmethod(new))

    def _patch_listeners(self, cls: type) -> None:
        events = {*map(str, cls.__dict__.get("EVENTS", ())), *PAGE_EVENTS}
        for event in sorted(events):
            listener = cls.__dict__.get(event)
            if callable(listener):
                self._patches.set(cls, event, self._listener(listener))

    def _listener(self, original: Callable[..., Any]) -> Callable[..., Any]:
        names = list(inspect.signature(original).parameters)[1:]

        @functools.wraps(original)
        def listen(block: Any, *args: Any, **kwargs: Any) -> Any:
            extension = extension_at_work()
            if not extension:
                return original(block, *args, **kwargs)
            note = self.note_of(extension)
            given = adapted_listener({**dict(zip(names, args, strict=False)), **kwargs}, extension, note)
            for name in [name for name in given if name not in names]:
                note(f"S26 {name}=")
                del given[name]
            return original(block, **given)

        return listen

    def _patch_preprocess(self, cls: type) -> None:
        original = cls.__dict__["preprocess"]

        @functools.wraps(original)
        def preprocess(self: Any, payload: Any) -> Any:
            # The page sends nothing for a list of choices that was never touched; Gradio 3 sent an empty one.
            if payload is None and getattr(self, "multiselect", None):
                return []
            try:
                return original(self, payload)
            except (gr.Error, TypeError):
                # A type that does not fit is nothing where a list is expected.
                if not hasattr(self, "easel_extension"):
                    raise
                return payload

        self._patches.set(cls, "preprocess", preprocess)

    def _patch_metaclass(self) -> None:
        """Let classes be derived from components with `*args` (S14), and listeners be what they were."""
        patches = self._patches
        setup = gradio.events.EventListener.__dict__["_setup"].__func__

        def set_up(*args: Any, **kwargs: Any) -> Callable[..., Any]:
            # functools.wraps hands on the marks that Gradio has set on its own listener.
            return self._listener(setup(*args, **kwargs))

        patches.set(gradio.component_meta, "updateable", _updateable(gradio.component_meta.updateable))
        patches.set(gradio.events.EventListener, "_setup", staticmethod(set_up))

    def _patch_blocks(self) -> None:
        patches = self._patches
        identify, configure, update = Block.get_component_class_id, Block.get_config, gradio.helpers.update

        def class_id(cls: type) -> str:
            return str(identify.__func__(base_of(cls)))

        def block_name(self: Any) -> str:
            return _block_name(self)

        def get_config(self: Any, cls: type | None = None) -> dict[str, Any]:
            config: dict[str, Any] = configure(self, cls or base_of(type(self)))
            if isinstance(self, gr.Tabs):
                # Gradio's own page breaks at one that has no tab in it, and sets this of all others.
                config.setdefault("initial_tabs", [])
            tooltip = getattr(self, "webui_tooltip", None)
            return config | {"webui_tooltip": tooltip} if tooltip else config

        def style(block: Any, **kwargs: Any) -> Any:
            self.note_of(extension_at_work())("S7 .style()")
            for name, value in kwargs.items():
                if name in STYLES and hasattr(block, STYLES[name]) and not isinstance(value, (tuple, list)):
                    setattr(block, STYLES[name], value)
            return block

        @functools.wraps(update)
        def updated(*args: Any, **kwargs: Any) -> dict[str, Any]:
            changed: dict[str, Any] = update(*args, **kwargs)
            extension = extension_at_work()
            if extension:
                shown(changed, self.note_of(extension))
            return changed

        patches.set(Block, "get_component_class_id", classmethod(class_id))
        patches.set(Block, "get_block_name", block_name)
        patches.set(Block, "get_block_class", block_name)
        patches.set(Block, "get_config", get_config)
        patches.set(Block, "style", style)
        patches.set(gr, "update", updated)
        patches.set(gradio.helpers, "update", updated)
        patches.set(gr, "on", self._on(gr.on))

    def _on(self, original: Callable[..., Any]) -> Callable[..., Any]:
        names = list(inspect.signature(original).parameters)

        @functools.wraps(original)
        def on(*args: Any, **kwargs: Any) -> Any:
            extension = extension_at_work()
            if not extension:
                return original(*args, **kwargs)
            given = {**dict(zip(names, args, strict=False)), **kwargs}
            return original(**adapted_listener(given, extension, self.note_of(extension)))

        return on


def gradio_classes() -> Iterator[type]:
    """Yield Gradio's own components and layouts, each once."""
    seen: set[type] = {gradio.components.Component, gradio.components.FormComponent, BlockContext, Block}
    for place in PLACES:
        for value in vars(place).values():
            if inspect.isclass(value) and issubclass(value, Block) and value not in seen:
                seen.add(value)
                yield value


def base_of(cls: type) -> type:
    """Return Gradio's class that a class of an extension's is derived from; the class itself if it is Gradio's."""
    for each in cls.__mro__:
        if each.__module__.partition(".")[0] == "gradio" and "__init__" in each.__dict__:
            return each
    return cls


def _block_name(block: Any) -> str:
    """Return what a block is called on the page: by Gradio's class, which templates leave to their base."""
    cls = base_of(type(block))
    if getattr(cls, "is_template", False):
        cls = cls.__mro__[1]
    return cls.__name__.lower()


def _update_of(cls: type, note_of: Callable[[str], Note]) -> classmethod[Any, Any, Any]:
    """Return Gradio 3's class method that tells what is to change of a component (S2)."""

    def update(_: type, *args: Any, **kwargs: Any) -> dict[str, Any]:
        note = note_of(extension_at_work())
        note("S2 .update()")
        names = list(inspect.signature(cls.__init__).parameters)[1:]
        # Gradio 3's `update` began with the value, whatever the constructor begins with.
        given = {**dict(zip(["value"] if "value" in names else names, args, strict=False)), **kwargs}
        for old in [name for name in given if name not in names and name != "value"]:
            note(f"S3 {cls.__name__}.update({old}=)")
            del given[old]
        shown(given, note)
        return {"__type__": "update", **given}

    return classmethod(update)


def _updateable(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return Gradio's wrapper of constructors, which loses what stands in `*args`, made whole."""

    def updateable(function: Callable[..., Any]) -> Callable[..., Any]:
        specification = inspect.getfullargspec(function)
        if specification.varargs is None:
            wrapped: Callable[..., Any] = original(function)
            return wrapped

        @functools.wraps(function)
        def construct(self: Any, *args: Any, **kwargs: Any) -> None:
            # The base's constructor, which this one calls, notes what the component is made with.
            function(self, *args, **kwargs)

        return construct

    return updateable


"""What Gradio 3.41's constructors took and Gradio 6's do not: each kind of keyword is turned into what there is now.

The numbers S3 to S17 are those of docs/extensions.md.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import gradio as gr
from gradio.context import LocalContext

Note = Callable[[str], None]
"""Is told what was changed, as "S3 Textbox(optional=)"."""

SOURCES: Mapping[str, Mapping[str, list[str]]] = {
    "image": {"upload": ["upload", "clipboard"], "webcam": ["webcam"], "canvas": ["upload"]},
    "video": {"upload": ["upload"], "webcam": ["webcam"]},
    "audio": {"upload": ["upload"], "microphone": ["microphone"]},
}
FILE_TYPES: Mapping[str, str] = {"file": "filepath", "bytes": "binary"}
COPY_BUTTON = "show_copy_button"
PAGE_WIDE = ("css", "theme", "js", "head", "css_paths", "head_paths")
"""What Blocks took and only the page as a whole has now."""


def adapted(cls: type, args: tuple[Any, ...], kwargs: Mapping[str, Any], note: Note) -> dict[str, Any]:
    """Return the keyword arguments that Gradio's class `cls` understands, for those that an extension gives it."""
    names = _names(cls)
    given = {**dict(zip(names, args, strict=False)), **kwargs}
    for rule in _RULES.get(cls.__name__.lower(), ()):
        rule(given, note)
    shown(given, note)
    for name in [name for name in given if name not in names]:
        note(f"S3 {cls.__name__}({name}=)")
        del given[name]
    return given


def shown(given: dict[str, Any], note: Note) -> None:
    """Keep what is invisible or folded away in the document, as it was in Gradio 3 (S16, S17)."""
    if given.get("visible") is False:
        note("S16 visible=False")
        given["visible"] = "hidden"
    if given.get("open") is False:
        note("S17 Accordion(open=False)")
        given["open"] = 0


@cache
def _names(cls: type) -> tuple[str, ...]:
    """Return the names of a constructor's parameters; one that takes any keyword has its base's too."""
    parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
    names = [each.name for each in parameters if each.kind not in (each.VAR_KEYWORD, each.VAR_POSITIONAL)]
    if cls is gr.Blocks or issubclass(cls, gr.Blocks):
        names += ["elem_id", "elem_classes", "visible"]
    return tuple(names)


def _is_update() -> bool:
    """Say whether an event is running: a component that is made then only tells what is to change."""
    return bool(LocalContext.in_event_listener.get(False))


def _one_source(given: dict[str, Any], note: Note, kind: str) -> None:
    source = given.pop("source", None)
    if source is None:
        return
    note(f"S5 {kind.title()}(source=)")
    given.setdefault("sources", SOURCES[kind].get(source, SOURCES[kind]["upload"]))


def _image(given: dict[str, Any], note: Note) -> None:
    _one_source(given, note, "image")
    if not _is_update():
        # Pictures keep what is written into them only as PNG (S21).
        given.setdefault("format", "png")


def _video(given: dict[str, Any], note: Note) -> None:
    _one_source(given, note, "video")


def _audio(given: dict[str, Any], note: Note) -> None:
    _one_source(given, note, "audio")


def _gallery(given: dict[str, Any], note: Note) -> None:
    if not _is_update():
        given.setdefault("format", "png")
    if "grid" in given:
        note("S3 Gallery(grid=)")
        given.setdefault("columns", given.pop("grid"))


def _file(given: dict[str, Any], note: Note) -> None:
    kind = given.get("type")
    if kind in FILE_TYPES:
        note(f"S10 File(type={kind!r})")
        given["type"] = FILE_TYPES[kind]


def _slider(given: dict[str, Any], note: Note) -> None:
    low, high = given.get("minimum", 0), given.get("maximum", 100)
    if isinstance(low, (int, float)) and isinstance(high, (int, float)) and low >= high:
        note("S12 Slider(minimum>=maximum)")
        given["maximum"] = low + (given.get("step") or 1)


def _dropdown(given: dict[str, Any], note: Note) -> None:
    if "value" not in given and not _is_update():
        # Gradio 6 would choose the first one.
        given["value"] = [] if given.get("multiselect") else None
    choices = given.get("choices")
    if choices is not None and not isinstance(choices, list):
        given["choices"] = list(choices)


def _text(given: dict[str, Any], note: Note) -> None:
    if not _is_update():
        # Handlers take it for a text; one that was never touched is nothing at all in Gradio 6.
        given.setdefault("value", "")


def _copy_button(given: dict[str, Any], note: Note) -> None:
    if COPY_BUTTON in given:
        note(f"S3 Textbox({COPY_BUTTON}=)")
        given.setdefault("buttons", ["copy"] if given.pop(COPY_BUTTON) else [])


def _layout(given: dict[str, Any], note: Note) -> None:
    scale = given.get("scale")
    if isinstance(scale, float) and scale != round(scale):
        note("S3 scale of a fraction")
        given["scale"] = max(1, round(scale))


def _blocks(given: dict[str, Any], note: Note) -> None:
    given.setdefault("analytics_enabled", False)
    for name in [name for name in given if name in PAGE_WIDE]:
        note(f"S11 Blocks({name}=)")
        del given[name]


_RULES: Mapping[str, tuple[Callable[[dict[str, Any], Note], None], ...]] = {
    "image": (_image, _layout),
    "video": (_video, _layout),
    "audio": (_audio, _layout),
    "gallery": (_gallery, _layout),
    "file": (_file, _layout),
    "uploadbutton": (_file, _layout),
    "slider": (_slider, _layout),
    "dropdown": (_dropdown, _layout),
    "textbox": (_text, _copy_button, _layout),
    "textarea": (_text, _copy_button, _layout),
    "column": (_layout,),
    "button": (_layout,),
    "blocks": (_blocks,),
}
"""What is changed for a class, by its name in small letters."""

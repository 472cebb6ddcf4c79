"""The picture box on which one paints: Gradio 3's `Image(tool="sketch")`, on Easel's canvas (S6).

To Gradio it is a text box: its text names what is stored of the picture and of the strokes, as JSON. The
page's a1111_canvas.js puts a canvas in its place, which sends both to the server and keeps the text up to date.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

import modules.a1111._derived  # noqa: F401
from modules.a1111._host import HOST

SKETCH, COLOR_SKETCH = "sketch", "color-sketch"
TAKEN = ("label", "every", "show_label", "container", "scale", "min_width", "interactive", "visible", "elem_id",
         "render")  # fmt: skip
"""What both constructors take."""
PICTURE, DRAWING = "picture", "drawing"
OLD_EVENTS = ("upload", "clear", "edit")
"""Events of a picture box that a text box tells of as a change."""


class SketchImage(gr.Textbox):
    """A canvas whose value is what Gradio 3's picture box had.

    With tool "sketch" it is {"image": picture, "mask": what was painted, white on black}; with "color-sketch" it is the
    painted picture itself. Each picture is a PIL image or an array (height, width, 3) of 0 to 255, as `type` says.
    """

    tool = SKETCH
    given_type = "numpy"

    def get_block_name(self) -> str:
        """Return the name of the part of the page that shows it."""
        return "textbox"

    def preprocess(self, payload: Any) -> Any:
        """Return the value as a function of Gradio 3's age expects it; None without a picture."""
        stored = json.loads(payload) if payload else {}
        if not stored.get(PICTURE):
            return None
        inputs = HOST.connected.inputs
        picture = inputs.load(stored[PICTURE]).convert("RGB")
        strokes = inputs.load(stored[DRAWING]) if stored.get(DRAWING) else None
        if self.tool == COLOR_SKETCH:
            return self._typed(picture if strokes is None else drawn(picture, strokes))
        mask = Image.new("L", picture.size, 0) if strokes is None else strokes.convert("L").resize(picture.size)
        return {"image": self._typed(picture), "mask": self._typed(mask.convert("RGB"))}

    def postprocess(self, value: Any) -> Any:
        """Show a picture, or the picture of {"image", "mask"}; a text is what is stored already."""
        if isinstance(value, Mapping) and "image" in value:
            value = value["image"]
        picture = opened(value)
        if picture is None:
            return value if isinstance(value, str) and value.startswith("{") else ""
        file = io.BytesIO()
        picture.save(file, "PNG", compress_level=1)
        return json.dumps({PICTURE: HOST.connected.inputs.keep(file.getvalue()), DRAWING: ""})

    def select(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: no part of the canvas is chosen."""

    def _typed(self, image: Image.Image) -> Any:
        return np.array(image) if self.given_type == "numpy" else image


for _name in OLD_EVENTS:
    setattr(SketchImage, _name, lambda self, *args, **kwargs: self.change(*args, **kwargs))


def drawn(picture: Image.Image, strokes: Image.Image) -> Image.Image:
    """Return a picture with coloured strokes over it."""
    layer = strokes.convert("RGBA").resize(picture.size)
    return Image.alpha_composite(picture.convert("RGBA"), layer).convert("RGB")


def opened(value: Any) -> Image.Image | None:
    """Return the picture of an array, a path or a PIL image; None for what is none."""
    if isinstance(value, Image.Image):
        return value
    if isinstance(value, np.ndarray):
        return Image.fromarray(value.astype(np.uint8))
    if isinstance(value, (str, Path)) and str(value) and not str(value).startswith("{"):
        return Image.open(value)
    return None


def paints(given: Mapping[str, Any]) -> bool:
    """Say whether an image box is made to be painted on."""
    return given.get("tool") in (SKETCH, COLOR_SKETCH) or (given.get("source") == "canvas" and "tool" not in given)


def make_sketch(given: Mapping[str, Any]) -> SketchImage:
    """Return what an image box of Gradio 3 with `tool=` becomes; `given` is what it is made with."""
    tool = given.get("tool", SKETCH)
    classes = given.get("elem_classes") or []
    own = ["a1111-canvas", "a1111-canvas-colour" if tool == COLOR_SKETCH else "a1111-canvas-mask"]
    taken = {name: given[name] for name in TAKEN if name in given}
    made = SketchImage(**taken, elem_classes=[*([classes] if isinstance(classes, str) else classes), *own], lines=1)
    made.tool, made.given_type = tool, given.get("type", "numpy")
    made.value = made.postprocess(given.get("value")) if given.get("value") is not None else ""
    return made

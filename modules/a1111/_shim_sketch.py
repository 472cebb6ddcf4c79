"""The picture box on which one paints: Gradio 3's `Image(tool="sketch")`, on Gradio 6's editor (S6)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

import modules.a1111._derived  # noqa: F401

SKETCH, COLOR_SKETCH = "sketch", "color-sketch"
TAKEN = ("value", "height", "width", "label", "every", "show_label", "container", "scale", "min_width", "interactive",
         "visible", "elem_id", "elem_classes", "render")  # fmt: skip
"""What both constructors take."""


class SketchImage(gr.ImageEditor):
    """An editor whose value is what Gradio 3's was.

    With tool "sketch" it is {"image": picture, "mask": what was painted, white on black}; with "color-sketch" it is the
    painted picture itself. Each picture is a PIL image or an array (height, width, 3) of 0 to 255, as `type` says.
    """

    tool = SKETCH
    given_type = "numpy"

    def get_block_name(self) -> str:
        """Return the name of the part of the page that shows it."""
        return "imageeditor"

    def preprocess(self, payload: Any) -> Any:
        """Return the value as a function of Gradio 3's age expects it."""
        value = super().preprocess(payload)
        if value is None or (value["background"] is None and not value["layers"]):
            return None
        background = value["background"] if value["background"] is not None else value["composite"]
        if self.tool == COLOR_SKETCH:
            return self._typed(value["composite"].convert("RGB"))
        return {"image": self._typed(background.convert("RGB")), "mask": self._typed(painted(value, background.size))}

    def postprocess(self, value: Any) -> Any:
        """Show a picture, or the picture of {"image", "mask"}."""
        if isinstance(value, Mapping) and "image" in value:
            value = value["image"]
        return super().postprocess(value)

    def _typed(self, image: Image.Image) -> Any:
        return np.array(image) if self.given_type == "numpy" else image


def painted(value: Mapping[str, Any], size: tuple[int, int]) -> Image.Image:
    """Return what the layers of an editor's value cover: white, on black; RGB of `size` in pixels."""
    mask = Image.new("L", size, 0)
    for layer in value["layers"]:
        alpha = layer.convert("RGBA").getchannel("A").resize(size)
        mask.paste(255, mask=alpha.point(lambda opacity: 255 if opacity > 0 else 0))
    return mask.convert("RGB")


def paints(given: Mapping[str, Any]) -> bool:
    """Say whether an image box is made to be painted on."""
    return given.get("tool") in (SKETCH, COLOR_SKETCH) or (given.get("source") == "canvas" and "tool" not in given)


def make_sketch(given: Mapping[str, Any]) -> SketchImage:
    """Return what an image box of Gradio 3 with `tool=` becomes; `given` is what it is made with."""
    tool = given.get("tool", SKETCH)
    brush: dict[str, Any] = {}
    if given.get("brush_radius"):
        brush["default_size"] = int(given["brush_radius"])
    if tool == SKETCH:
        brush |= {"colors": [given.get("brush_color") or "#ffffff"], "color_mode": "fixed"}
    taken = {name: given[name] for name in TAKEN if name in given}
    made = SketchImage(
        **taken, type="pil", image_mode="RGBA", sources=["upload", "clipboard"], brush=gr.Brush(**brush), layers=False,
        transforms=(), format="png",
    )  # fmt: skip
    made.tool, made.given_type = tool, given.get("type", "numpy")
    return made

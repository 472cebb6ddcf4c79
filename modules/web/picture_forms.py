"""From what the img2img page shows to the pictures and the size of a request: each of its sub-tabs, in A1111's ways."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageChops, ImageEnhance, ImageFilter

from modules.core.errors import FieldProblem, InvalidRequest
from modules.core.parameter import FieldError, Parameter
from modules.core.parameters import PARAMETERS
from modules.core.picture_parameters import INPAINT_MASKED
from modules.gallery.inputs import InputStore
from modules.web.forms import MASK_ALPHA_FIELD, PAGE_PARAMETERS, SCALE_FIELD

SIZE_STEP = 8
PICTURE_KEY, DRAWING_KEY, DEPTH_KEY, MODE_KEY, RESIZE_BY_KEY = "picture", "drawing", "depth", "mode", "resize_by"
"""What the page sends besides its fields: three content hashes, the sub-tab, and whether the size is a scale."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a sub-tab holds: the picture, and what was drawn on it or loaded beside it, as content hashes.

    `drawing` is "" where nothing was drawn. `values` are those of the form.
    """

    picture: str
    drawing: str
    values: Mapping[str, object]
    inputs: InputStore


def picture_values(values: Mapping[str, object], inputs: InputStore) -> dict[str, object]:
    """Return what the sub-tab that `values` were sent from gives: pictures by parameter name, no mask where none is.

    Raises InvalidRequest when a picture is missing or gone.
    """
    mode = values.get(MODE_KEY)
    if mode is None:
        return {}
    make = _MODES.get(str(mode))
    if make is None:
        raise InvalidRequest([FieldProblem(MODE_KEY, "Sub-tab", str(mode), f"one of {', '.join(_MODES)}")])
    picture, drawing = (_text(values.get(key)) for key in (PICTURE_KEY, DRAWING_KEY))
    if not picture:
        raise InvalidRequest([FieldProblem("init_image", PARAMETERS["init_image"].label, "no picture", "a picture")])
    return dict(make(Shown(picture, drawing, values, inputs)))


def scaled_size(values: Mapping[str, object], digest: str, inputs: InputStore) -> dict[str, object]:
    """Return width and height in pixels where the form's size is a multiple of the picture's, else nothing.

    Sides are rounded down to whole latents. Raises InvalidRequest.
    """
    if not values.get(RESIZE_BY_KEY) or not digest:
        return {}
    scale = _number(PAGE_PARAMETERS[SCALE_FIELD], values)
    return {
        name: int(side * scale) // SIZE_STEP * SIZE_STEP
        for name, side in zip(("width", "height"), inputs.size(digest), strict=True)
    }


def _plain(shown: Shown) -> Mapping[str, object]:
    depth = _text(shown.values.get(DEPTH_KEY))
    return {"init_image": shown.picture, **({"depth_image": depth} if depth else {})}


def _sketch(shown: Shown) -> Mapping[str, object]:
    if not shown.drawing:
        return {"init_image": shown.picture}
    picture, strokes = _pair(shown)
    return {"init_image": _keep(_drawn(picture, strokes), shown.inputs)}


def _inpaint(shown: Shown) -> Mapping[str, object]:
    if not shown.drawing:
        return {"init_image": shown.picture, "mask_image": _nothing_masked(shown)}
    return {"init_image": shown.picture, "mask_image": shown.drawing}


def _inpaint_sketch(shown: Shown) -> Mapping[str, object]:
    """The strokes are both what the picture gets and where it is painted anew; their edges are blurred as the mask."""
    if not shown.drawing:
        return _inpaint(shown)
    picture, strokes = _pair(shown)
    drawn = _drawn(picture, strokes)
    differs = ImageChops.difference(drawn.convert("RGB"), picture.convert("RGB"))
    mask = Image.eval(_most(differs), lambda level: 255 if level else 0)
    transparency = _number(PAGE_PARAMETERS[MASK_ALPHA_FIELD], shown.values)
    mask = ImageEnhance.Brightness(mask).enhance(1 - transparency / 100)
    blur = ImageFilter.GaussianBlur(_number(PARAMETERS["mask_blur_x"], shown.values))
    mixed = Image.composite(drawn.filter(blur), picture.convert(drawn.mode), mask.filter(blur))
    return {"init_image": _keep(mixed, shown.inputs), "mask_image": _keep(mask, shown.inputs)}


def _nothing_masked(shown: Shown) -> str:
    """Return no mask where all else is painted anew anyway. Raises InvalidRequest where nothing would be."""
    if shown.values.get("mask_mode", INPAINT_MASKED) != INPAINT_MASKED:
        return ""
    found, allowed = "nothing", "a part of the picture: paint over it, or load a mask"
    raise InvalidRequest([FieldProblem("mask_image", PARAMETERS["mask_image"].label, found, allowed)])


def _pair(shown: Shown) -> tuple[Image.Image, Image.Image]:
    """Return the picture and the strokes over it, RGBA of the same size."""
    picture = shown.inputs.load(shown.picture)
    strokes = shown.inputs.load(shown.drawing).convert("RGBA")
    if picture.mode not in ("RGB", "RGBA"):
        picture = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    return picture, strokes if strokes.size == picture.size else strokes.resize(picture.size)


def _drawn(picture: Image.Image, strokes: Image.Image) -> Image.Image:
    """Return the picture with the strokes over it, in its own mode."""
    return Image.alpha_composite(picture.convert("RGBA"), strokes).convert(picture.mode)


def _most(picture: Image.Image) -> Image.Image:
    """Return the largest of the three channels of each pixel."""
    red, green, blue = picture.split()
    return ImageChops.lighter(ImageChops.lighter(red, green), blue)


def _keep(picture: Image.Image, inputs: InputStore) -> str:
    content = io.BytesIO()
    picture.save(content, "PNG", compress_level=1)
    return inputs.keep(content.getvalue())


def _number(parameter: Parameter, values: Mapping[str, object]) -> float:
    """Return a field's number, its default where it was not sent. Raises InvalidRequest."""
    try:
        return float(parameter.parse(values.get(parameter.name, parameter.default)))
    except FieldError as error:
        raise InvalidRequest([error.problem]) from error


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


_MODES: Mapping[str, Callable[[Shown], Mapping[str, object]]] = {
    "img2img": _plain,
    "sketch": _sketch,
    "inpaint": _inpaint,
    "inpaint_sketch": _inpaint_sketch,
    "inpaint_upload": _inpaint,
}
"""By the names of A1111's sub-tabs; Batch has routes of its own."""

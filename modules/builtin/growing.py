"""What both kinds of outpainting share: how far a picture grows on which side, and the masks of what is new."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

from PIL import Image, ImageDraw

from modules.core.errors import FieldProblem, InvalidRequest
from modules.core.extras import without_plugin
from modules.core.parameter import Parameter, Value
from modules.core.picture_parameters import INPAINT_MASKED, WHOLE_PICTURE
from modules.core.request import GenerationRequest
from modules.hooks.spec import Generation
from modules.imaging.fitting import JUST_RESIZE, flattened

SIDES = ("left", "right", "up", "down")
PICTURE, MASK, LATENT_MASK = "pass picture", "pass mask", "pass latent mask"
"""By which names a pass's request has its pictures."""
_MULTIPLE = 64
"""Both sides of a grown picture are a multiple of so many pixels."""


@dataclass(frozen=True, slots=True)
class Growth:
    """How many pixels a picture grows on each side."""

    left: int = 0
    right: int = 0
    up: int = 0
    down: int = 0

    @classmethod
    def of(cls, size: tuple[int, int], pixels: int, sides: str) -> Self:
        """Return the growth by `pixels` on the named sides ("left, up"), and so much more that the multiple is met.

        What is more is shared out between both sides of a direction.
        """
        wanted = {side: pixels if side in sides.split(", ") else 0 for side in SIDES}
        left, right = _shared(size[0], wanted["left"], wanted["right"])
        up, down = _shared(size[1], wanted["up"], wanted["down"])
        return cls(left, right, up, down)

    def grown(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return the size of the whole."""
        return size[0] + self.left + self.right, size[1] + self.up + self.down


def sides_parameter(key: str) -> Parameter:
    """Return the parameter that names the sides; `key` is the plugin's in infotexts."""
    return Parameter(
        "direction", "Outpainting direction", "several", ", ".join(SIDES), "On which sides the picture grows.",
        minimum=1, choices=SIDES, infotext=f"{key} direction",
    )  # fmt: skip


def pixels_parameter(key: str) -> Parameter:
    """Return the parameter for how far a picture grows."""
    return Parameter(
        "pixels", "Pixels to expand", "integer", 128, "How far the picture grows on each of the sides.",
        minimum=8, maximum=256, step=8, infotext=f"{key} pixels",
    )  # fmt: skip


def blur_parameter(key: str, default: int) -> Parameter:
    """Return the parameter for how soft the border between old and new is."""
    return Parameter(
        "mask_blur", "Mask blur", "integer", default, "How far old and new reach into each other.",
        minimum=0, maximum=64, infotext=f"{key} mask blur",
    )  # fmt: skip


def first_picture(generation: Generation) -> Image.Image:
    """Return the picture that is to grow, in RGB. Raises InvalidRequest when there is none."""
    request = generation.request
    if not request.init_image:
        raise InvalidRequest([FieldProblem("init_image", "Image", "nothing", "a picture that is to grow")])
    return flattened(generation.pictures(request.init_image), request.background_color)


def described(generation: Generation) -> Generation:
    """Return the run with infotexts that tell of the whole request, and not of one pass."""
    request = generation.described or generation.request
    return replace(generation, described=request.model_copy(update={"mask_image": ""}))


def pass_request(
    request: GenerationRequest, plugin: str, values: Mapping[str, object], size: tuple[int, int]
) -> GenerationRequest:
    """Return the request of one pass over the pictures of the names above, in which the plugin takes no part."""
    update: dict[str, object] = {
        "init_image": PICTURE,
        # A depth map that was handed in is that of the whole picture, not of a pass's own.
        "depth_image": "",
        "mask_image": MASK,
        "latent_mask": LATENT_MASK,
        "mask_mode": INPAINT_MASKED,
        "inpaint_area": WHOLE_PICTURE,
        "resize_mode": JUST_RESIZE,
        "width": size[0],
        "height": size[1],
        "extras": without_plugin(request.extras, plugin),
        **values,
    }
    return request.model_copy(update=update)


def frame(size: tuple[int, int], inside: tuple[int, int, int, int]) -> Image.Image:
    """Return a mask that is white but for a box: left, top, right, bottom, the last two being the last ones inside."""
    mask = Image.new("L", size, 255)
    left, top, right, bottom = inside
    if left <= right and top <= bottom:
        ImageDraw.Draw(mask).rectangle(inside, fill=0)
    return mask


def whole_number(values: Mapping[str, Value], name: str) -> int:
    """Return a value that is a whole number."""
    return int(values[name])


def _shared(length: int, before: int, after: int) -> tuple[int, int]:
    """Return how much is added before and after, so that the sum with `length` is a multiple."""
    if not before and not after:
        return 0, 0
    missing = math.ceil((length + before + after) / _MULTIPLE) * _MULTIPLE - length
    first = before * missing // (before + after)
    return (first, missing - first) if after else (missing, 0)

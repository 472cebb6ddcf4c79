"""A1111's Upscale of the Extras tab as extensions call it: `ScriptPostprocessingUpscale().process(picture, …)`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PIL import Image

from modules import scripts_postprocessing, shared
from modules.core.errors import FieldProblem, InvalidRequest

BY_FACTOR, TO_SIZE = 0, 1


class ScriptPostprocessingUpscale(scripts_postprocessing.ScriptPostprocessing):
    """Enlarges a picture with one upscaler, or with two whose results are mixed."""

    name = "Upscale"
    order = 1000

    def process_firstpass(
        self, pp: scripts_postprocessing.PostprocessedImage, upscale_mode: int = TO_SIZE, upscale_by: float = 2.0,
        upscale_to_width: int | None = None, upscale_to_height: int | None = None, **others: Any,
    ) -> None:  # fmt: skip
        """Note the size that the picture is to have, for the scripts that come before."""
        if upscale_mode == TO_SIZE and upscale_to_width and upscale_to_height:
            pp.shared.target_width, pp.shared.target_height = int(upscale_to_width), int(upscale_to_height)
        elif upscale_mode == BY_FACTOR:
            pp.shared.target_width, pp.shared.target_height = (int(side * upscale_by) for side in pp.image.size)

    def process(  # noqa: PLR0913 (the names are what extensions call it with)
        self, pp: scripts_postprocessing.PostprocessedImage, upscale_enabled: bool = True, upscale_mode: int = TO_SIZE,
        upscale_by: float = 2.0, max_side_length: int = 0, upscale_to_width: int | None = None,
        upscale_to_height: int | None = None, upscale_crop: bool = False, upscaler_1_name: str | None = None,
        upscaler_2_name: str | None = None, upscaler_2_visibility: float = 0.0,
    ) -> None:  # fmt: skip
        """Enlarge the picture, by a factor or until it covers a size, and note how. Raises InvalidRequest."""
        first = _find(upscaler_1_name, "upscaler_1_name")
        if not upscale_enabled or first is None:
            return
        before = pp.image
        if upscale_mode == TO_SIZE:
            wanted = _sides(upscale_to_width, upscale_to_height)
            factor = max(side / there for side, there in zip(wanted, before.size, strict=True))
            pp.info["Postprocess upscale to"] = f"{wanted[0]}x{wanted[1]}"
        else:
            wanted, factor = None, float(upscale_by)
            if max_side_length:
                factor = min(factor, max_side_length / max(before.size))
                pp.info["Max side length"] = max_side_length
            pp.info["Postprocess upscale by"] = factor
        size = wanted if upscale_crop else None
        pp.image = _cropped(_enlarged(before, first, factor), size)
        if size is not None:
            pp.info["Postprocess crop to"] = f"{size[0]}x{size[1]}"
        pp.info["Postprocess upscaler"] = first.name
        second = _find(upscaler_2_name, "upscaler_2_name")
        if second is not None and upscaler_2_visibility > 0:
            other = _cropped(_enlarged(before, second, factor), size)
            pp.image = Image.blend(pp.image, other.convert(pp.image.mode).resize(pp.image.size), upscaler_2_visibility)
            pp.info["Postprocess upscaler 2"] = second.name


def _find(name: str | None, field: str) -> Any:
    """Return an upscaler by its name; None where none is asked for. Raises InvalidRequest."""
    if not name or name == "None":
        return None
    known = {each.name: each for each in shared.sd_upscalers}
    if name not in known:
        raise InvalidRequest([FieldProblem(field, "Upscaler", name, f"one of {', '.join(known)}")])
    return known[name]


def _sides(width: int | None, height: int | None) -> tuple[int, int]:
    sides = int(width or 0), int(height or 0)
    if min(sides) < 1:
        raise InvalidRequest([FieldProblem("upscale_to_width", "Upscale to", f"{width}x{height}", "at least 1x1")])
    return sides


def _enlarged(image: Image.Image, upscaler: Any, factor: float) -> Image.Image:
    enlarged: Image.Image = upscaler.scaler.upscale(image, factor, upscaler.data_path)
    return enlarged


def _cropped(image: Image.Image, size: Sequence[int] | None) -> Image.Image:
    """Return the middle of a picture in a size, on black where it does not reach; None: all of it."""
    if size is None:
        return image
    middle = Image.new("RGB", (size[0], size[1]))
    middle.paste(image, ((size[0] - image.width) // 2, (size[1] - image.height) // 2))
    return middle

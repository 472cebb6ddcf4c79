"""Soft inpainting: what is masked in part is painted in part, after Differential Diffusion.

Levin and Fried 2023, arXiv:2306.00950, let a mask's shade decide from which step on a place is painted. A1111's
extension, whose numbers and formulas these are, instead lets the original fade from step to step, and afterwards lays
it over the result where little changed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from modules.builtin.change_masks import ChangeRules, change_mask
from modules.core.extras import without_plugin
from modules.core.parameter import Parameter
from modules.core.result import GenerationResult
from modules.hooks.plugins import PluginDescription
from modules.hooks.registry import RunStart
from modules.hooks.spec import CallNext, Generation, MaskBlend, Overlay, RunListener
from modules.imaging.fitting import CROP_AND_RESIZE, fitted
from modules.imaging.overlays import overlay_of

if TYPE_CHECKING:
    from torch import Tensor

NAME = "soft_inpainting"
_TINY = 0.00001
_KEY = "Soft inpainting"

DESCRIPTION = PluginDescription(
    NAME,
    "Soft inpainting",
    (
        Parameter(
            "enabled", "Soft inpainting", "flag", False, "Paint what is masked in part only in part.",
            infotext=f"{_KEY} enabled",
        ),
        Parameter(
            "schedule_bias", "Schedule bias", "number", 1.0,
            "Whether the original is kept more in the late steps (below 1) or in the early ones (above 1).",
            minimum=0, maximum=8, step=0.1, infotext=f"{_KEY} schedule bias",
        ),
        Parameter(
            "preservation_strength", "Preservation strength", "number", 0.5,
            "How much of the original stays where it is masked in part.",
            minimum=0, maximum=8, step=0.05, infotext=f"{_KEY} preservation strength",
        ),
        Parameter(
            "transition_contrast_boost", "Transition contrast boost", "number", 4.0,
            "Makes up for the contrast that is lost where old and new are mixed.",
            minimum=1, maximum=32, step=0.5, infotext=f"{_KEY} transition contrast boost",
        ),
        Parameter(
            "mask_influence", "Mask influence", "number", 0.0,
            "Where the original is laid over the result: 0 where little changed, 1 where little was masked.",
            minimum=0, maximum=1, step=0.05, infotext=f"{_KEY} mask influence",
        ),
        Parameter(
            "difference_threshold", "Difference threshold", "number", 0.5,
            "How much a place may change before the original shows through it by less than a half.",
            minimum=0, maximum=8, step=0.25, infotext=f"{_KEY} difference threshold",
        ),
        Parameter(
            "difference_contrast", "Difference contrast", "number", 2.0,
            "How sudden the change from the original to the result is; low values may show both at once.",
            minimum=0, maximum=8, step=0.25, infotext=f"{_KEY} difference contrast",
        ),
    ),
    place="section",
    tabs=("img2img",),
    switch="enabled",
    note="Shades of the mask count. Choose a large mask blur, or paint with a soft brush.",
)  # fmt: skip


class SoftInpainting:
    """The plugin."""

    description = DESCRIPTION

    def listen(self, run: RunStart) -> RunListener:
        """Take part in a run."""
        return SoftPainter(run)


class SoftPainter(RunListener):
    """Soft inpainting in one run."""

    def __init__(self, run: RunStart) -> None:
        """Take the values that the request has."""
        values = {name: float(value) for name, value in run.values.items()}
        self._bias = values["schedule_bias"]
        self._preservation = values["preservation_strength"]
        self._boost = values["transition_contrast_boost"]
        self._rules = ChangeRules(
            self._preservation,
            values["mask_influence"],
            values["difference_threshold"],
            values["difference_contrast"],
        )

    def around_generate(self, generation: Generation, call_next: CallNext) -> GenerationResult:
        """Have the shades of the mask kept; where there is no mask the infotext does not name soft inpainting."""
        request = generation.request
        if request.inpaints():
            changes: dict[str, object] = {"mask_round": False}
        else:
            changes = {"extras": without_plugin(request.extras, NAME)}
        return call_next(replace(generation, request=request.model_copy(update=changes)))

    def on_mask_blend(self, blend: MaskBlend) -> None:
        """Keep the more of the original the higher the noise; at the end nothing of it is mixed in any more."""
        if blend.level is None:
            blend.blended = blend.made
            return
        painted = blend.painted ** (blend.level.to(blend.painted) ** self._bias * self._preservation)
        blend.blended = mixed(blend.original, blend.made, painted, self._boost)

    def on_overlay(self, overlay: Overlay) -> None:
        """Lay the original over the result where little has changed."""
        distance = (overlay.latents - overlay.source).norm(dim=1)[0].float().cpu().numpy()
        painted = overlay.painted[0, 0].float().cpu().numpy()
        # Thresholds and contrasts of 0 are allowed, and mean that any change counts wholly, or none more than another.
        with np.errstate(divide="ignore", invalid="ignore"):
            mask = change_mask(distance, painted, self._rules, overlay.made.size)
        if overlay.box is not None:
            left, top, right, bottom = overlay.box
            whole = Image.new("L", overlay.original.size)
            whole.paste(fitted(mask, right - left, bottom - top, CROP_AND_RESIZE).convert("L"), (left, top))
            mask = whole
        overlay.mask = mask
        overlay.overlay = overlay_of(overlay.original, mask)


def mixed(old: Tensor, new: Tensor, share: Tensor, boost: float) -> Tensor:
    """Return latents between old and new ones, (batch, channels, rows, columns), whose lengths are mixed by themselves.

    `share`: of the new ones, (1, 1, rows, columns). The higher `boost`, the nearer a length comes to the larger of the
    two; the mixture of two directions alone would be shorter than either.
    """
    between = old * (1 - share) + new * share
    # Large exponents need double precision, which not every device has.
    exact = between.float if between.device.type == "mps" else between.double
    wide = exact().dtype
    present = between.norm(dim=1, keepdim=True).to(wide) + _TINY
    lengths = [
        part.norm(dim=1, keepdim=True).to(wide) ** boost * weight
        for part, weight in ((old, 1 - share), (new, share))
    ]  # fmt: skip
    wanted = (lengths[0] + lengths[1]) ** (1 / boost)
    longer: Tensor = between * (wanted / present).to(between.dtype)
    return longer

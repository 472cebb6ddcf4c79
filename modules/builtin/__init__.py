"""Our own features as plugins. They load without torch, since the page shows them before torch is there."""

from __future__ import annotations

from modules.builtin.grid_pictures import Megapixels, usual_megapixels
from modules.builtin.outpainting_mk2 import OutpaintingMk2
from modules.builtin.poor_mans_outpainting import PoorMansOutpainting
from modules.builtin.prompt_matrix import PromptMatrix
from modules.builtin.prompts_from_file import PromptsFromFile
from modules.builtin.soft_inpainting import SoftInpainting
from modules.builtin.xyz_plot import XyzPlot
from modules.hooks.registry import Plugin
from modules.prompts.styles import StyleBook


def builtin_plugins(styles: StyleBook | None = None, megapixels: Megapixels = usual_megapixels) -> tuple[Plugin, ...]:
    """Return all of our own plugins. `styles`: those of the user; `megapixels`: how large a grid may become."""
    return (
        SoftInpainting(),
        OutpaintingMk2(),
        PoorMansOutpainting(),
        PromptMatrix(megapixels),
        PromptsFromFile(styles),
        XyzPlot("txt2img", styles, megapixels),
        XyzPlot("img2img", styles, megapixels),
    )

"""Our own features as plugins. They load without torch, since the page shows them before torch is there."""

from __future__ import annotations

from modules.builtin.outpainting_mk2 import OutpaintingMk2
from modules.builtin.poor_mans_outpainting import PoorMansOutpainting
from modules.builtin.soft_inpainting import SoftInpainting
from modules.hooks.registry import Plugin


def builtin_plugins() -> tuple[Plugin, ...]:
    """Return all of our own plugins."""
    return SoftInpainting(), OutpaintingMk2(), PoorMansOutpainting()

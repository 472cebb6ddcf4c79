"""Names that may be chosen, without any files."""

from __future__ import annotations

from collections.abc import Sequence

from modules.core.parameters import NOISE_SOURCES

NAMES = {
    "samplers": ("Euler", "DPM++ 2M"), "schedulers": ("Automatic", "Karras"), "checkpoints": ("one.safetensors",),
    "upscalers": ("Latent",), "pixel_upscalers": ("None", "Lanczos"), "vaes": ("Automatic", "None"),
    "noise_sources": NOISE_SOURCES,
}  # fmt: skip


class NoLists:
    """Implements `core.request.ChoiceLists` with a few names of each list."""

    def names(self, list_name: str) -> Sequence[str]:
        return NAMES[list_name]

    def accepts(self, list_name: str, value: str) -> bool:
        return value in NAMES[list_name]

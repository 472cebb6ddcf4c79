"""The names under which single files have their U-Net."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class UNetLayout:
    """One way of naming: what stands before every name, and two names by which the rest is known.

    `first`: the weight of the first convolution; `keys`: how names of cross attention's key weights end. `dotless`:
    the dots are left out. `diffusers`: the names are diffusers', not the original ones.
    """

    prefix: str
    first: str = "input_blocks.0.0.weight"
    keys: str = "attn2.to_k.weight"
    dotless: bool = False
    diffusers: bool = False

    def channels(self, shapes: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
        """Return the shape of the first convolution's weight."""
        return shapes[self.prefix + self.first]

    def context_width(self, shapes: Mapping[str, tuple[int, ...]]) -> int:
        """Return how many numbers per token the U-Net reads, 0 when it reads none."""
        for name, shape in shapes.items():
            if name.startswith(self.prefix) and name.endswith(self.keys) and len(shape) > 1:
                return shape[1]
        return 0


USUAL = UNetLayout("model.diffusion_model.")
_LAYOUTS = (
    USUAL,
    UNetLayout("diffusion_model."),
    UNetLayout(""),
    UNetLayout("", first="conv_in.weight", diffusers=True),
    # The averages that trainers keep beside the weights; used only where a file has nothing else.
    UNetLayout("model_ema.diffusion_model", "input_blocks00weight", "attn2to_kweight", dotless=True),
)


def layout_of(names: Collection[str]) -> UNetLayout | None:
    """Return how a file with these tensors names its U-Net, None when it has none."""
    return next((layout for layout in _LAYOUTS if layout.prefix + layout.first in names), None)

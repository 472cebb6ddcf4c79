"""What torchvision's Python part needs of its compiled one to be imported, where that cannot be loaded.

Its wheel is built for CUDA; without that, its Python part runs: transforms, models, `roi_align`, and `nms` as below.
"""

from __future__ import annotations

import importlib
import importlib.util
from functools import cache

import torch
from torch.library import Library, impl

NAMES = ("nms", "qnms")


def lend_operators() -> None:
    """Define what is asked for at import, unless the package's own can be loaded or it is not there."""
    found = importlib.util.find_spec("torchvision")
    if found is None or "stand_ins" in str(found.origin) or all(hasattr(torch.ops.torchvision, name) for name in NAMES):
        return
    for name in NAMES:
        _library().define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # type: ignore[no-untyped-call]
    impl(_library(), "nms", "CPU")(suppressed)
    importlib.import_module("torchvision.ops.boxes").__dict__["_assert_has_ops"] = lambda: None


@cache
def _library() -> Library:
    # What is defined lasts as long as this object.
    return Library("torchvision", "DEF")  # type: ignore[no-untyped-call]


def suppressed(boxes: torch.Tensor, scores: torch.Tensor, threshold: float) -> torch.Tensor:
    """Return the places of the boxes [N, 4: x1, y1, x2, y2] that no better one overlaps by more than the threshold."""
    kept: list[int] = []
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    for place in scores.argsort(descending=True).tolist():
        rest = torch.tensor(kept, dtype=torch.long)
        low = torch.maximum(boxes[place, :2], boxes[rest, :2])
        high = torch.minimum(boxes[place, 2:], boxes[rest, 2:])
        common = (high - low).clamp(min=0).prod(1)
        if not bool((common > threshold * (areas[place] + areas[rest] - common)).any()):
            kept.append(place)
    return torch.tensor(kept, dtype=torch.long)

"""Finds one face in the middle of every picture and paints it white: stands for networks whose weights are not here.

Only for tests/community/check.py.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

__version__ = "0.7.3"


class Face:
    """A face. `bbox`: its left, top, right and bottom in pixels."""

    def __init__(self, box: list[float]) -> None:
        self.bbox = np.array(box)


class FaceAnalysis:
    """Finds faces in pictures (height, width, 3)."""

    def __init__(self, *args: Any, **options: Any) -> None:
        pass

    def prepare(self, *args: Any, **options: Any) -> None:
        pass

    def get(self, picture: Any) -> list[Face]:
        height, width = picture.shape[:2]
        return [Face([width / 4, height / 4, width * 3 / 4, height * 3 / 4])]


class Swapper:
    """Paints one face over."""

    def get(self, picture: Any, face: Face, source: Face, paste_back: bool = True) -> Any:
        left, top, right, bottom = face.bbox.astype(int)
        painted = picture.copy()
        painted[top:bottom, left:right] = 255
        return painted


app = SimpleNamespace(FaceAnalysis=FaceAnalysis)
model_zoo = SimpleNamespace(get_model=lambda *args, **options: Swapper())

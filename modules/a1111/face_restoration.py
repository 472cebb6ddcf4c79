"""A1111's modules.face_restoration: extensions may bring face restorers of their own; Easel has none."""

from __future__ import annotations

from typing import Any

from modules.a1111 import shared
from modules.a1111.shared_options import options


class FaceRestoration:
    """A face restorer. A subclass overrides both methods."""

    def name(self) -> str:
        """Return its name."""
        return "None"

    def restore(self, np_image: Any) -> Any:
        """Return a picture, (height, width, 3), with better faces."""
        return np_image


def restore_faces(np_image: Any) -> Any:
    """Return a picture as the chosen face restorer leaves it; without one as it is."""
    chosen = options().face_restoration_model
    restorer = next((each for each in shared.face_restorers if each.name() in (chosen, "None")), None)
    return np_image if restorer is None else restorer.restore(np_image)

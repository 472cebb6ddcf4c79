"""A1111's modules.face_restoration: extensions may bring face restorers of their own; Easel has none."""

from __future__ import annotations

from typing import Any

from modules.a1111 import shared
from modules.a1111._restorers import FaceRestoration
from modules.a1111.shared_options import options


def chosen() -> FaceRestoration | None:
    """Return the face restorer that the options choose, else the first there is; None where there is none."""
    name = options().face_restoration_model
    restorers = list(shared.face_restorers)
    return next((each for each in restorers if each.name() == name), restorers[0] if restorers else None)


def restore_faces(np_image: Any) -> Any:
    """Return a picture as the chosen face restorer leaves it; without one as it is."""
    restorer = chosen()
    return np_image if restorer is None else restorer.restore(np_image)

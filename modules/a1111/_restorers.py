"""Face restorers: Easel has none, and extensions may bring their own."""

from __future__ import annotations

from typing import Any


class FaceRestoration:
    """A face restorer. A subclass overrides both methods."""

    def name(self) -> str:
        """Return its name."""
        return "None"

    def restore(self, np_image: Any) -> Any:
        """Return a picture, (height, width, 3), with better faces."""
        return np_image


class FaceRestorers(list[FaceRestoration]):
    """The face restorers that there are.

    A1111 has always two, and extensions take the first without asking: where there is none, that leaves pictures alone.
    """

    def __getitem__(self, place: Any) -> Any:
        """Return one of them, or some."""
        return FaceRestoration() if place == 0 and not self else super().__getitem__(place)

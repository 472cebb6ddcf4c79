"""Turns preview pictures into JPEG beside the engine's thread, always the newest one only."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable

from PIL.Image import Image

JPEG_QUALITY = 80

Deliver = Callable[[bytes], None]


class PreviewEncoder:
    """A thread with a waiting room of one: a preview that comes while another is encoded replaces the one waiting."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._next: tuple[Image, Deliver] | None = None
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="preview-encoder", daemon=True)
        self._thread.start()

    def encode_soon(self, picture: Image, deliver: Deliver) -> None:
        """Call `deliver` with the JPEG from the encoder's thread, unless a newer preview comes before."""
        with self._changed:
            self._next = (picture, deliver)
            self._changed.notify()

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closing or self._next is not None)
                task, self._next = self._next, None
                if self._closing or task is None:
                    return
            picture, deliver = task
            buffer = io.BytesIO()
            picture.convert("RGB").save(buffer, "JPEG", quality=JPEG_QUALITY)
            deliver(buffer.getvalue())

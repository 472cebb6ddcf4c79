"""Values of extensions' controls as JSON and back: pictures by the hash under which they are kept, files by path.

What JSON cannot hold, such as the objects in a `gr.State`, stays in this process and is named by a number that nobody
can guess. Such a value is gone when the server ends, and a job that still waits for it then says so.
"""

from __future__ import annotations

import io
import json
import math
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from gradio.utils import NamedString
from PIL import Image

from modules.a1111._host import HOST
from modules.core.errors import EaselError

MARK = "$easel"
PICTURE, FILE, OBJECT, USUAL = "picture", "file", "object", "usual"
MOST_OBJECTS = 2000
Keep = Callable[[bytes], str]
"""Keeps a picture's file and returns its hash."""
Load = Callable[[str], Image.Image]
"""Returns the kept picture of a hash."""


class ValueGone(EaselError):
    """A value of an extension's control is no longer there, since the server was started anew."""


class Usual:
    """Stands for the value that a control begins with, whatever that is when the arguments are read."""


class Objects:
    """Values that no JSON can hold, by their numbers; the oldest are dropped when there are many."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, Any] = OrderedDict()

    def keep(self, value: Any) -> str:
        """Return the number under which a value can be had again."""
        token = secrets.token_hex(8)
        with self._lock:
            self._kept[token] = value
            while len(self._kept) > MOST_OBJECTS:
                self._kept.popitem(last=False)
        return token

    def find(self, token: str) -> Any:
        """Return a kept value. Raises ValueGone."""
        with self._lock:
            if token not in self._kept:
                raise ValueGone("A value that an extension's control held is gone: press Generate again.")
            return self._kept[token]


def encode(values: Sequence[object], keep: Keep) -> str:
    """Return values as a JSON list."""
    return json.dumps([_encoded(value, keep) for value in values], ensure_ascii=False)


def decode(text: str, load: Load) -> list[Any]:
    """Return the values of a JSON list. Raises ValueGone, ValueError for what is no list, and what `load` raises."""
    values = json.loads(text)
    if not isinstance(values, list):
        raise ValueError(f"The arguments of scripts must be a list, not {type(values).__name__}.")
    return [_decoded(value, load) for value in values]


def _encoded(value: Any, keep: Keep) -> Any:
    if isinstance(value, Usual):
        return {MARK: USUAL}
    if isinstance(value, NamedString):
        return {MARK: FILE, "path": str(value)}
    if value is None or isinstance(value, (str, bool, int)) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, Image.Image):
        return {MARK: PICTURE, "hash": keep(_png(value)), "as": "pil", "mode": value.mode}
    if _is_picture(value):
        return {MARK: PICTURE, "hash": keep(_png(Image.fromarray(value))), "as": "numpy", "mode": ""}
    if type(value) in (list, tuple):
        return [_encoded(each, keep) for each in value]
    if type(value) is dict and MARK not in value and all(isinstance(key, str) for key in value):
        return {key: _encoded(each, keep) for key, each in value.items()}
    return {MARK: OBJECT, "token": _objects().keep(value)}


def _decoded(value: Any, load: Load) -> Any:
    if isinstance(value, list):
        return [_decoded(each, load) for each in value]
    if not isinstance(value, dict):
        return value
    kind = value.get(MARK)
    if kind == PICTURE:
        return _picture(load(value["hash"]), value)
    if kind == FILE:
        return NamedString(value["path"])
    if kind == OBJECT:
        return _objects().find(value["token"])
    if kind == USUAL:
        return Usual()
    return {key: _decoded(each, load) for key, each in value.items()}


def _picture(image: Image.Image, value: dict[str, Any]) -> Any:
    """Return a kept picture as it was: of the same mode, or as an array (height, width, channels) of 0 to 255."""
    if value["as"] == "numpy":
        return np.array(image)
    mode = value["mode"]
    return image.convert(mode) if mode in ("L", "RGB", "RGBA", "LA") and image.mode != mode else image


def _is_picture(value: Any) -> bool:
    if not isinstance(value, np.ndarray) or value.dtype != np.uint8 or value.size == 0:
        return False
    return value.ndim == 2 or (value.ndim == 3 and value.shape[2] in (3, 4))


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _objects() -> Objects:
    made: Objects = HOST.state("objects", Objects)
    return made

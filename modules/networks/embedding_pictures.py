"""Embeddings that A1111 has put into pictures: as a text beside the pixels, and hidden in the pixels themselves.

The text, under the key "sd-ti-embedding" of a PNG, is base64 of JSON in which a tensor is {"TORCHTENSOR": lists}. The
pixels of a card hold the same JSON, compressed by zlib: the low four bits of every byte in the columns left of the
picture, the high four bits in those right of it, both mixed with a sequence of pseudo-random numbers; a black column
divides each from the picture, and the upper four bits of their pixels are decoration.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from modules.networks.reading import unusable

PICTURE_ENDINGS = (".png", ".webp", ".jxl", ".avif")
PREVIEW_ENDING = ".preview"
"""What a picture's name ends with, before the ending itself, that is only to be looked at."""
_TEXT_KEY = "sd-ti-embedding"
_TENSOR_KEY = "TORCHTENSOR"
_LOW_BITS = 0x0F
_MOST_PIXELS = 50_000_000
_MOST_BYTES = 64 * 1024 * 1024
"""Of JSON: an embedding of 75 vectors for SDXL has some 3 MB."""
_MODULUS, _FACTOR, _STEP, _RANGE = 2**32, 1664525, 1013904223, 255
"""A linear congruential generator (Numerical Recipes), whose numbers are taken modulo 255."""
_BROKEN = (ValueError, TypeError, LookupError, RecursionError, binascii.Error, zlib.error)

Pixels = NDArray[np.uint8]


def is_preview(path: Path) -> bool:
    """Say whether a picture is only to be looked at, by its own name or because it lies beside a file of its name."""
    if path.stem.lower().endswith(PREVIEW_ENDING):
        return True
    return any(path.with_suffix(ending).exists() for ending in (".pt", ".safetensors", ".bin"))


def read_picture(path: Path) -> Mapping[Any, Any]:
    """Return what an embedding's file would hold. Raises NetworkUnavailable, also for pictures without one."""
    content: Mapping[Any, Any] | None
    try:
        with Image.open(path) as picture:
            text = getattr(picture, "text", {}).get(_TEXT_KEY)
            if text:
                content = _parsed(base64.b64decode(text))
            else:
                if picture.width * picture.height > _MOST_PIXELS:
                    raise unusable(path, "it is too large a picture")
                content = _from_pixels(np.asarray(picture.convert("RGB")))
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise unusable(path, "it is no picture that can be read") from error
    except _BROKEN as error:
        raise unusable(path, "the embedding in it is broken") from error
    if content is None:
        raise unusable(path, "there is no embedding in the picture")
    return content


def _from_pixels(pixels: Pixels) -> Mapping[Any, Any] | None:
    """Return what the pixels (rows, columns, 3) hide, or None."""
    low = _without_black_border(pixels) & _LOW_BITS
    divider = np.flatnonzero(low.sum(axis=(0, 2)) == 0)
    if len(divider) < 2:
        return None
    left, right = low[:, : divider[0]], low[:, divider[-1] + 1 :]
    if left.shape != right.shape or left.size == 0:
        return None
    mask = _random_bits(left.size).reshape(left.shape)
    packed = (((right ^ mask) << 4) | (left ^ mask)).tobytes()
    unpacking = zlib.decompressobj()
    try:
        text = unpacking.decompress(packed, _MOST_BYTES)
    except zlib.error:
        # Any picture may have two black columns.
        return None
    return _parsed(text) if unpacking.eof else None


def _without_black_border(pixels: Pixels) -> Pixels:
    bright: NDArray[np.bool_] = np.all(pixels > 0, axis=2)
    columns, rows = np.flatnonzero(np.any(bright, axis=0)), np.flatnonzero(np.any(bright, axis=1))
    if not len(columns):
        return pixels[:0, :0]
    return pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _random_bits(count: int) -> Pixels:
    """Return the low four bits of the first `count` pseudo-random numbers."""
    numbers = bytearray(count)
    state = 0
    for place in range(count):
        state = (_FACTOR * state + _STEP) % _MODULUS
        numbers[place] = state % _RANGE & _LOW_BITS
    return np.frombuffer(numbers, dtype=np.uint8)


def _parsed(text: bytes) -> Mapping[Any, Any]:
    content = json.loads(text, object_hook=_with_tensors)
    if not isinstance(content, Mapping):
        raise TypeError("no table")
    return content


def _with_tensors(table: dict[str, Any]) -> Any:
    return torch.tensor(table[_TENSOR_KEY], dtype=torch.float32) if _TENSOR_KEY in table else table

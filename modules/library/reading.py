"""What a `.safetensors` file says of itself: names, shapes and metadata, read from its header alone.

Format: https://huggingface.co/docs/safetensors, 8 bytes of header length (little endian), a JSON header, the data.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LONGEST_HEADER = 100_000_000
"""Bytes; the format's own limit."""
_LENGTH_BYTES = 8
_START_BYTES = 32
_FOREIGN_STARTS = (
    (b"gguf", "this is a GGUF file, which is not supported"),
    (b"version https://git-lfs", "this is only the note that Git LFS leaves in a file's place; fetch the file itself"),
    (b"<!doctype", "this is a web page, not a model; the download most likely wanted a sign-in"),
    (b"<html", "this is a web page, not a model; the download most likely wanted a sign-in"),
)
_BEGINS_WITH_METADATA = re.compile(r'\s*\{\s*"__metadata__"\s*:\s*')


class UnreadableFile(Exception):
    """The file is no whole safetensors file; the text says why in plain words."""


@dataclass(frozen=True, slots=True)
class Header:
    """Shapes by tensor name, in the order of the file, and the file's own metadata (texts by key)."""

    shapes: Mapping[str, tuple[int, ...]]
    metadata: Mapping[str, str]


def read_header(path: Path) -> Header:
    """Return the header of the file at `path`. Raises UnreadableFile."""
    raw, data_size = _read(path)
    return _parse(raw, data_size)


def read_metadata(path: Path) -> Mapping[str, str]:
    """Return the metadata of the file at `path`, without a look at what else its header says. Raises UnreadableFile.

    Nearly every file has its metadata first, and then this is several times faster than `read_header`.
    """
    raw, data_size = _read(path)
    try:
        text = raw.decode()
        start = _BEGINS_WITH_METADATA.match(text)
        if start is None:
            return _parse(raw, data_size).metadata
        return _texts(json.JSONDecoder().raw_decode(text, start.end())[0])
    except ValueError as error:
        raise UnreadableFile("this is not a safetensors file") from error


def foreign_reason(start: bytes) -> str | None:
    """Return what a file is that begins so, where that is well known and no model of ours; else None."""
    text = start.lstrip(b"\xef\xbb\xbf \r\n\t").lower()
    if len(start) >= _LENGTH_BYTES and not start.strip(b"\0"):
        return "it begins with nothing but zeros (an unfinished download?)"
    return next((reason for mark, reason in _FOREIGN_STARTS if text.startswith(mark)), None)


def _read(path: Path) -> tuple[bytes, int]:
    """Return the header's bytes, and how many bytes follow them."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(_START_BYTES)
            foreign = foreign_reason(start)
            if foreign is not None:
                raise UnreadableFile(foreign)
            if len(start) < _LENGTH_BYTES:
                raise UnreadableFile("the file is empty" if size == 0 else "the file is cut off")
            file.seek(_LENGTH_BYTES)
            (length,) = struct.unpack("<Q", start[:_LENGTH_BYTES])
            if length > LONGEST_HEADER or length < 2:
                raise UnreadableFile("this is not a safetensors file")
            if _LENGTH_BYTES + length > size:
                raise UnreadableFile("the file is cut off inside its header")
            raw = file.read(length)
    except OSError as error:
        raise UnreadableFile(f"the file cannot be read: {error.strerror or error}") from error
    return raw, size - _LENGTH_BYTES - len(raw)


def _parse(raw: bytes, data_size: int) -> Header:
    try:
        content = json.loads(raw)
    except ValueError as error:
        raise UnreadableFile("this is not a safetensors file") from error
    if not isinstance(content, dict):
        raise UnreadableFile("this is not a safetensors file")
    metadata = content.pop("__metadata__", {})
    shapes: dict[str, tuple[int, ...]] = {}
    end = 0
    for name, entry in content.items():
        shape, tensor_end = _entry(name, entry)
        shapes[name] = shape
        end = max(end, tensor_end)
    if end > data_size:
        raise UnreadableFile(f"the file is cut off: {end - data_size:,} bytes are missing (an unfinished download?)")
    return Header(shapes, _texts(metadata))


def _texts(metadata: Any) -> dict[str, str]:
    return {str(key): str(value) for key, value in metadata.items()} if isinstance(metadata, dict) else {}


def _entry(name: str, entry: Any) -> tuple[tuple[int, ...], int]:
    """Return shape and end offset of one tensor of the header."""
    try:
        shape = tuple(int(length) for length in entry["shape"])
        return shape, int(entry["data_offsets"][1])
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise UnreadableFile(f"the header's entry for {name!r} is broken") from error

"""Tensors read from and written to files piece by piece, so that files of any size need little memory.

Safetensors: 8 bytes of header length, a JSON header, the numbers; https://huggingface.co/docs/safetensors. Pickled
files are read through `pickles.py`, which runs nothing of what they hold.
"""

from __future__ import annotations

import json
import math
import struct
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import torch
from torch import Tensor

from modules.library.model_kinds import is_pickle
from modules.library.pickles import PickledFile, read_pickled
from modules.library.reading import UnreadableFile, read_header

DTYPES: Mapping[str, torch.dtype] = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2, "I64": torch.int64, "I32": torch.int32,
    "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip
DTYPE_NAMES: Mapping[torch.dtype, str] = {dtype: name for name, dtype in DTYPES.items()}
_LENGTH_BYTES = 8
_ALIGNMENT = 8


@dataclass(frozen=True, slots=True)
class TensorFacts:
    """Type and shape of a tensor."""

    dtype: torch.dtype
    shape: tuple[int, ...]

    @property
    def count(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def size(self) -> int:
        """Bytes."""
        return self.count * self.dtype.itemsize


class TensorFile(Protocol):
    """An open file of tensors."""

    @property
    def facts(self) -> Mapping[str, TensorFacts]:
        """Type and shape by name, in the order of the file."""

    def read(self, name: str, start: int, count: int) -> Tensor:
        """Return `count` elements of a tensor from element `start` on, in one dimension."""


@contextmanager
def open_tensors(path: Path) -> Iterator[TensorFile]:
    """Open a checkpoint's or VAE's single file. Raises UnreadableFile."""
    if is_pickle(path.name):
        stored = read_pickled(path)
        with zipfile.ZipFile(path) as archive:
            yield _Pickled(stored, archive)
    else:
        read_header(path)
        with path.open("rb") as file:
            yield _Safe(file)


class _Safe:
    """A safetensors file, whose header is known to be whole."""

    def __init__(self, file: BufferedReader) -> None:
        self._file = file
        (length,) = struct.unpack("<Q", file.read(_LENGTH_BYTES))
        header = {name: entry for name, entry in json.loads(file.read(length)).items() if name != "__metadata__"}
        self._places: dict[str, int] = {}
        self.facts: dict[str, TensorFacts] = {}
        for name, entry in header.items():
            if entry["dtype"] not in DTYPES:
                raise UnreadableFile(f"its tensor {name} is of the type {entry['dtype']}, which is not known")
            facts = TensorFacts(DTYPES[entry["dtype"]], tuple(entry["shape"]))
            begin, end = entry["data_offsets"]
            if end - begin != facts.size:
                raise UnreadableFile(f"the header's entry for {name!r} is broken")
            self._places[name] = _LENGTH_BYTES + length + begin
            self.facts[name] = facts

    def read(self, name: str, start: int, count: int) -> Tensor:
        """Return some elements of a tensor."""
        dtype = self.facts[name].dtype
        if not count:
            return torch.empty(0, dtype=dtype)
        content = bytearray(count * dtype.itemsize)
        self._file.seek(self._places[name] + start * dtype.itemsize)
        if self._file.readinto(content) != len(content):
            raise UnreadableFile("the file became shorter while it was read")
        return torch.frombuffer(content, dtype=dtype)


class _Pickled:
    """A file of torch.save; one tensor at a time is in memory, since its numbers may lie in any order."""

    def __init__(self, stored: PickledFile, archive: zipfile.ZipFile) -> None:
        self._stored = stored
        self._archive = archive
        self._kept: tuple[str, Tensor] | None = None
        self.facts = {
            name: TensorFacts(getattr(torch, tensor.kind), tensor.shape) for name, tensor in stored.tensors.items()
        }

    def read(self, name: str, start: int, count: int) -> Tensor:
        """Return some elements of a tensor."""
        if self._kept is None or self._kept[0] != name:
            self._kept = None
            self._kept = (name, self._whole(name))
        return self._kept[1][start : start + count]

    def _whole(self, name: str) -> Tensor:
        place, facts = self._stored.tensors[name], self.facts[name]
        if not facts.count:
            return torch.empty(0, dtype=facts.dtype)
        span = 1 + sum((length - 1) * stride for length, stride in zip(place.shape, place.strides, strict=True))
        try:
            with self._archive.open(self._stored.root + place.member) as member:
                member.seek(place.offset * facts.dtype.itemsize)
                content = bytearray(member.read(span * facts.dtype.itemsize))
            flat = torch.frombuffer(content, dtype=facts.dtype)
            return flat.as_strided(place.shape, place.strides).reshape(-1)
        except (KeyError, ValueError, RuntimeError, zipfile.BadZipFile) as error:
            raise UnreadableFile(f"its tensor {name} is broken") from error


class SafetensorsWriter:
    """Writes a safetensors file from beginning to end: the header at once, then each tensor in the order of `order`.

    Types with larger elements come first, so that every tensor is aligned, as the format's readers expect.
    """

    def __init__(self, file: BinaryIO, facts: Mapping[str, TensorFacts], metadata: Mapping[str, str]) -> None:
        self._file = file
        self.order = sorted(facts, key=lambda name: -facts[name].dtype.itemsize)
        header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
        place = 0
        for name in self.order:
            fact = facts[name]
            offsets = [place, place + fact.size]
            header[name] = {"dtype": DTYPE_NAMES[fact.dtype], "shape": list(fact.shape), "data_offsets": offsets}
            place += fact.size
        raw = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
        raw += b" " * (-len(raw) % _ALIGNMENT)
        file.write(struct.pack("<Q", len(raw)) + raw)
        self.size = place
        """Bytes of all tensors."""

    def write(self, tensor: Tensor) -> None:
        """Write the next elements."""
        self._file.write(tensor.contiguous().view(torch.uint8).numpy().data if tensor.numel() else b"")

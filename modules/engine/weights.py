"""Tensors from checkpoint files, safetensors or pickled, without running anything that a file may hold."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from modules.library.identify import PICKLE_ENDINGS
from modules.library.pickles import read_pickled

Progress = Callable[[float, str], None]
"""Told the share of the work that is done, 0 to 1, and what is being done."""

_TELL_EVERY = 0.02
_SCALE = ".scale_weight"
"""Ending of the factors that belong to weights in 8-bit floats, as ComfyUI writes them."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What is read: names that begin with one of `prefixes`; progress moves from `start` by `share`."""

    progress: Progress = lambda fraction, stage: None
    start: float = 0.0
    share: float = 1.0
    prefixes: tuple[str, ...] = ("",)

    def of(self, names: Collection[str]) -> list[str]:
        """Return the names that are read."""
        return [name for name in names if name.startswith(self.prefixes)]

    def piece(self, number: int, count: int) -> Reading:
        """Return the reading of one of several files of equal size."""
        start = self.start + self.share * number / count
        return Reading(self.progress, start, self.share / count, self.prefixes)


def read_tensors(path: Path, reading: Reading | None = None) -> dict[str, Tensor]:
    """Return the tensors of a file, in main memory. Raises UnreadableFile, SafetensorError, OSError."""
    reading = reading or Reading()
    tensors = (_pickled if path.suffix.lower() in PICKLE_ENDINGS else _safe)(path, reading)
    for name in [name for name in tensors if name.endswith(_SCALE)]:
        scale, weight = tensors.pop(name), name.removesuffix(_SCALE) + ".weight"
        if weight in tensors:
            tensors[weight] = tensors[weight].float() * scale.float()
    return tensors


def _safe(path: Path, reading: Reading) -> dict[str, Tensor]:
    tensors = {}
    with safe_open(path, framework="pt", device="cpu") as file:
        names = reading.of(list(file.keys()))
        tell = _Teller(reading, path, len(names))
        for name in names:
            tensors[name] = file.get_tensor(name)
            tell.one_more()
    return tensors


def _pickled(path: Path, reading: Reading) -> dict[str, Tensor]:
    """Return the tensors of a `.ckpt` or `.pt` file, reading their numbers alone and running nothing."""
    stored = read_pickled(path)
    tensors: dict[str, Tensor] = {}
    names = reading.of(list(stored.tensors))
    tell = _Teller(reading, path, len(names))
    with zipfile.ZipFile(path) as archive:
        for name in names:
            place = stored.tensors[name]
            content = bytearray(archive.read(stored.root + place.member))
            flat = torch.frombuffer(content, dtype=getattr(torch, place.kind)) if content else torch.empty(0)
            tensors[name] = flat.as_strided(place.shape, place.strides, place.offset)
            tell.one_more()
    return tensors


class _Teller:
    """Tells how far the reading of one file is, not for every tensor."""

    def __init__(self, reading: Reading, path: Path, count: int) -> None:
        self._reading, self._path, self._count = reading, path, count
        self._read = 0
        self._told = reading.start

    def one_more(self) -> None:
        self._read += 1
        done = self._reading.start + self._reading.share * self._read / self._count
        if done - self._told > _TELL_EVERY:
            self._reading.progress(done, f"reading {self._path.name}")
            self._told = done

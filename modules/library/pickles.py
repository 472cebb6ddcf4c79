"""What a `.ckpt` or `.pt` file says of itself, without ever running what such a file may hold.

Since version 1.6 torch writes a zip archive: `data.pkl` describes the tensors, `data/0`, `data/1`, … are their numbers.
A pickle is a program; here it is given nothing to call but a few stand-ins that write down names, shapes and places,
and every other class that it names becomes an empty object.
"""

from __future__ import annotations

import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from modules.library.reading import Header, UnreadableFile, foreign_reason

LARGEST_DESCRIPTION = 200_000_000
"""Bytes of `data.pkl`; that of a checkpoint has some hundred thousand."""
_STATE_KEYS = ("state_dict", "model")
_DEEPEST = 4
_START_BYTES = 32
_STORAGES: Mapping[str, str] = {
    "FloatStorage": "float32", "HalfStorage": "float16", "BFloat16Storage": "bfloat16", "DoubleStorage": "float64",
    "LongStorage": "int64", "IntStorage": "int32", "ShortStorage": "int16", "CharStorage": "int8",
    "ByteStorage": "uint8", "BoolStorage": "bool",
}  # fmt: skip
_BROKEN = (pickle.UnpicklingError, EOFError, LookupError, AttributeError, ValueError, TypeError, OverflowError)


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """Where a tensor lies: archive member, type (torch's name for it), first element, shape and strides in elements."""

    member: str
    kind: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PickledFile:
    """The tensors of a file by name, and the folder inside the archive that their numbers lie in."""

    root: str
    tensors: Mapping[str, StoredTensor]

    def header(self) -> Header:
        """Return names and shapes as those of a safetensors file."""
        return Header({name: tensor.shape for name, tensor in self.tensors.items()}, {})


def read_pickled(path: Path) -> PickledFile:
    """Return what the file at `path` holds. Raises UnreadableFile."""
    try:
        with zipfile.ZipFile(path) as archive:
            member = next((name for name in archive.namelist() if name.endswith("/data.pkl")), None)
            if member is None or archive.getinfo(member).file_size > LARGEST_DESCRIPTION:
                raise UnreadableFile("this is not a file that torch has written")
            description = archive.read(member)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise UnreadableFile(_not_an_archive(path)) from error
    except OSError as error:
        raise UnreadableFile(f"the file cannot be read: {error.strerror or error}") from error
    try:
        content = _Describer(BytesIO(description)).load()
    except (*_BROKEN, RecursionError, MemoryError) as error:
        raise UnreadableFile("its description of the tensors is broken") from error
    tensors: dict[str, StoredTensor] = {}
    _collect(_state_of(content), "", tensors, 0)
    return PickledFile(member.removesuffix("data.pkl"), tensors)


class _Inert:
    """Stands for an object of a class that is not known here; takes any state and does nothing."""

    def __init__(self, *_: object, **__: object) -> None:
        """Take any arguments."""

    def __setstate__(self, state: object) -> None:
        """Ignore the state."""

    def __setitem__(self, key: object, value: object) -> None:
        """Ignore an item."""

    def append(self, value: object) -> None:
        """Ignore an element."""

    def extend(self, values: object) -> None:
        """Ignore elements."""

    def __call__(self, *_: object, **__: object) -> _Inert:
        """Ignore a call."""
        return _Inert()


@dataclass(frozen=True, slots=True)
class _Storage:
    kind: str


@dataclass(frozen=True, slots=True)
class _Place:
    member: str
    kind: str


class _Describer(pickle.Unpickler):
    """Reads a pickle with stand-ins for everything that it may call."""

    def find_class(self, module: str, name: str) -> Any:
        """Return the stand-in for a class or function that the pickle names; nothing is ever imported."""
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch._utils" and name in ("_rebuild_tensor_v2", "_rebuild_tensor"):
            return _tensor
        if module == "torch._utils" and name == "_rebuild_parameter":
            return _first
        if module in ("torch", "torch.storage") and name in _STORAGES:
            return _Storage(_STORAGES[name])
        return _Inert

    def persistent_load(self, pid: Any) -> Any:
        """Return where a storage lies: ("storage", type, key, device, elements)."""
        storage, key = pid[1], pid[2]
        kind = storage.kind if isinstance(storage, _Storage) else "uint8"
        return _Place(f"data/{key}", kind)


def _tensor(place: object, offset: int, shape: Any, strides: Any = (), *_: object) -> object:
    if not isinstance(place, _Place):
        return _Inert()
    return StoredTensor(place.member, place.kind, int(offset), tuple(map(int, shape)), tuple(map(int, strides)))


def _first(value: object, *_: object) -> object:
    return value


def _state_of(content: object) -> object:
    """Return the table of tensors, which trainers put under a key of its own."""
    for key in _STATE_KEYS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            return content[key]
    return content


def _collect(content: object, prefix: str, found: dict[str, StoredTensor], depth: int) -> None:
    if not isinstance(content, dict) or depth > _DEEPEST:
        return
    for key, value in content.items():
        if isinstance(value, StoredTensor):
            found[f"{prefix}{key}"] = value
        else:
            _collect(value, f"{prefix}{key}.", found, depth + 1)


def _not_an_archive(path: Path) -> str:
    try:
        with path.open("rb") as file:
            start = file.read(_START_BYTES)
    except OSError as error:
        return f"the file cannot be read: {error.strerror or error}"
    if not start:
        return "the file is empty"
    foreign = foreign_reason(start)
    if foreign is not None:
        return foreign
    if start.startswith(b"PK"):
        return "the file is cut off (an unfinished download?)"
    return "it is of the kind that torch wrote before version 1.6, which is not read; convert it to .safetensors"

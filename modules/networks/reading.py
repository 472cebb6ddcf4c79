"""Tensors from the files in which networks come, without ever running what such a file may hold."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load
from torch import nn

from modules.core.errors import NetworkUnavailable

_SAFE = ".safetensors"
# What torch and pickle raise on files that are cut off, are no pickles or hold more than plain data.
_BROKEN_PICKLE = (RuntimeError, ValueError, TypeError, LookupError, EOFError, AttributeError)


class NetworkOnDisk(Protocol):
    """A network's file, as the library's catalogs list it."""

    @property
    def name(self) -> str:
        """The name under which prompts know it."""

    @property
    def path(self) -> Path:
        """The file's place."""


@dataclass(frozen=True, slots=True)
class Version:
    """One state of a file: place, size in bytes and time of change in nanoseconds."""

    path: Path
    size: int
    changed: int


def version_of(path: Path) -> Version:
    """Return the state that the file is in now. Raises NetworkUnavailable when it is gone."""
    try:
        status = path.stat()
    except OSError as error:
        raise unusable(path, f"it cannot be read: {error.strerror or error}") from error
    return Version(path, status.st_size, status.st_mtime_ns)


def unusable(path: Path, reason: str) -> NetworkUnavailable:
    """Return the error that names the file and the reason."""
    return NetworkUnavailable(f"The network {path.name} cannot be used: {reason}.")


def read_content(path: Path) -> Mapping[Any, Any]:
    """Return what the file holds: tensors by name, and in a pickle (.pt, .bin, .ckpt) other plain data beside them.

    The tensors lie in main memory and not in the file. Raises NetworkUnavailable.
    """
    try:
        content = load(path.read_bytes()) if path.suffix.lower() == _SAFE else _unpickled(path)
    except OSError as error:
        raise unusable(path, f"it cannot be read: {error.strerror or error}") from error
    except SafetensorError as error:
        raise unusable(path, f"it is broken or no safetensors file ({error})") from error
    if not isinstance(content, Mapping):
        raise unusable(path, "it holds no table of tensors")
    return content


def read_metadata(path: Path) -> Mapping[str, str]:
    """Return what a safetensors file says of itself in its header; nothing for other and for broken files."""
    if path.suffix.lower() != _SAFE:
        return {}
    try:
        with safe_open(path, "pt") as file:
            metadata: Mapping[str, str] | None = file.metadata()
    except (OSError, SafetensorError):
        return {}
    return metadata or {}


def _unpickled(path: Path) -> Any:
    try:
        # The first embeddings' tables are modules that hold nothing but tensors.
        with torch.serialization.safe_globals([nn.ParameterDict]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = "it is broken, or holds more than plain tensors, which could run code when opened"
        raise unusable(path, reason) from error
    except _BROKEN_PICKLE as error:
        raise unusable(path, f"it is broken or no file of tensors ({type(error).__name__})") from error

"""The synthetic weights as files, in a folder outside the repository, with the bytes that they must have."""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from tests.peer.synthetic import checkpoint_tensors, embedding_tensors, lora_tensors, vae_tensors

TYPE_NAMES = {torch.float16: "F16", torch.float32: "F32", torch.int64: "I64"}


@dataclass(frozen=True, slots=True)
class SyntheticFile:
    """One of the files: how it is made and what its SHA-256 must be."""

    name: str
    tensors: Callable[[], Mapping[str, Tensor]]
    sha256: str
    metadata: Mapping[str, str] | None = None


CHECKPOINT = SyntheticFile(
    "synth-sd15.safetensors",
    checkpoint_tensors,
    "a18292e06729f9c670e90b1d7cf13646689cc6eddb0c33575146bfc6521bc1a8",
)
VAE = SyntheticFile(
    "synth-vae.safetensors", vae_tensors, "0c86f99d90ee9960fa7594115597688c3df009440816f39280b5107247ce894e"
)
LORA = SyntheticFile(
    "synth-lora.safetensors",
    lora_tensors,
    "e26df3a649873a196266169b747d390a66a04e5ee83810918f2093d584a99d7c",
    {"ss_network_dim": "4", "ss_network_alpha": "2.0", "ss_output_name": "synth-lora"},
)
EMBEDDING = SyntheticFile(
    "synth-ti.safetensors", embedding_tensors, "79187a63bf1634991c65feaec2222adb04f5ca4f9cd8a42b5904f9b14c442e07"
)


def cache_folder() -> Path:
    """Return where the files are kept between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "easel-tests"


def build(folder: Path, *wanted: SyntheticFile) -> None:
    """Write the files that `folder` lacks. Raises ValueError when one comes out with other bytes than it should."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in wanted:
        path = folder / file.name
        if path.is_file():
            continue
        unfinished = path.with_suffix(".part")
        found = write_safetensors(unfinished, file.tensors(), file.metadata)
        if found != file.sha256:
            unfinished.unlink()
            raise ValueError(f"{file.name} came out with the SHA-256 {found}, and {file.sha256} is expected")
        unfinished.replace(path)


def write_safetensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> str:
    """Write tensors in the order of their names, so that the bytes are the same everywhere; return their SHA-256."""
    head: dict[str, object] = {"__metadata__": metadata} if metadata else {}
    start, names = 0, sorted(tensors)
    for name in names:
        tensor = tensors[name]
        end = start + tensor.numel() * tensor.element_size()
        head[name] = {"dtype": TYPE_NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [start, end]}
        start = end
    header = json.dumps(head, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for piece in (struct.pack("<Q", len(header)), header):
            file.write(piece)
            digest.update(piece)
        for name in names:
            piece = _bytes_of(tensors[name].contiguous())
            file.write(piece)
            digest.update(piece)
    return digest.hexdigest()


def _bytes_of(tensor: Tensor) -> bytes:
    return ctypes.string_at(tensor.data_ptr(), tensor.numel() * tensor.element_size())

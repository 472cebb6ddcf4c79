"""The kinds of model files: where each lies, which endings it has, and how it is told by its tensors' names."""

from __future__ import annotations

import json
import re
import struct
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path

from modules.cli import AppConfig
from modules.core.errors import FieldProblem, InvalidRequest

CHECKPOINT, LORA, EMBEDDING, VAE, HYPERNETWORK = "checkpoint", "lora", "embedding", "vae", "hypernetwork"
KIND_LABELS: Mapping[str, str] = {
    CHECKPOINT: "Checkpoint", LORA: "LoRA", EMBEDDING: "Embedding", VAE: "VAE", HYPERNETWORK: "Hypernetwork",
}  # fmt: skip
SAFE_ENDING = ".safetensors"
PICKLED_ENDINGS = (".ckpt", ".pt", ".bin", ".pth")
MODEL_ENDINGS = (SAFE_ENDING, *PICKLED_ENDINGS)
LONGEST_NAME = 180
"""Bytes of a file's name without its endings; file systems take 255 in all."""
LONGEST_FIRST_BYTES = 24 * 1024 * 1024
"""Bytes; a header that is longer is not waited for."""

_FOLDERS = {LORA: "Lora", EMBEDDING: "embeddings", VAE: "VAE", HYPERNETWORK: "hypernetworks"}
_ENDINGS_OF: Mapping[str, tuple[str, ...]] = {
    CHECKPOINT: (SAFE_ENDING, ".ckpt"),
    LORA: (SAFE_ENDING, ".pt", ".ckpt"),
    EMBEDDING: (SAFE_ENDING, ".pt", ".bin"),
    VAE: (SAFE_ENDING, ".pt", ".ckpt"),
    HYPERNETWORK: (".pt", SAFE_ENDING),
}
_FORBIDDEN = re.compile(r'[<>:"|?*\x00]+')
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")
_LENGTH_BYTES = 8
_LORA_NAME = re.compile(
    r"^lora_(unet|te)|\.lora_(up|down|A|B)\.|\.(hada_w1_a|lokr_w1|lokr_w1_a|oft_blocks|oft_diag|dora_scale|diff)$"
)
_EMBEDDING_NAMES = frozenset({"emb_params", "clip_l", "clip_g"})
_VAE_NAME = re.compile(r"^(first_stage_model\.)?(encoder|decoder)\.(conv_in|conv_out|mid)")


def model_folders(config: AppConfig) -> dict[str, Path]:
    """Return the folder into which new files of each kind go."""
    first = {
        CHECKPOINT: config.checkpoint_dirs, LORA: config.lora_dirs, EMBEDDING: config.embeddings_dirs,
        VAE: config.vae_dirs, HYPERNETWORK: getattr(config, "hypernetwork_dirs", ()),
    }  # fmt: skip
    return {kind: dirs[0] if dirs else config.models_dir / _FOLDERS[kind] for kind, dirs in first.items()}


def endings_of(kind: str) -> tuple[str, ...]:
    """Return the endings that files of a kind are found by."""
    return _ENDINGS_OF[kind]


def is_pickle(name: str) -> bool:
    """Say whether a file of that name is a pickle, which is a program."""
    return name.lower().endswith(PICKLED_ENDINGS)


def safe_stem(text: str) -> str:
    """Return a plain name that no file system takes for a path, an option, a device or a hidden file; may be empty."""
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", text))[-1]
    # Control characters, marks that turn the direction of writing, and halves of characters.
    visible = "".join("\0" if unicodedata.category(each).startswith("C") else each for each in last)
    plain = _FORBIDDEN.sub("_", visible).strip(" .-")
    plain = plain.encode()[:LONGEST_NAME].decode(errors="ignore").rstrip(" .")
    return f"_{plain}" if _RESERVED.fullmatch(plain) else plain


def safe_file_name(text: str, endings: Iterable[str] = MODEL_ENDINGS) -> str:
    """Return `text` as a plain file name with one of the `endings`. Raises InvalidRequest."""
    allowed = tuple(endings)
    ending = next((each for each in allowed if text.lower().rstrip().endswith(each)), None)
    stem = safe_stem(text.rstrip()[: -len(ending)]) if ending else ""
    if ending is None or not stem:
        wanted = f"a name that ends in {', '.join(allowed)}"
        raise InvalidRequest([FieldProblem("name", "File name", repr(text)[:80], wanted)])
    return stem + ending


def header_names(start: bytes) -> set[str] | None:
    """Return the tensors' names from the first bytes of a safetensors file; None when more bytes are needed.

    Raises ValueError when the bytes are of something else.
    """
    if len(start) < _LENGTH_BYTES:
        return None
    (length,) = struct.unpack("<Q", start[:_LENGTH_BYTES])
    if not 2 <= length <= LONGEST_FIRST_BYTES:
        raise ValueError("no header")
    if len(start) < _LENGTH_BYTES + length:
        return None
    content = json.loads(start[_LENGTH_BYTES : _LENGTH_BYTES + length])
    if not isinstance(content, dict):
        raise ValueError("no header")
    return set(content) - {"__metadata__"}


def kind_of(names: Iterable[str]) -> str:
    """Return what kind of model has tensors of these names, "" when they do not tell."""
    known = set(names)
    if any(name.startswith("model.diffusion_model.") for name in known):
        return CHECKPOINT
    if any(_LORA_NAME.search(name) for name in known):
        return LORA
    if known and known <= _EMBEDDING_NAMES:
        return EMBEDDING
    if any(_VAE_NAME.match(name) for name in known):
        return VAE
    return ""

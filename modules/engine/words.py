"""CLIP's tokenizers, each kept once: it takes longer to read one than to use it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from transformers import CLIPTokenizer

_KEPT = 4


@dataclass(frozen=True, slots=True)
class _Files:
    """A tokenizer's files: wherever they lie, the same content is the same tokenizer."""

    digest: str
    owner: str
    folder: Path = field(compare=False)


def tokenizer_of(folder: Path, owner: str = "models") -> CLIPTokenizer:
    """Return the tokenizer of a folder, shared with all that have the same content. Raises OSError.

    `owner`: threads that work at the same time need one each, since asking one to cut texts changes it for a moment.
    """
    whole = hashlib.sha256()
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        content = path.read_bytes()
        whole.update(f"{path.name}\0{len(content)}\0".encode())
        whole.update(content)
    return _read(_Files(whole.hexdigest(), owner, folder))


@lru_cache(maxsize=_KEPT)
def _read(files: _Files) -> CLIPTokenizer:
    tokenizer: CLIPTokenizer = CLIPTokenizer.from_pretrained(files.folder, local_files_only=True)
    return tokenizer

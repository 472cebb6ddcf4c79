"""Textual inversion: token vectors that were trained for a name. Paper: https://arxiv.org/abs/2208.01618."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from modules.networks.embedding_pictures import PICTURE_ENDINGS, read_picture
from modules.networks.reading import NetworkOnDisk, read_content, unusable
from modules.prompts.chunks import CHUNK_TOKENS

_WEBUI_KEY = "string_to_param"
_PLAIN_KEY = "emb_params"
_ENCODER_KEYS = ("clip_l", "clip_g")
"""The tensors of an embedding for SDXL, in the order of its text encoders."""


@dataclass(frozen=True, slots=True)
class Training:
    """What a file made by A1111 tells of its making, each None when it does not."""

    step: int | None = None
    checkpoint_hash: str | None = None
    checkpoint_name: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddingContent:
    """What one file holds.

    `vectors`: for each text encoder that it is for, (vector count, width) in float32 and main memory.
    """

    name: str
    vectors: tuple[Tensor, ...]
    training: Training = Training()

    @property
    def vector_count(self) -> int:
        """How many tokens it takes the place of; with two text encoders the second one's count, as in A1111."""
        return int(self.vectors[-1].shape[0])

    @property
    def widths(self) -> tuple[int, ...]:
        """Numbers per vector for each text encoder: (768,) for SD 1.x, (1024,) for SD 2.x, (768, 1280) for SDXL."""
        return tuple(int(each.shape[1]) for each in self.vectors)


def read_embedding(file: NetworkOnDisk) -> EmbeddingContent:
    """Return what the file holds. Raises NetworkUnavailable.

    Known are the table `string_to_param` of A1111 and of the paper's own code, the tensor `emb_params`, files of one
    tensor by its token, as diffusers writes them, SDXL's pair of tensors, and the pictures in which A1111 hides
    embeddings.
    """
    path = file.path
    if path.suffix.lower() not in PICTURE_ENDINGS:
        return embedding_of(path, file.name, read_content(path))
    content = read_picture(path)
    return embedding_of(path, _text(content, "name") or file.name, content)


def embedding_of(path: Path, name: str, content: Mapping[Any, Any]) -> EmbeddingContent:
    """Return the embedding that a table out of the file at `path` makes. Raises NetworkUnavailable."""
    vectors = tuple(_checked(path, each) for each in _vectors(path, content))
    step = content.get("step")
    training = Training(
        step if isinstance(step, int) else None, _text(content, "sd_checkpoint"), _text(content, "sd_checkpoint_name")
    )
    return EmbeddingContent(name, vectors, training)


def _vectors(path: Path, content: Mapping[Any, Any]) -> list[Tensor]:
    table = content.get(_WEBUI_KEY)
    if isinstance(table, nn.ParameterDict):
        table = dict(table.named_parameters())
    if not isinstance(table, Mapping):
        pair = [content[key] for key in _ENCODER_KEYS if isinstance(content.get(key), Tensor)]
        if len(pair) == len(_ENCODER_KEYS):
            return pair
        table = {_PLAIN_KEY: content[_PLAIN_KEY]} if _PLAIN_KEY in content else content
    tensors = [value for value in table.values() if isinstance(value, Tensor)]
    if len(tensors) != 1:
        raise unusable(path, f"an embedding holds one tensor and this file {len(tensors)}")
    return tensors


def _checked(path: Path, vectors: Tensor) -> Tensor:
    if vectors.dim() == 1:
        vectors = vectors.unsqueeze(0)
    if vectors.dim() != 2 or not vectors.is_floating_point() or vectors.numel() == 0:
        raise unusable(path, f"vectors of shape {tuple(vectors.shape)} are no embedding")
    count = vectors.shape[0]
    if count > CHUNK_TOKENS:
        raise unusable(path, f"its {count} vectors are more than the {CHUNK_TOKENS} that a prompt's chunk holds")
    return vectors.detach().to(torch.float32)


def _text(content: Mapping[Any, Any], key: str) -> str | None:
    value = content.get(key)
    return value if isinstance(value, str) else None

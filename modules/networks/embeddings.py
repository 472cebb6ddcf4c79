"""Textual inversion: token vectors that were trained for a name. Paper: https://arxiv.org/abs/2208.01618."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from modules.core.errors import NetworkUnavailable
from modules.networks.reading import NetworkOnDisk, read_content, unusable
from modules.prompts.chunks import CHUNK_TOKENS, EmbeddingName

_WEBUI_KEY = "string_to_param"
_PLAIN_KEY = "emb_params"

logger = logging.getLogger(__name__)


class NetworkFiles(Protocol):
    """A catalog of network files."""

    def entries(self) -> Sequence[NetworkOnDisk]:
        """Return the files that there are; a file that changed is not equal to what it was."""

    def find(self, name: str) -> NetworkOnDisk | None:
        """Return the file of that name in any case, or None."""

    def short_hash(self, file: NetworkOnDisk) -> str:
        """Return the hash as infotexts have it. Raises NetworkUnavailable."""


@dataclass(frozen=True, slots=True)
class Training:
    """What a file made by A1111 tells of its making, each None when it does not."""

    step: int | None = None
    checkpoint_hash: str | None = None
    checkpoint_name: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddingContent:
    """What one file holds: `vectors` in float32, (vector count, width), in main memory."""

    name: str
    vectors: Tensor
    training: Training = Training()

    @property
    def vector_count(self) -> int:
        """How many tokens it takes the place of."""
        return int(self.vectors.shape[0])

    @property
    def width(self) -> int:
        """Numbers per vector; 768 for SD 1.x."""
        return int(self.vectors.shape[1])


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """An embedding in use: `vectors` in float32, (vector count, width), and the hash that infotexts carry."""

    name: str
    vectors: Tensor
    short_hash: str


@dataclass(frozen=True, slots=True)
class _Named:
    """The names that one tokenizer made of one list of embeddings."""

    tokenize: Callable[[str], Sequence[int]]
    contents: list[EmbeddingContent]
    names: list[EmbeddingName]


class EmbeddingStore:
    """Knows the embeddings of a catalog; reads a file when first asked and after changes. Safe in several threads."""

    def __init__(self, files: NetworkFiles) -> None:
        """Take the catalog; whoever refreshes it decides when new files are seen."""
        self.files = files
        self._lock = threading.Lock()
        self._read: dict[Path, tuple[NetworkOnDisk, EmbeddingContent | None]] = {}
        self._told: set[tuple[NetworkOnDisk, int]] = set()
        self._named: _Named | None = None

    def fitting(self, width: int) -> list[EmbeddingContent]:
        """Return the embeddings for models of `width` numbers per vector; each other one is logged once."""
        return [content for file, content in self._all() if self._fits(file, content, width)]

    def skipped(self, width: int) -> list[EmbeddingContent]:
        """Return those whose files are sound but made for another kind of model."""
        return [content for _, content in self._all() if content.width != width]

    def names(self, tokenize: Callable[[str], Sequence[int]], width: int) -> list[EmbeddingName]:
        """Return the names of the embeddings for models of `width` as their tokenizer reads them in a prompt."""
        contents = self.fitting(width)
        with self._lock:
            known = self._named
        if known is not None and (known.tokenize, known.contents) == (tokenize, contents):
            return known.names
        names = [EmbeddingName(each.name, each.vector_count, tuple(tokenize(each.name))) for each in contents]
        with self._lock:
            self._named = _Named(tokenize, contents, names)
        return names

    def get(self, name: str) -> Embedding | None:
        """Return the embedding of that name, None when there is none or it is unusable."""
        file = self.files.find(name)
        content = self._content(file) if file is not None else None
        if file is None or content is None:
            return None
        try:
            return Embedding(content.name, content.vectors, self.files.short_hash(file))
        except NetworkUnavailable as error:
            logger.warning("%s", error)
            return None

    def _all(self) -> list[tuple[NetworkOnDisk, EmbeddingContent]]:
        found: dict[str, tuple[NetworkOnDisk, EmbeddingContent]] = {}
        for file in self.files.entries():
            content = self._content(file)
            if content is not None:
                found.setdefault(file.name.casefold(), (file, content))
        return list(found.values())

    def _content(self, file: NetworkOnDisk) -> EmbeddingContent | None:
        """Return what the file holds, None when it is unusable, which is logged once."""
        with self._lock:
            known = self._read.get(file.path)
        if known is not None and known[0] == file:
            return known[1]
        try:
            content: EmbeddingContent | None = read_embedding(file)
        except NetworkUnavailable as error:
            logger.warning("%s", error)
            content = None
        with self._lock:
            self._read[file.path] = (file, content)
        return content

    def _fits(self, file: NetworkOnDisk, content: EmbeddingContent, width: int) -> bool:
        if content.width == width:
            return True
        with self._lock:
            new = (file, width) not in self._told
            self._told.add((file, width))
        if new:
            text = "The embedding %s is left out: its vectors have %d numbers where this model's have %d."
            logger.info(text, file.name, content.width, width)
        return False


def read_embedding(file: NetworkOnDisk) -> EmbeddingContent:
    """Return what the file holds. Raises NetworkUnavailable.

    Known are the table `string_to_param` of A1111 and of the paper's own code, the tensor `emb_params`, and files of
    one tensor by its token, as diffusers writes them.
    """
    content = read_content(file.path)
    vectors = _vectors(file.path, content)
    if vectors.dim() == 1:
        vectors = vectors.unsqueeze(0)
    if vectors.dim() != 2 or not vectors.is_floating_point() or vectors.numel() == 0:
        raise unusable(file.path, f"vectors of shape {tuple(vectors.shape)} are no embedding")
    count = vectors.shape[0]
    if count > CHUNK_TOKENS:
        raise unusable(file.path, f"its {count} vectors are more than the {CHUNK_TOKENS} that a prompt's chunk holds")
    step = content.get("step")
    training = Training(
        step if isinstance(step, int) else None, _text(content, "sd_checkpoint"), _text(content, "sd_checkpoint_name")
    )
    return EmbeddingContent(file.name, vectors.detach().to(torch.float32), training)


def _vectors(path: Path, content: Mapping[Any, Any]) -> Tensor:
    table = content.get(_WEBUI_KEY)
    if isinstance(table, nn.ParameterDict):
        table = dict(table.named_parameters())
    if not isinstance(table, Mapping):
        table = {_PLAIN_KEY: content[_PLAIN_KEY]} if _PLAIN_KEY in content else content
    tensors = [value for value in table.values() if isinstance(value, Tensor)]
    if len(tensors) != 1:
        raise unusable(path, f"an embedding holds one tensor and this file {len(tensors)}")
    return tensors[0]


def _text(content: Mapping[Any, Any], key: str) -> str | None:
    value = content.get(key)
    return value if isinstance(value, str) else None

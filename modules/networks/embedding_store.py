"""The embeddings that there are: found in prompts by their names alone, and read when a prompt has them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from torch import Tensor

from modules.core.errors import NetworkUnavailable
from modules.networks.embedding_pictures import PICTURE_ENDINGS, is_preview
from modules.networks.embeddings import EmbeddingContent, read_embedding
from modules.networks.reading import NetworkOnDisk
from modules.prompts.chunks import EmbeddingIndex, EmbeddingName, KnownEmbedding

Tokenize = Callable[[str], Sequence[int]]

logger = logging.getLogger(__name__)


class NetworkFiles(Protocol):
    """A catalog of network files."""

    def entries(self) -> Sequence[NetworkOnDisk]:
        """Return the files that there are; a file that changed is not equal to what it was."""

    def find(self, name: str) -> NetworkOnDisk | None:
        """Return the file of that name in any case, or None."""

    def short_hash(self, file: NetworkOnDisk) -> str:
        """Return the hash as infotexts have it. Raises NetworkUnavailable."""


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """An embedding in use: its vectors as in `EmbeddingContent`, and the hash that infotexts carry ("": none)."""

    name: str
    vectors: tuple[Tensor, ...]
    short_hash: str


class EmbeddingStore:
    """Knows the embeddings of catalogs; reads a file when first needed and after changes. Safe in several threads."""

    def __init__(self, files: NetworkFiles, pictures: NetworkFiles | None = None) -> None:
        """Take the catalogs of files and of pictures; whoever refreshes them decides when new ones are seen."""
        self.files = files
        self.pictures = pictures
        self._lock = threading.Lock()
        self._read: dict[Path, tuple[NetworkOnDisk, EmbeddingContent | None]] = {}
        self._told: set[tuple[NetworkOnDisk, tuple[int, ...]]] = set()
        self._listed: tuple[list[NetworkOnDisk], dict[str, NetworkOnDisk]] = ([], {})

    def named(self) -> Mapping[str, NetworkOnDisk]:
        """Return all files by the names of their embeddings; the same table as long as no file changes.

        Only pictures are opened for it, which hold the name; those without an embedding are left out.
        """
        files = [*self.files.entries(), *(self.pictures.entries() if self.pictures is not None else ())]
        with self._lock:
            listed, known = self._listed
        if listed == files:
            return known
        found: dict[str, NetworkOnDisk] = {}
        taken: set[str] = set()
        for file in files:
            name = self._name(file)
            if name is not None and name.casefold() not in taken:
                taken.add(name.casefold())
                found[name] = file
        with self._lock:
            self._listed = (files, found)
        return found

    def content(self, file: NetworkOnDisk) -> EmbeddingContent | None:
        """Return what a file holds, None when it is unusable, which is logged once."""
        with self._lock:
            known = self._read.get(file.path)
        if known is not None and known[0] == file:
            return known[1]
        try:
            content: EmbeddingContent | None = read_embedding(file)
        except NetworkUnavailable as error:
            logger.log(logging.DEBUG if _is_picture(file) else logging.WARNING, "%s", error)
            content = None
        with self._lock:
            self._read[file.path] = (file, content)
        return content

    def fitting(self, file: NetworkOnDisk, widths: tuple[int, ...]) -> EmbeddingContent | None:
        """Return what a file holds if it is for text encoders of those widths; another one is logged once."""
        content = self.content(file)
        if content is None or content.widths == widths:
            return content
        with self._lock:
            new = (file, widths) not in self._told
            self._told.add((file, widths))
        if new:
            text = "The embedding %s is left out: its vectors have %s numbers where this model's have %s."
            logger.info(text, content.name, _in_words(content.widths), _in_words(widths))
        return None

    def short_hash(self, file: NetworkOnDisk) -> str:
        """Return the hash as infotexts have it. Raises NetworkUnavailable."""
        catalog = self.pictures if _is_picture(file) and self.pictures is not None else self.files
        return catalog.short_hash(file)

    def _name(self, file: NetworkOnDisk) -> str | None:
        if not _is_picture(file):
            return file.name
        content = None if is_preview(file.path) else self.content(file)
        return content.name if content is not None else None


@dataclass(frozen=True, slots=True)
class _Entry:
    """An embedding as chunking knows it; its file is read when its name stands in a prompt."""

    name: str
    token_ids: tuple[int, ...]
    file: NetworkOnDisk
    store: EmbeddingStore
    widths: tuple[int, ...]

    @property
    def vector_count(self) -> int:
        content = self.store.fitting(self.file, self.widths)
        return content.vector_count if content is not None else 0


@dataclass(slots=True)
class ModelEmbeddings:
    """The embeddings for one model: those of the store that fit its text encoders, and those that networks bring.

    `widths`: numbers per vector of each text encoder.
    """

    store: EmbeddingStore | None
    widths: tuple[int, ...]
    _bundled: Mapping[str, Embedding] = field(default_factory=dict)
    _named: Mapping[str, NetworkOnDisk] = field(default_factory=dict)
    _token_ids: dict[str, tuple[int, ...]] = field(default_factory=dict)
    _index: EmbeddingIndex | None = None

    def bundle(self, embeddings: Iterable[Embedding]) -> bool:
        """Have exactly these embeddings beside the store's, and say whether that changes anything.

        As in A1111, one whose name the store has is left out, and so is one that does not fit.
        """
        brought = tuple(embeddings)
        own = {name.casefold() for name in self.store.named()} if brought and self.store is not None else set()
        wanted = {
            each.name: each
            for each in brought
            if tuple(vectors.shape[1] for vectors in each.vectors) == self.widths and each.name.casefold() not in own
        }
        if wanted.keys() == self._bundled.keys() and all(
            embedding is self._bundled[name] for name, embedding in wanted.items()
        ):
            return False
        self._bundled, self._index = wanted, None
        return True

    def index(self, tokenize: Tokenize) -> EmbeddingIndex:
        """Return what finds the embeddings' names in a prompt; all of a model's tokenizers read alike.

        The same object as long as there is nothing new.
        """
        named = self.store.named() if self.store is not None else {}
        known = self._index
        if known is None or named is not self._named:
            ids = {name: self._token_ids.get(name) or tuple(tokenize(name)) for name in (*named, *self._bundled)}
            known = EmbeddingIndex(self._entries(named, ids))
            self._token_ids, self._named, self._index = ids, named, known
        return known

    def get(self, name: str) -> Embedding | None:
        """Return the embedding of that name, None when there is none or it is unusable."""
        if name in self._bundled:
            return self._bundled[name]
        if self.store is None:
            return None
        named = self.store.named()
        wanted = name.casefold()
        found = named.get(name) or next((it for known, it in named.items() if known.casefold() == wanted), None)
        content = self.store.fitting(found, self.widths) if found is not None else None
        if found is None or content is None:
            return None
        try:
            return Embedding(content.name, content.vectors, self.store.short_hash(found))
        except NetworkUnavailable as error:
            logger.warning("%s", error)
            return None

    def _entries(
        self, named: Mapping[str, NetworkOnDisk], ids: Mapping[str, tuple[int, ...]]
    ) -> list[KnownEmbedding]:
        entries: list[KnownEmbedding] = []
        if self.store is not None:
            entries += [_Entry(name, ids[name], file, self.store, self.widths) for name, file in named.items()]
        brought = self._bundled.items()
        entries += [EmbeddingName(name, len(embedding.vectors[-1]), ids[name]) for name, embedding in brought]
        return entries


def _is_picture(file: NetworkOnDisk) -> bool:
    return file.path.suffix.lower() in PICTURE_ENDINGS


def _in_words(widths: tuple[int, ...]) -> str:
    return " and ".join(map(str, widths))

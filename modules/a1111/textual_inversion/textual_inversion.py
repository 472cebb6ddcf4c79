"""A1111's modules.textual_inversion.textual_inversion: Easel's embeddings as A1111's database."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from modules.a1111._host import HOST
from modules.a1111._ldm_present import NoModel, present_model
from modules.core.errors import EaselError, NetworkUnavailable
from modules.networks import embedding_store
from modules.networks.embedding_store import ModelEmbeddings
from modules.networks.embeddings import embedding_of
from modules.networks.reading import read_content

_ENCODERS = ("clip_l", "clip_g")
_ENDINGS = (".pt", ".bin", ".safetensors")
_SHORT = 12
_ALL_TOKENS = 265
"""The token that A1111's files name: the asterisk."""


class Embedding:
    """Vectors that stand for a name. `vec`: (vectors, width), or for SDXL a table of two such: "clip_l", "clip_g"."""

    def __init__(self, vec: Any, name: str, filename: str | None = None, step: int | None = None) -> None:
        self.vec, self.name, self.filename, self.step = vec, name, filename, step
        last = list(vec.values())[-1] if isinstance(vec, Mapping) else vec
        self.vectors, self.shape = int(last.shape[0]), int(last.shape[-1])
        self.cached_checksum: str | None = None
        self.sd_checkpoint = self.sd_checkpoint_name = self.optimizer_state_dict = None
        self.hash = self.shorthash = None
        self.loaded = True

    def save(self, filename: str) -> None:
        """Write a file that A1111 and Easel read."""
        torch.save(
            {
                "string_to_token": {"*": _ALL_TOKENS}, "string_to_param": {"*": self.vec}, "name": self.name,
                "step": self.step, "sd_checkpoint": self.sd_checkpoint, "sd_checkpoint_name": self.sd_checkpoint_name,
            },
            filename,
        )  # fmt: skip

    def checksum(self) -> str:
        """Return A1111's checksum of the vectors: four letters."""
        if self.cached_checksum is None:
            mixed = 0
            for number in _flat(self.vec) * 100:
                mixed = (mixed * 281 ^ int(number) * 997) & 0xFFFFFFFF
            self.cached_checksum = f"{mixed & 0xFFFF:04x}"
        return self.cached_checksum

    def set_hash(self, v: str) -> None:
        """Take the hash of the file."""
        self.hash, self.shorthash = v, v[:_SHORT]


def _flat(vec: Any) -> Tensor:
    tensors = list(vec.values()) if isinstance(vec, Mapping) else [vec]
    return torch.cat([tensor.detach().float().cpu().reshape(-1) for tensor in tensors])


def create_embedding_from_data(
    data: Any, name: str, filename: str = "unknown embedding file", filepath: str | None = None
) -> Embedding:
    """Return the embedding that a file's content makes. Raises NetworkUnavailable."""
    content = embedding_of(Path(filepath or filename), name, data)
    made = Embedding(_vec(content.vectors), name, filepath, content.training.step)
    made.sd_checkpoint = content.training.checkpoint_hash
    made.sd_checkpoint_name = content.training.checkpoint_name
    return made


def _vec(vectors: tuple[Tensor, ...]) -> Any:
    return vectors[0] if len(vectors) == 1 else dict(zip(_ENCODERS, vectors, strict=True))


def _vectors(vec: Any) -> tuple[Tensor, ...]:
    return tuple(vec.values()) if isinstance(vec, Mapping) else (vec,)


class DirWithTextualInversionEmbeddings:
    """A folder of embeddings."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.mtime: float | None = None


class EmbeddingDatabase:
    """The embeddings for the model that counts now: those in files, those that networks bring, and registered ones."""

    def __init__(self) -> None:
        self.registered: dict[str, Embedding] = {}
        self.embedding_dirs: dict[str, DirWithTextualInversionEmbeddings] = {}
        self.previously_displayed_embeddings: tuple[str, ...] = ()
        self.embeddings_used: list[str] = []
        self.image_embedding_hashes: dict[str, str] = {}
        self.dir_mtime: Any = None
        self._made: dict[str, tuple[Any, Embedding]] = {}

    @property
    def word_embeddings(self) -> dict[str, Embedding]:
        """Those that fit the model, by name; their files are read."""
        found = {name: self.named(name) for name in self._names()}
        return {name: embedding for name, embedding in found.items() if embedding is not None}

    @property
    def skipped_embeddings(self) -> dict[str, Any]:
        """Those in files that do not fit the model, by name."""
        store = HOST.connected.files.embeddings
        entries = {} if store is None else {entry.name: entry for entry in store.entries()}
        return {name: entry for name, entry in entries.items() if self.named(name) is None}

    @property
    def ids_lookup(self) -> dict[int, list[tuple[list[int], Embedding]]]:
        """The embeddings by the first token of their names, with all of these."""
        found: dict[int, list[tuple[list[int], Embedding]]] = {}
        for name, embedding in self.word_embeddings.items():
            ids = _tokens(name)
            found.setdefault(ids[0], []).append((ids, embedding))
        return {first: sorted(each, key=lambda pair: -len(pair[0])) for first, each in found.items()}

    @property
    def expected_shape(self) -> int:
        """Numbers per vector; -1 when no model is in memory."""
        try:
            return self.get_expected_shape()
        except NoModel:
            return -1

    def get_expected_shape(self) -> int:
        """Return the numbers per vector of the last text encoder."""
        return int(_known().widths[-1])

    def named(self, name: str) -> Embedding | None:
        """Return one by its name; None when there is none that fits."""
        content = _known().get(name)
        if content is None:
            return self.registered.get(name)
        known = self._made.get(name)
        if known is None or known[0] is not content.vectors[0]:
            made = Embedding(_vec(content.vectors), name)
            made.shorthash = content.short_hash or None
            known = self._made[name] = (content.vectors[0], made)
        return known[1]

    def register_embedding(self, embedding: Embedding, model: Any = None) -> Embedding:
        """Have an embedding known in prompts by its name."""
        return self.register_embedding_by_name(embedding, model, embedding.name)

    def register_embedding_by_name(self, embedding: Embedding | None, model: Any, name: str) -> Embedding | None:
        """Have an embedding known in prompts by a name; None: not any more, unless a file has it."""
        if embedding is None:
            self.registered.pop(name, None)
        else:
            self.registered[name] = embedding
        loaded = present_model()
        loaded.conditioner.embeddings.bundle(
            embedding_store.Embedding(own, _vectors(each.vec), each.shorthash or "")
            for own, each in self.registered.items()
        )
        loaded.conditioner.forget()
        return embedding

    def add_embedding_dir(self, path: str) -> None:
        """Have the embeddings of one more folder known, once `load_textual_inversion_embeddings` is called."""
        self.embedding_dirs[path] = DirWithTextualInversionEmbeddings(path)

    def clear_embedding_dirs(self) -> None:
        """Forget the folders that were added."""
        self.embedding_dirs.clear()

    def load_textual_inversion_embeddings(self, force_reload: bool = False) -> None:
        """Look at all folders again."""
        store = HOST.connected.files.embeddings
        if store is not None:
            store.refresh()
        for folder in self.embedding_dirs:
            self.load_from_dir(DirWithTextualInversionEmbeddings(folder))

    def load_from_dir(self, embdir: DirWithTextualInversionEmbeddings) -> None:
        """Register the embeddings of a folder; what cannot be read is left out."""
        for path in sorted(Path(embdir.path).rglob("*")):
            if path.suffix.lower() in _ENDINGS:
                self.load_from_file(str(path), path.name)

    def load_from_file(self, path: str, filename: str) -> None:
        """Register the embedding of a file; one that cannot be read is left out."""
        try:
            name = Path(filename).stem
            self.register_embedding(create_embedding_from_data(read_content(Path(path)), name, filename, path))
        except NetworkUnavailable:
            return

    def find_embedding_at_position(self, tokens: list[int], offset: int) -> tuple[Embedding | None, int | None]:
        """Return the embedding whose name begins at a place among tokens, and how many of them it is."""
        for ids, embedding in self.ids_lookup.get(tokens[offset], ()):
            if list(tokens[offset : offset + len(ids)]) == ids:
                return embedding, len(ids)
        return None, None

    def _names(self) -> list[str]:
        try:
            loaded = present_model()
        except EaselError:
            return []
        store = loaded.conditioner.embeddings.store
        brought = [bundled.name for bundled, _ in loaded.bundled]
        return list(dict.fromkeys([*(store.named() if store is not None else ()), *brought, *self.registered]))


def _known() -> ModelEmbeddings:
    return present_model().conditioner.embeddings


def _tokens(name: str) -> list[int]:
    return list(present_model().conditioner.readers[0].vocabulary.tokenize(name))


def list_textual_inversion_templates() -> dict[str, Any]:
    """Return no templates: Easel does not train embeddings."""
    return {}

"""Model files of every kind in one form: what the library page shows, sorts, searches and inserts."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from modules.library.catalog import CheckpointCatalog, CheckpointEntry
from modules.library.files import ModelFiles
from modules.library.hashing import HashKind
from modules.library.headers import HeaderFacts
from modules.library.model_kinds import CHECKPOINT, EMBEDDING, HYPERNETWORK, LORA, VAE
from modules.library.network_files import NetworkFile, NetworkFolder
from modules.library.vae_files import VaeCatalog

KINDS = (EMBEDDING, HYPERNETWORK, CHECKPOINT, LORA, VAE)
"""In the order of A1111's tabs."""
HIDDEN_NAME = "another file of this name comes first, so no prompt can name this one"
UNWRITABLE_NAME = "its name holds a character that a prompt's tag cannot hold"
ENDING_TAGS = ":>"
"""No name within a tag such as <lora:name:1> may hold these."""


@dataclass(frozen=True, slots=True)
class Model:
    """One model file, or one folder in diffusers' layout.

    `id` is made from the path and names the model to the page, which never sees a path of this machine. `name` is
    shown; `stem` is what its preview and notes are called; `relative` is the path below its folder and `folder` what of
    that comes before the last slash. `call` is how prompts, selectors and options name it, "" when they cannot.
    `size` in bytes, `changed` in nanoseconds, `created` in seconds since 1970.
    """

    id: str
    kind: str
    name: str
    path: Path
    stem: str
    relative: str
    folder: str
    call: str
    reason: str = ""
    size: int = 0
    changed: int = 0
    created: float = 0.0
    file: NetworkFile | None = field(default=None, compare=False, repr=False)
    entry: CheckpointEntry | None = field(default=None, compare=False, repr=False)

    @property
    def known_facts(self) -> HeaderFacts | None:
        """What is known of the header already; None where nothing is, or there is nothing to know."""
        return self.file.known_facts if self.file is not None else None

    @property
    def problem(self) -> str:
        """Why the model cannot be used, "" when it can as far as is known."""
        facts = self.known_facts
        return self.reason or (facts.problem if facts is not None else "")


@dataclass(frozen=True, slots=True)
class Source:
    """Where the models of a kind come from.

    `state` equals its former value while `models` returns the same. `refresh` looks at the disk again; `look` only
    where that shows that something came or went, and says whether it did; `hash_of` returns the known SHA-256;
    `hashed` what of a model is to be hashed, None for nothing; `save` keeps what was read of the files at these paths.
    """

    models: Callable[[], Sequence[Model]]
    state: Callable[[], object]
    refresh: Callable[[], object]
    look: Callable[[], bool]
    problems: Callable[[], Sequence[str]]
    hash_of: Callable[[Model], str | None]
    hashed: Callable[[Model], tuple[Path, HashKind] | None]
    save: Callable[[Collection[str]], None] = lambda present: None


def sources_of(files: ModelFiles) -> Mapping[str, Source]:
    """Return the source of every kind that there is a catalog for."""
    networks = {EMBEDDING: files.embeddings, HYPERNETWORK: files.hypernetworks, LORA: files.loras}
    found = {kind: _network_source(kind, folder) for kind, folder in networks.items() if folder is not None}
    found[CHECKPOINT] = _checkpoint_source(files.checkpoints)
    if files.vaes is not None:
        found[VAE] = _vae_source(files.vaes)
    return {kind: found[kind] for kind in KINDS if kind in found}


def model_id(path: Path) -> str:
    """Return the name of a model's file for the page: always the same for a path, and no path can be made of it."""
    return hashlib.blake2s(os.fsencode(path), digest_size=10).hexdigest()


def shown(text: str) -> str:
    """Return a file's name as it can be sent and shown, also one that is no valid text."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return os.fsencode(text).decode("utf-8", "replace")
    return text


def _network_source(kind: str, folder: NetworkFolder) -> Source:
    def hashed(model: Model) -> tuple[Path, HashKind] | None:
        facts = model.known_facts
        written_down = folder.kind_of_hash(model) == "tensors" and facts is not None and bool(facts.sha256)
        return None if written_down else (model.path, folder.kind_of_hash(model))

    return Source(
        models=lambda: _network_models(kind, folder),
        state=lambda: folder.revision,
        refresh=folder.refresh,
        look=folder.refresh_if_stale,
        problems=folder.problems,
        hash_of=lambda model: folder.known_hash(model.file) if model.file is not None else None,
        hashed=hashed,
        save=lambda present: folder.headers.save(set(present)),
    )


def _network_models(kind: str, folder: NetworkFolder) -> list[Model]:
    return [_network_model(kind, file, folder.name_of(file)) for file in folder.entries()]


def _network_model(kind: str, file: NetworkFile, name: str) -> Model:
    if kind == EMBEDDING and "/" in name:
        # Embeddings are words of the prompt: there is no way to write a folder.
        name = ""
    reason = "" if name else HIDDEN_NAME
    if kind != EMBEDDING and any(character in name for character in ENDING_TAGS):
        name, reason = "", UNWRITABLE_NAME
    return Model(
        id=model_id(file.path),
        kind=kind,
        name=shown(file.name),
        path=file.path,
        stem=file.name,
        relative=shown(file.relative),
        folder=shown(file.relative.rpartition("/")[0]),
        call=shown(name),
        reason=reason,
        size=file.size,
        changed=file.changed,
        created=file.created,
        file=file,
    )


def _checkpoint_source(catalog: CheckpointCatalog) -> Source:
    def hashed(model: Model) -> tuple[Path, HashKind] | None:
        return (model.entry.weights, "file") if model.entry is not None and model.entry.usable else None

    return Source(
        models=lambda: [_checkpoint_model(entry) for entry in catalog.entries()],
        state=catalog.entries,
        refresh=catalog.refresh,
        look=lambda: False,
        problems=lambda: (),
        hash_of=lambda model: model.entry.sha256 if model.entry is not None else None,
        hashed=hashed,
    )


def _checkpoint_model(entry: CheckpointEntry) -> Model:
    is_folder = entry.path.is_dir()
    size, changed, created = _times(entry.path)
    return Model(
        id=model_id(entry.path),
        kind=CHECKPOINT,
        name=shown(entry.model_name),
        path=entry.path,
        stem=entry.path.name if is_folder else entry.path.stem,
        relative=shown(entry.name),
        folder=shown(entry.name.rpartition("/")[0]),
        call=entry.title if entry.usable else "",
        reason="" if entry.usable else entry.reason,
        size=0 if is_folder else size,
        changed=changed,
        created=created,
        entry=entry,
    )


def _vae_source(catalog: VaeCatalog) -> Source:
    return Source(
        models=lambda: [_vae_model(each.name, each.path, catalog) for each in catalog.entries()],
        state=catalog.entries,
        refresh=catalog.refresh,
        look=lambda: False,
        problems=lambda: (),
        hash_of=lambda model: catalog.hashes.known(model.path),
        hashed=lambda model: (model.path, "file"),
    )


def _vae_model(name: str, path: Path, catalog: VaeCatalog) -> Model:
    relative = _below(path, (*catalog.folders, *catalog.checkpoint_folders))
    size, changed, created = _times(path)
    return Model(
        id=model_id(path),
        kind=VAE,
        name=shown(path.stem),
        path=path,
        stem=path.stem,
        relative=shown(relative),
        folder=shown(relative.rpartition("/")[0]),
        call=name,
        size=size,
        changed=changed,
        created=created,
    )


def _below(path: Path, folders: Iterable[Path]) -> str:
    """Return the path below the first of the folders that holds it."""
    holding = (path.relative_to(folder).as_posix() for folder in folders if path.is_relative_to(folder))
    return next(holding, path.name)


def _times(path: Path) -> tuple[int, int, float]:
    """Return size in bytes, time of change in nanoseconds, time of making in seconds; zeros for what is gone."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0, 0.0
    return status.st_size, status.st_mtime_ns, float(getattr(status, "st_birthtime", status.st_ctime))

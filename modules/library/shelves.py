"""The library: the models of every kind, searched, sorted and handed out a page at a time."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from modules.library.cards import Model, Source, sources_of
from modules.library.files import ModelFiles
from modules.library.model_kinds import EMBEDDING, HYPERNETWORK
from modules.library.model_notes import ModelNotes, read_notes, write_notes
from modules.library.model_pictures import Neighbours, PictureNames, Thumbnails, remove_previews, save_preview
from modules.library.scanning import natural_key

SortField = Literal["path", "name", "created", "changed"]
SORT_FIELDS: tuple[SortField, ...] = get_args(SortField)
MOST_PER_PAGE = 500
_NO_NOTES = ModelNotes()
_LONGEST_DESCRIPTION = 2000
_HASH_BEGINNING = re.compile(r"[0-9a-f]{4,64}")

_SORT_KEYS: Mapping[str, Callable[[Model], Any]] = {
    "path": lambda model: natural_key(model.relative),
    "name": lambda model: (natural_key(model.name), model.relative),
    "created": lambda model: (model.created, model.relative),
    "changed": lambda model: (model.changed, model.relative),
}


@dataclass(frozen=True, slots=True)
class Query:
    """What a page of models is wanted of: all words of `text` are to be found; `folder` "" stands for all folders."""

    text: str = ""
    folder: str = ""
    sort: SortField = "path"
    descending: bool = False
    offset: int = 0
    limit: int = 100


@dataclass(frozen=True, slots=True)
class Page:
    """A part of what a query finds.

    `total`: how many it finds; `all`: how many models there are; `revision` changes when another list is handed out
    than before; `folders`: every folder and how many models lie in and below it; `unread`: files whose description and
    alias are not known yet, so that a search may miss them.
    """

    models: Sequence[Model]
    total: int
    all: int
    revision: int
    folders: Mapping[str, int]
    unread: int
    problems: Sequence[str]


@dataclass(frozen=True, slots=True)
class _Text:
    """What a model is found by, and whether its header had been read by then."""

    text: str
    complete: bool


@dataclass(slots=True)
class _Shelf:
    """The models of one kind as they were last seen, and what was made of them since."""

    models: Sequence[Model] = ()
    state: object = None
    revision: int = 0
    by_id: Mapping[str, Model] = field(default_factory=dict)
    folders: Mapping[str, int] = field(default_factory=dict)
    sorted: dict[str, Sequence[Model]] = field(default_factory=dict)
    texts: dict[str, _Text] = field(default_factory=dict)


class ModelLibrary:
    """All models, their notes and previews. Safe to use from several threads; knows models by their ids only."""

    def __init__(self, files: ModelFiles, cache_folder: Path) -> None:
        """Take the catalogs, and the folder in which small versions of the previews are kept."""
        self.sources: Mapping[str, Source] = sources_of(files)
        self.thumbnails = Thumbnails(cache_folder / "thumbnails")
        self._neighbours = Neighbours()
        self._lock = threading.RLock()
        self._shelves = {kind: _Shelf() for kind in self.sources}
        self._notes: dict[Path, tuple[int, ModelNotes]] = {}

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds that there are, in the order of their tabs."""
        return tuple(self.sources)

    def page(self, kind: str, query: Query) -> Page:
        """Return a page of the models of a kind."""
        if self.sources[kind].look():
            self._forget_texts(kind)
        shelf = self._shelf(kind)
        found = self._found(shelf, query)
        return Page(
            models=found[query.offset : query.offset + query.limit],
            total=len(found),
            all=len(shelf.models),
            revision=shelf.revision,
            folders=shelf.folders,
            unread=self.unread(kind),
            problems=self.sources[kind].problems(),
        )

    def models(self, kind: str) -> Sequence[Model]:
        """Return all models of a kind."""
        return self._shelf(kind).models

    def model(self, kind: str, wanted: str) -> Model | None:
        """Return the model of that id, None when there is none (any more)."""
        if kind not in self.sources:
            return None
        found = self._shelf(kind).by_id.get(wanted)
        return found if found is not None and found.path.exists() else None

    def refresh(self, kind: str) -> None:
        """Look at the folders of a kind again."""
        self.sources[kind].refresh()
        self._forget_texts(kind)

    def notes(self, model: Model) -> ModelNotes:
        """Return what is noted of a model; its file is only read when it is new or has changed."""
        return self._notes_among(model, self._neighbours.of(str(model.path.parent)))

    def description(self, model: Model) -> str:
        """Return what is noted as the description, else what a text file of the model's name says, as in A1111."""
        neighbours = self._neighbours.of(str(model.path.parent))
        return self.notes(model).description or _description_among(model, neighbours)

    def write_notes(self, model: Model, changes: Mapping[str, object]) -> ModelNotes:
        """Change what is noted of a model. Raises InvalidRequest, StorageFailed."""
        with self._lock:
            notes = write_notes(model.path, changes)
            self._notes.pop(model.path, None)
            self._shelves[model.kind].texts.pop(model.id, None)
        self._neighbours.forget(str(model.path.parent))
        return notes

    def preview(self, model: Model) -> Path | None:
        """Return the picture beside a model."""
        return _picture_names(model).find(self._neighbours)

    def set_preview(self, model: Model, content: bytes, text: str | None = None) -> None:
        """Make a picture the model's preview. Raises InvalidRequest, StorageFailed."""
        save_preview(_picture_names(model), content, text)
        self._neighbours.forget(str(model.path.parent))

    def remove_preview(self, model: Model) -> None:
        """Delete the pictures beside a model. Raises StorageFailed."""
        remove_previews(_picture_names(model), self._neighbours)

    def hash_of(self, model: Model) -> str | None:
        """Return a model's SHA-256 when it is known."""
        return self.sources[model.kind].hash_of(model)

    def unread(self, kind: str) -> int:
        """Return how many files of a kind nobody has read the header of."""
        return sum(model.file is not None and model.known_facts is None for model in self._shelf(kind).models)

    def is_read(self, model: Model) -> bool:
        """Say whether everything is at hand that searching a model needs."""
        known = self._shelves[model.kind].texts.get(model.id)
        return known is not None and known.complete

    def read(self, model: Model) -> None:
        """Read what searching a model needs."""
        if model.file is not None and model.known_facts is None:
            _ = model.file.facts
        text = self._text(model, self._neighbours.of(str(model.path.parent)))
        self._shelves[model.kind].texts[model.id] = text

    def save(self, kind: str) -> None:
        """Keep what was read of the files of a kind for the next start."""
        self.sources[kind].save([str(model.path) for model in self.models(kind)])

    def _shelf(self, kind: str) -> _Shelf:
        state = self.sources[kind].state()
        with self._lock:
            shelf = self._shelves[kind]
            if not shelf.revision or state != shelf.state:
                models = self.sources[kind].models()
                by_id = {model.id: model for model in models}
                shelf = _Shelf(models, state, shelf.revision + 1, by_id, _folders(models))
                self._shelves[kind] = shelf
            return shelf

    def _found(self, shelf: _Shelf, query: Query) -> Sequence[Model]:
        with self._lock:
            if query.sort not in shelf.sorted:
                shelf.sorted[query.sort] = sorted(shelf.models, key=_SORT_KEYS[query.sort])
            found = shelf.sorted[query.sort]
        if query.folder:
            below = f"{query.folder}/"
            found = [model for model in found if model.folder == query.folder or model.folder.startswith(below)]
        words = query.text.casefold().split()
        if words:
            self._find_texts(shelf, found)
            texts = shelf.texts
            found = [model for model in found if self._matches(model, texts[model.id].text, words)]
        return found[::-1] if query.descending else found

    def _find_texts(self, shelf: _Shelf, models: Sequence[Model]) -> None:
        """Have the text of each of the models ready, looking at each folder once only."""
        neighbours: dict[str, Mapping[str, str]] = {}
        for model in models:
            known = shelf.texts.get(model.id)
            if known is not None and (known.complete or model.known_facts is None):
                continue
            folder = str(model.path.parent)
            if folder not in neighbours:
                neighbours[folder] = self._neighbours.of(folder)
            shelf.texts[model.id] = self._text(model, neighbours[folder])

    def _matches(self, model: Model, text: str, words: Sequence[str]) -> bool:
        return all(word in text or self._begins_hash(model, word) for word in words)

    def _begins_hash(self, model: Model, word: str) -> bool:
        """Say whether a word is the beginning of a model's hash; hashes become known all the time."""
        return bool(_HASH_BEGINNING.fullmatch(word)) and (self.hash_of(model) or "").startswith(word)

    def _text(self, model: Model, neighbours: Mapping[str, str]) -> _Text:
        facts, notes = model.known_facts, self._notes_among(model, neighbours)
        description = notes.description or _description_among(model, neighbours)
        names = (model.relative, model.call, facts.alias if facts else "", facts.sd_version if facts else "")
        words = (description, notes.activation_text, notes.notes, notes.sd_version)
        return _Text("\n".join((*names, *words)).casefold(), facts is not None or model.file is None)

    def _notes_among(self, model: Model, neighbours: Mapping[str, str]) -> ModelNotes:
        """Return the notes of a model in whose folder are files of these names."""
        name = neighbours.get(f"{model.stem}.json".lower())
        if name is None:
            return _NO_NOTES
        try:
            changed = (model.path.parent / name).stat().st_mtime_ns
        except OSError:
            return _NO_NOTES
        with self._lock:
            known = self._notes.get(model.path)
        if known is not None and known[0] == changed:
            return known[1]
        notes = read_notes(model.path)
        with self._lock:
            self._notes[model.path] = (changed, notes)
        return notes

    def _forget_texts(self, kind: str) -> None:
        with self._lock:
            self._shelves[kind].texts.clear()


def _picture_names(model: Model) -> PictureNames:
    # A picture of an embedding's name may be the embedding, so A1111 marks its previews.
    return PictureNames(model.path.parent, model.stem, model.kind in (EMBEDDING, HYPERNETWORK))


def _description_among(model: Model, neighbours: Mapping[str, str]) -> str:
    """Return what a text file of the model's name says."""
    name = neighbours.get(f"{model.stem}.txt".lower())
    try:
        text = (model.path.parent / name).read_text(encoding="utf-8", errors="replace") if name else ""
    except OSError:
        return ""
    return text[:_LONGEST_DESCRIPTION].strip()


def _folders(models: Sequence[Model]) -> dict[str, int]:
    """Return every folder that holds models, in or below it, with their number, in the order of a tree."""
    direct = Counter(model.folder for model in models if model.folder)
    counts: Counter[str] = Counter()
    for folder, count in direct.items():
        parts = folder.split("/")
        for depth in range(1, len(parts) + 1):
            counts["/".join(parts[:depth])] += count
    in_order = sorted(counts, key=lambda folder: [natural_key(part) for part in folder.split("/")])
    return {folder: counts[folder] for folder in in_order}

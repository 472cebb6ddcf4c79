"""LoRA files and embeddings on disk: found by file name or alias, hashed on demand; only headers are ever parsed."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from modules.core.errors import NetworkUnavailable
from modules.library.hashing import NETWORK_SHORT_LENGTH, HashCache, HashKind
from modules.library.reading import UnreadableFile, read_metadata
from modules.library.scanning import natural_key, walk_files

LORA_ENDINGS = (".safetensors", ".pt", ".ckpt")
EMBEDDING_ENDINGS = (".safetensors", ".pt", ".bin")
_SAFE = ".safetensors"
_ALIAS_KEY = "ss_output_name"
"""Where kohya's trainers keep the name that the trained network was given."""
_HASH_KEY = "sshs_model_hash"
"""Where they keep the tensors' hash; it outlives a change of precision, and A1111 trusts it."""
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class NetworkFile:
    """One file as it was when it was looked at.

    `name` is the file name without its ending; `alias` what the file calls itself, else the name; `relative` the path
    below its folder, with forward slashes and ending; `size` in bytes; `changed` in nanoseconds; `metadata` is what
    the header says, as texts.
    """

    name: str
    alias: str
    path: Path
    relative: str
    size: int
    changed: int
    metadata: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)


class FileOnDisk(Protocol):
    """Anything that lies somewhere."""

    @property
    def path(self) -> Path:
        """The file's place."""


@dataclass(frozen=True, slots=True)
class _Place:
    path: Path
    relative: str

    @property
    def keys(self) -> tuple[str, str]:
        """The names under which the file is found: without folder, and with it; both without ending."""
        stem = self.relative.removesuffix(self.path.suffix).casefold()
        return stem.rsplit("/", 1)[-1], stem


@dataclass(frozen=True, slots=True)
class _Listing:
    places: tuple[_Place, ...]
    by_key: Mapping[str, _Place]


class NetworkFolder:
    """Knows the network files below some folders. Safe to use from several threads.

    The folders are listed once and again by `refresh`; a file's header is parsed when first needed and after changes.
    """

    def __init__(
        self, folders: Sequence[Path], endings: Sequence[str], hashes: HashCache, *, hash_kind: HashKind = "file"
    ) -> None:
        """Take the folders, earlier ones win where names are equal, and the endings, in lower case with their dots."""
        self.folders = tuple(folders)
        self.endings = tuple(endings)
        self.hashes = hashes
        self.hash_kind = hash_kind
        self._lock = threading.Lock()
        self._listing: _Listing | None = None
        self._known: dict[Path, NetworkFile] = {}

    def entries(self) -> list[NetworkFile]:
        """Return all files by name, numbers in order; one per path below the folders."""
        found = [file for place in self._listed().places if (file := self._looked_at(place))]
        return sorted(found, key=lambda file: (natural_key(file.name), natural_key(file.relative)))

    def refresh(self) -> list[NetworkFile]:
        """Look at the disk again and return all files."""
        listing = self._scan()
        paths = {place.path for place in listing.places}
        with self._lock:
            self._listing = listing
            self._known = {path: file for path, file in self._known.items() if path in paths}
        return self.entries()

    def find(self, name: str) -> NetworkFile | None:
        """Return the file of that name, in any case, with or without its folder; else the one of that alias.

        As in A1111, an alias that several files share finds none of them.
        """
        wanted = name.strip().casefold()
        place = self._listed().by_key.get(wanted)
        file = self._looked_at(place) if place else None
        if file is not None or not wanted:
            return file
        called = [file for file in self.entries() if file.alias.casefold() == wanted]
        if len(called) > 1:
            logger.info("%r could be %s: use the file name.", name, " or ".join(file.relative for file in called))
        return called[0] if len(called) == 1 else None

    def short_hash(self, file: FileOnDisk) -> str:
        """Return the hash as infotexts have it, computing it when it is not known. Raises NetworkUnavailable."""
        kind = self.hash_kind if file.path.suffix.lower() == _SAFE else "file"
        with self._lock:
            known = self._known.get(file.path)
        stored = known.metadata.get(_HASH_KEY, "") if known and kind == "tensors" else ""
        if _SHA256.fullmatch(stored):
            return stored.lower()[:NETWORK_SHORT_LENGTH]
        try:
            return self.hashes.sha256(file.path, kind)[:NETWORK_SHORT_LENGTH]
        except OSError as error:
            reason = error.strerror or error
            raise NetworkUnavailable(f"The network {file.path.name} cannot be read: {reason}.") from error

    def _listed(self) -> _Listing:
        with self._lock:
            if self._listing is None:
                self._listing = self._scan()
            return self._listing

    def _scan(self) -> _Listing:
        found: dict[Path, _Place] = {}
        for folder in self.folders:
            for path in sorted(walk_files(folder, self.endings), key=lambda path: natural_key(path.as_posix())):
                found.setdefault(path.resolve(), _Place(path, path.relative_to(folder).as_posix()))
        by_key: dict[str, _Place] = {}
        # Bare names first: they are what prompts say.
        for number in (0, 1):
            for place in found.values():
                by_key.setdefault(place.keys[number], place)
        return _Listing(tuple(found.values()), by_key)

    def _looked_at(self, place: _Place) -> NetworkFile | None:
        """Return the file at `place`, parsing its header if it changed; None when it is gone."""
        try:
            status = place.path.stat()
        except OSError:
            return None
        with self._lock:
            known = self._known.get(place.path)
        if known and (known.size, known.changed) == (status.st_size, status.st_mtime_ns):
            return known
        metadata = _metadata(place.path)
        name = place.path.stem
        alias = metadata.get(_ALIAS_KEY, "").strip() or name
        file = NetworkFile(name, alias, place.path, place.relative, status.st_size, status.st_mtime_ns, metadata)
        with self._lock:
            self._known[place.path] = file
        return file


def _metadata(path: Path) -> Mapping[str, str]:
    """Return what a safetensors file says of itself; a broken file says nothing until somebody wants to use it."""
    if path.suffix.lower() != _SAFE:
        return {}
    try:
        return read_metadata(path)
    except UnreadableFile as error:
        logger.info("%s cannot be used: %s", path.name, error)
        return {}

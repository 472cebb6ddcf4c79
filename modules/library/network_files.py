"""LoRA files and embeddings on disk: found by file name, alias or hash; headers are read only when they are needed."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, Self

from modules.core.errors import NetworkUnavailable
from modules.library.hashing import NETWORK_SHORT_LENGTH, HashCache, HashKind
from modules.library.headers import HeaderCache, HeaderFacts
from modules.library.reading import UnreadableFile, read_metadata
from modules.library.scanning import FolderScan, FoundFile, natural_key, scan_files

LORA_ENDINGS = (".safetensors", ".pt", ".ckpt")
EMBEDDING_ENDINGS = (".safetensors", ".pt", ".bin")
EMBEDDING_PICTURE_ENDINGS = (".png", ".webp", ".jxl", ".avif")
HYPERNETWORK_ENDINGS = (".pt",)
_SAFE = ".safetensors"
_QUICK_SECONDS = 0.005
_SHARE_OF_TIME = 0.05
"""A look at all files that takes longer than `_QUICK_SECONDS` is repeated so seldom that it takes at most this share
of the time: prompts are read at every key."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class NetworkFile:
    """One file as it was when it was looked at.

    `name` is the file name without its ending; `relative` the path below its folder, with forward slashes and ending;
    `size` in bytes; `changed` in nanoseconds; `created` in seconds since 1970. What the header says is read when asked.
    """

    name: str
    path: Path
    relative: str
    size: int
    changed: int
    created: float = field(default=0.0, compare=False)
    headers: HeaderCache = field(default_factory=HeaderCache, compare=False, repr=False)

    @property
    def facts(self) -> HeaderFacts:
        """What lists need of the header; it is read only once."""
        return self.headers.facts(self.path, (self.size, self.changed))

    @property
    def known_facts(self) -> HeaderFacts | None:
        """The same without ever reading the header: None while nobody has."""
        return self.headers.known(str(self.path), (self.size, self.changed))

    @property
    def alias(self) -> str:
        """What the file calls itself, else the name."""
        return self.facts.alias or self.name

    @property
    def metadata(self) -> Mapping[str, str]:
        """What the header says, as texts, read anew each time; a broken file says nothing."""
        if self.path.suffix.lower() != _SAFE:
            return {}
        try:
            return read_metadata(self.path)
        except UnreadableFile as error:
            logger.info("%s cannot be used: %s", self.path.name, error)
            return {}


class FileOnDisk(Protocol):
    """Anything that lies somewhere."""

    @property
    def path(self) -> Path:
        """The file's place."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a file lies: `stem` is the path below its folder without the ending, `name` the last part of that."""

    path: Path
    relative: str
    stem: str
    name: str
    folder: int

    @classmethod
    def of(cls, file: FoundFile, folder: int) -> Self:
        """Return the place of a file below the folder of that number."""
        stem = _without_ending(file.relative)
        return cls(file.path, file.relative, stem, stem.rpartition("/")[2], folder)


@dataclass(frozen=True, slots=True)
class _Listing:
    places: tuple[_Place, ...]
    by_key: Mapping[str, _Place]
    scans: tuple[FolderScan, ...]


@dataclass(frozen=True, slots=True)
class _Present:
    """The files of a listing that are there: looked at until `good_until`, on the monotonic clock."""

    files: tuple[NetworkFile, ...] = ()
    good_until: float = 0.0
    revision: int = 0


class NetworkFolder:
    """Knows the network files below some folders. Safe to use from several threads.

    The folders are listed once and again by `refresh`; a file that changes or goes in between is noticed.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        endings: Sequence[str],
        hashes: HashCache,
        *,
        hash_kind: HashKind = "file",
        headers: HeaderCache | None = None,
    ) -> None:
        """Take the folders, earlier ones win where names are equal, and the endings, in lower case with their dots."""
        self.folders = tuple(folders)
        self.endings = tuple(endings)
        self.hashes = hashes
        self.hash_kind = hash_kind
        self.headers = headers or HeaderCache()
        self._lock = threading.RLock()
        self._listing: _Listing | None = None
        self._known: dict[Path, NetworkFile] = {}
        self._present = _Present()
        self._aliases: tuple[int, Mapping[str, Sequence[NetworkFile]]] = (-1, {})

    def entries(self) -> list[NetworkFile]:
        """Return all files by name, numbers in order; one per path below the folders."""
        return list(self._look().files)

    @property
    def revision(self) -> int:
        """A number that grows whenever `entries` would return something else."""
        return self._look().revision

    def refresh(self) -> list[NetworkFile]:
        """Look at the disk again and return all files."""
        self.headers.forget_problems()
        listing = self._scan()
        paths = {place.path for place in listing.places}
        with self._lock:
            self._listing = listing
            self._known = {path: file for path, file in self._known.items() if path in paths}
        return list(self._look(again=True).files)

    def refresh_if_stale(self) -> bool:
        """Look at the disk again if a file or folder came or went; says whether it did."""
        stale = any(scan.is_stale() for scan in self._listed().scans)
        if stale:
            self.refresh()
        return stale

    def problems(self) -> list[str]:
        """Return what of the folders cannot be listed, in words."""
        return [problem for scan in self._listed().scans for problem in scan.unreadable]

    def find(self, name: str) -> NetworkFile | None:
        """Return the file of that name, in any case, with or without its folder; else the one of that alias.

        As in A1111, an alias that several files share finds none of them.
        """
        wanted = name.strip().casefold()
        place = self._listed().by_key.get(wanted)
        file = self._looked_at(place) if place else None
        if file is not None or not wanted:
            return file
        called = self._called(wanted)
        if len(called) > 1:
            logger.info("%r could be %s: use the file name.", name, " or ".join(file.relative for file in called))
        return called[0] if len(called) == 1 else None

    def name_of(self, file: NetworkFile) -> str:
        """Return the shortest name by which `find` finds this file, "" when another file stands before it."""
        by_key = self._listed().by_key
        stem = _without_ending(file.relative)
        for name in (stem.rsplit("/", 1)[-1], stem):
            place = by_key.get(name.casefold())
            if place is not None and place.path == file.path:
                return name
        return ""

    def with_hash(self, short: str) -> NetworkFile | None:
        """Return the first file whose hash is known and begins like this; nothing is read or computed for it."""
        wanted = short.strip().lower()
        if not wanted:
            return None
        return next((file for file in self.entries() if (self.known_hash(file) or "").startswith(wanted)), None)

    def known_hash(self, file: NetworkFile) -> str | None:
        """Return the SHA-256 that counts for a file, None while it is not known."""
        kind = self.kind_of_hash(file)
        facts = file.known_facts if kind == "tensors" else None
        if facts is not None and facts.sha256:
            return facts.sha256
        return self.hashes.kept(str(file.path), (file.size, file.changed), kind)

    def kind_of_hash(self, file: FileOnDisk) -> HashKind:
        """Say what of a file is hashed; only safetensors files have a header to leave out."""
        return self.hash_kind if file.path.suffix.lower() == _SAFE else "file"

    def short_hash(self, file: FileOnDisk) -> str:
        """Return the hash as infotexts have it, computing it when it is not known. Raises NetworkUnavailable."""
        kind = self.kind_of_hash(file)
        try:
            if kind == "tensors":
                status = file.path.stat()
                stored = self.headers.facts(file.path, (status.st_size, status.st_mtime_ns)).sha256
                if stored:
                    return stored[:NETWORK_SHORT_LENGTH]
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
        found: dict[str, _Place] = {}
        scans = tuple(scan_files(folder, self.endings) for folder in self.folders)
        for number, scan in enumerate(scans):
            for file in scan.files:
                found.setdefault(file.real, _Place.of(file, number))
        places = sorted(found.values(), key=lambda each: (natural_key(each.name), each.relative.casefold()))
        by_key: dict[str, _Place] = {}
        by_folder = sorted(places, key=lambda each: each.folder)
        # Bare names first: they are what prompts say.
        for key, place in [*((each.name, each) for each in by_folder), *((each.stem, each) for each in by_folder)]:
            by_key.setdefault(key.casefold(), place)
        return _Listing(tuple(places), by_key, scans)

    def _look(self, *, again: bool = False) -> _Present:
        """Return the files that are there, looking at all of them unless that was done just now."""
        with self._lock:
            begun = time.monotonic()
            if not again and begun < self._present.good_until:
                return self._present
            files = tuple(file for place in self._listed().places if (file := self._looked_at(place)) is not None)
            # Files that did not change are the same objects, so this compares fast.
            changed = files != self._present.files
            took = time.monotonic() - begun
            good_for = took / _SHARE_OF_TIME if took > _QUICK_SECONDS else 0.0
            self._present = _Present(files, begun + good_for, self._present.revision + changed)
            return self._present

    def _called(self, alias: str) -> Sequence[NetworkFile]:
        """Return the files of an alias; before there is none, all of them are looked at."""
        found = self._by_alias(self._look()).get(alias, ())
        if len(found) == 1 and self._is_as_it_was(found[0]):
            return found
        return self._by_alias(self._look(again=True)).get(alias, ())

    def _is_as_it_was(self, file: NetworkFile) -> bool:
        place = self._listed().by_key.get(_without_ending(file.relative).casefold())
        return place is not None and self._looked_at(place) is file

    def _by_alias(self, present: _Present) -> Mapping[str, Sequence[NetworkFile]]:
        with self._lock:
            revision, known = self._aliases
        if revision == present.revision:
            return known
        by_alias: dict[str, list[NetworkFile]] = {}
        for file in present.files:
            by_alias.setdefault(file.alias.casefold(), []).append(file)
        with self._lock:
            self._aliases = (present.revision, by_alias)
        return by_alias

    def _looked_at(self, place: _Place) -> NetworkFile | None:
        """Return the file at `place`; None when it is gone, and then the list of those present is no longer good."""
        try:
            status = place.path.stat()
        except OSError:
            with self._lock:
                self._present = _Present(self._present.files, 0.0, self._present.revision)
            return None
        with self._lock:
            known = self._known.get(place.path)
            if known and (known.size, known.changed) == (status.st_size, status.st_mtime_ns):
                return known
            created = getattr(status, "st_birthtime", status.st_ctime)
            facts = (status.st_size, status.st_mtime_ns, float(created), self.headers)
            file = NetworkFile(place.name, place.path, place.relative, *facts)
            self._known[place.path] = file
            if known:
                self._present = _Present(self._present.files, 0.0, self._present.revision)
        return file


def _without_ending(relative: str) -> str:
    return relative[: relative.rindex(".")]

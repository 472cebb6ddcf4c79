"""The checkpoints that there are: every usable and unusable file and diffusers folder below some folders."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from modules.core.errors import ModelUnavailable
from modules.library.hashing import SHORT_LENGTH, HashCache
from modules.library.identify import (
    BASE,
    CHECKPOINT_PICKLES,
    EPSILON,
    SD1_NATIVE_SIZE,
    Correction,
    Identity,
    Unusable,
    folder_weights,
    identify_file,
    identify_folder,
    predicting,
)
from modules.library.model_notes import YES, read_notes
from modules.library.scanning import NaturalKey, natural_key, walk_folders

STARTER_NAME = "starter"
_WEIGHTS = ".safetensors"
_PREDICTION = "prediction"
_NOT_CHECKPOINTS = (".vae.safetensors", ".vae.pt", ".vae.ckpt")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CheckpointEntry:
    """One checkpoint, usable or not.

    `name` is the path below its folder with forward slashes, and with its folder before it where another file has the
    same; `title` is what the list shows, "name [hash]" once the
    hash is known; `reason` says in plain words why an entry is not usable; `native_size` is in pixels. The other facts
    are those of `Identity`, as the user may have corrected them.
    """

    name: str
    path: Path
    usable: bool
    reason: str = ""
    family: str = ""
    native_size: int = SD1_NATIVE_SIZE
    variant: str = BASE
    prediction: str | None = EPSILON
    zero_snr: bool = False
    missing: tuple[str, ...] = ()
    sizes: str = ""
    sha256: str | None = None

    @property
    def short_hash(self) -> str | None:
        """The first ten digits of the hash, as infotexts have it."""
        return self.sha256[:SHORT_LENGTH] if self.sha256 else None

    @property
    def title(self) -> str:
        """The entry as the list shows it."""
        return f"{self.name} [{self.short_hash}]" if self.sha256 else self.name

    @property
    def short_title(self) -> str:
        """The title without folder and ending."""
        return f"{self.model_name} [{self.short_hash}]" if self.sha256 else self.model_name

    @property
    def model_name(self) -> str:
        """The name that infotexts carry: the last part of the name without its ending."""
        return _without_ending(self.name.rsplit("/", 1)[-1])

    @property
    def weights(self) -> Path:
        """The file whose hash stands for the checkpoint: itself, or the (first piece of the) U-Net of a folder."""
        return folder_weights(self.path, "unet")[0] if self.path.is_dir() else self.path


class CheckpointCatalog:
    """Knows the checkpoints below some folders. Safe to use from several threads."""

    def __init__(self, folders: Sequence[Path], hashes: HashCache) -> None:
        self.folders = tuple(folders)
        self.hashes = hashes
        self._lock = threading.Lock()
        self._entries: tuple[CheckpointEntry, ...] | None = None

    def entries(self) -> list[CheckpointEntry]:
        """Return all entries, by name, the starter model last; looks at the disk only the first time."""
        with self._lock:
            if self._entries is None:
                self._entries = tuple(self._scan())
            return list(self._entries)

    def refresh(self) -> list[CheckpointEntry]:
        """Look at the disk again and return all entries."""
        with self._lock:
            self._entries = tuple(self._scan())
            return list(self._entries)

    def find(self, name: str) -> CheckpointEntry:
        """Return the usable checkpoint of that title, name, file name, stem or hash; "" means the default one.

        As in A1111 a part of a title will do when nothing fits exactly; the shortest title wins.
        Raises ModelUnavailable, with the reason or the names that there are.
        """
        if not name.strip():
            return self.default()
        wanted = name.strip().casefold()
        entry = self._exactly(wanted) or self._partly(wanted) or self._partly(re.sub(r"\s*\[[^\[\]]*\]$", "", wanted))
        if entry is None:
            usable = ", ".join(entry.name for entry in self.entries() if entry.usable) or "none"
            raise ModelUnavailable(f"There is no checkpoint named {name!r}. Checkpoints found: {usable}.")
        if not entry.usable:
            raise ModelUnavailable(f"The checkpoint {entry.name} cannot be used: {entry.reason}.")
        return entry

    def default(self) -> CheckpointEntry:
        """Return the first usable checkpoint; the starter model only when there is no other."""
        for entry in self.entries():
            if entry.usable:
                return entry
        places = ", ".join(str(folder) for folder in self.folders)
        raise ModelUnavailable(f"No usable checkpoint was found in {places}. Put a .safetensors file there.")

    def hashed(self, entry: CheckpointEntry) -> CheckpointEntry:
        """Return `entry` with its hash, computing it when it is not known yet. Raises ModelUnavailable."""
        if entry.sha256:
            return entry
        try:
            known = replace(entry, sha256=self.hashes.sha256(entry.weights))
        except (OSError, Unusable) as error:
            raise ModelUnavailable(f"The checkpoint {entry.name} cannot be read: {error}.") from error
        with self._lock:
            self._entries = tuple(known if kept.path == entry.path else kept for kept in self._entries or ())
        return known

    def learned(self, entry: CheckpointEntry, prediction: str) -> None:
        """Remember what the U-Net of a checkpoint predicts, which names and shapes did not tell."""
        try:
            self.hashes.keep_fact(entry.weights, _PREDICTION, prediction)
        except (OSError, Unusable) as error:
            logger.info("What %s predicts cannot be remembered: %s", entry.name, error)
        known = self._entry(entry.path, entry.name)
        with self._lock:
            self._entries = tuple(known if kept.path == entry.path else kept for kept in self._entries or ())

    def _exactly(self, wanted: str) -> CheckpointEntry | None:
        entries = self.entries()
        whole = (entry for entry in entries if wanted in (entry.title.casefold(), entry.name.casefold()))
        return next(whole, None) or next((entry for entry in entries if wanted in _other_names(entry)), None)

    def _partly(self, wanted: str) -> CheckpointEntry | None:
        matching = [entry for entry in self.entries() if wanted and wanted in entry.title.casefold()]
        return min(matching, key=lambda entry: len(entry.title), default=None)

    def _scan(self) -> list[CheckpointEntry]:
        found: dict[Path, CheckpointEntry] = {}
        taken: set[str] = set()
        for folder in self.folders:
            for path in _candidates(folder):
                if path.resolve() not in found:
                    name = _distinct(path.relative_to(folder).as_posix(), folder, taken)
                    found[path.resolve()] = self._entry(path, name)
                    taken.add(name.casefold())
        return sorted(found.values(), key=_order)

    def _entry(self, path: Path, name: str) -> CheckpointEntry:
        try:
            identity = _identify(path, _correction(path))
        except Unusable as error:
            logger.info("Checkpoint %s cannot be used: %s", name, error)
            return CheckpointEntry(name, path, usable=False, reason=str(error))
        entry = _usable(name, path, identity)
        if identity.prediction is None:
            entry = _usable(name, path, predicting(identity, self.hashes.fact(entry.weights, _PREDICTION)))
        return replace(entry, sha256=self.hashes.known(entry.weights))


def _usable(name: str, path: Path, identity: Identity) -> CheckpointEntry:
    facts = {each.name: getattr(identity, each.name) for each in fields(identity)}
    return CheckpointEntry(name, path, usable=True, **facts)


def _other_names(entry: CheckpointEntry) -> set[str]:
    """Return by what else an entry is known, in lower case."""
    names = (entry.path.name, entry.model_name, _without_ending(entry.name), entry.sha256, entry.short_hash)
    return {name.casefold() for name in names if name}


def _distinct(name: str, folder: Path, taken: Container[str]) -> str:
    """Return the name, with as many of the folder's own parts before it as keep it apart from others."""
    for parent in (folder, *folder.parents):
        if name.casefold() not in taken:
            break
        name = f"{parent.name}/{name}"
    return name


def _without_ending(name: str) -> str:
    for ending in (_WEIGHTS, *CHECKPOINT_PICKLES):
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return name


def _identify(path: Path, known: Correction) -> Identity:
    return identify_folder(path, known) if path.is_dir() else identify_file(path, known)


def _correction(path: Path) -> Correction:
    """Return what the user has noted about what the checkpoint is."""
    notes = read_notes(path)
    return Correction(notes.family, notes.prediction, notes.zero_snr == YES if notes.zero_snr else None)


def _candidates(folder: Path) -> Iterator[Path]:
    """Yield every checkpoint file and diffusers folder below `folder`; links are followed, circles are not."""
    for here, subfolders, files in walk_folders(folder):
        if "model_index.json" in files:
            subfolders.clear()
            yield here
            continue
        for name in files:
            if name.lower().endswith((_WEIGHTS, *CHECKPOINT_PICKLES)) and not name.lower().endswith(_NOT_CHECKPOINTS):
                yield here / name


def _order(entry: CheckpointEntry) -> tuple[bool, NaturalKey]:
    """Sort by name with numbers by value, the starter model behind everything else."""
    return entry.name == STARTER_NAME, natural_key(entry.name)

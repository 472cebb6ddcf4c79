"""VAEs in files of their own: those in the VAE folders, and those named after a checkpoint and lying beside it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modules.core.errors import ModelUnavailable
from modules.core.parameters import AUTOMATIC_VAE, NO_VAE
from modules.library.hashing import SHORT_LENGTH, HashCache
from modules.library.model_notes import read_notes
from modules.library.scanning import natural_key, walk_files

_AUTOMATIC_NAMES = (AUTOMATIC_VAE.casefold(), "auto", "")
"""A1111's old settings files say "auto"; an option that was never set is empty."""
VAE_ENDINGS = (".safetensors", ".pt", ".ckpt")
_BESIDE_ENDINGS = (".vae.safetensors", ".vae.pt", ".vae.ckpt")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class VaeFile:
    """One VAE: `name` is the file name with its ending, as the list and infotexts have it."""

    name: str
    path: Path

    @property
    def stem(self) -> str:
        """The name without its ending and without the mark .vae."""
        return self.path.stem.removesuffix(".vae")


class VaeCatalog:
    """Knows the VAE files below some folders. Safe to use from several threads."""

    def __init__(self, folders: Sequence[Path], checkpoint_folders: Sequence[Path], hashes: HashCache) -> None:
        """Take the folders that hold nothing but VAEs, and those in which only files named *.vae.* are VAEs."""
        self.folders = tuple(folders)
        self.checkpoint_folders = tuple(checkpoint_folders)
        self.hashes = hashes
        self._lock = threading.Lock()
        self._entries: tuple[VaeFile, ...] | None = None

    def entries(self) -> list[VaeFile]:
        """Return all VAEs by name, numbers in order, one per name; looks at the disk only the first time."""
        with self._lock:
            if self._entries is None:
                self._entries = self._scan()
            return list(self._entries)

    def refresh(self) -> list[VaeFile]:
        """Look at the disk again and return all VAEs."""
        with self._lock:
            self._entries = self._scan()
            return list(self._entries)

    def names(self) -> list[str]:
        """Return what may be chosen, in the order of the list."""
        return [AUTOMATIC_VAE, NO_VAE, *(entry.name for entry in self.entries())]

    def accepts(self, option: str) -> bool:
        """Say whether `option` is a choice or names a VAE that is there."""
        wanted = option.strip().casefold()
        return wanted in (*_AUTOMATIC_NAMES, NO_VAE.casefold()) or self._find(wanted) is not None

    def resolve(self, option: str, checkpoint: Path) -> VaeFile | None:
        """Return the VAE that `option` means for the checkpoint at this path, or None for the checkpoint's own.

        "Automatic" means the one that the user has noted for the checkpoint, else <checkpoint>.vae.safetensors, .pt or
        .ckpt beside it, else the VAE of the same name in a VAE folder, else none. Raises ModelUnavailable for a name
        that there is not.
        """
        wanted = option.strip().casefold()
        if wanted == NO_VAE.casefold():
            return None
        if wanted in _AUTOMATIC_NAMES:
            return self._preferred(checkpoint)
        entry = self._find(wanted)
        if entry is None:
            raise ModelUnavailable(f"There is no VAE named {option!r}. VAEs found: {', '.join(self.names())}.")
        return entry

    def short_hash(self, entry: VaeFile) -> str:
        """Return the hash as infotexts have it, computing it when it is not known. Raises ModelUnavailable."""
        try:
            return self.hashes.sha256(entry.path)[:SHORT_LENGTH]
        except OSError as error:
            raise ModelUnavailable(f"The VAE {entry.name} cannot be read: {error}.") from error

    def _find(self, wanted: str) -> VaeFile | None:
        """Return the VAE of that name, in lower case, or else the first of that name without ending."""
        entries = self.entries()
        exactly = (entry for entry in entries if entry.name.casefold() == wanted)
        loosely = (entry for entry in entries if wanted in (entry.stem.casefold(), entry.path.stem.casefold()))
        return next(exactly, None) or next(loosely, None)

    def _preferred(self, checkpoint: Path) -> VaeFile | None:
        noted = read_notes(checkpoint).vae.strip().casefold()
        if noted == NO_VAE.casefold():
            return None
        found = self._find(noted) if noted not in _AUTOMATIC_NAMES else None
        if found is None and noted not in _AUTOMATIC_NAMES:
            logger.warning("The VAE %r that is noted for %s is not there.", noted, checkpoint.name)
        return found or self._belonging_to(checkpoint)

    def _belonging_to(self, checkpoint: Path) -> VaeFile | None:
        stem = checkpoint.name if checkpoint.is_dir() else checkpoint.stem
        for ending in _BESIDE_ENDINGS:
            beside = checkpoint.with_name(stem + ending)
            if beside.is_file():
                return VaeFile(beside.name, beside)
        return next((entry for entry in self.entries() if entry.stem == stem), None)

    def _scan(self) -> tuple[VaeFile, ...]:
        found: dict[str, VaeFile] = {}
        places = [(folder, VAE_ENDINGS) for folder in self.folders]
        places += [(folder, _BESIDE_ENDINGS) for folder in self.checkpoint_folders]
        for folder, endings in places:
            for path in walk_files(folder, endings):
                found.setdefault(path.name, VaeFile(path.name, path))
        return tuple(sorted(found.values(), key=lambda entry: natural_key(entry.name)))

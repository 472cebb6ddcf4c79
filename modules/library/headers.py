"""What network files say of themselves in their headers, kept so that ten thousand of them need not be read again."""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from modules.core.errors import StorageFailed
from modules.library.reading import UnreadableFile, read_metadata
from modules.library.writing import write_whole

Stamp = tuple[int, int]
"""Size in bytes and time of change in nanoseconds: while both stay, the file counts as unchanged."""

_SAFE = ".safetensors"
_ALIAS_KEY = "ss_output_name"
"""Where kohya's trainers keep the name that the trained network was given."""
_HASH_KEY = "sshs_model_hash"
"""Where they keep the tensors' hash; it outlives a change of precision, and A1111 trusts it."""
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_SAVE_EVERY = 2000
"""New files after which the cache is written while it is being filled."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HeaderFacts:
    """The little of a header that lists and searches need.

    `alias`: what the file calls itself, "" when it does not; `sha256`: the hash that its trainer wrote down, or "";
    `sd_version`: what it was made for, as A1111 names it, or ""; `problem`: why the header cannot be read, or "".
    """

    alias: str = ""
    sha256: str = ""
    sd_version: str = ""
    problem: str = ""


class HeaderCache:
    """Facts by path, size and time of change. Safe to use from several threads; a lost cache is only filled again."""

    def __init__(self, path: Path | None = None) -> None:
        """Take the JSON file in which facts are kept; without one they are kept while the program runs."""
        self.path = path
        self._lock = threading.Lock()
        self._known: dict[str, tuple[Stamp, HeaderFacts]] | None = None
        self._unsaved = 0

    def known(self, file: str, stamp: Stamp) -> HeaderFacts | None:
        """Return the facts of the file at this path if they were read since it last changed."""
        with self._lock:
            kept = self._loaded().get(file)
        return kept[1] if kept is not None and kept[0] == stamp else None

    def facts(self, file: Path, stamp: Stamp) -> HeaderFacts:
        """Return the facts, reading the file's header when they are not known."""
        known = self.known(str(file), stamp)
        if known is not None:
            return known
        facts = _read(file)
        with self._lock:
            self._loaded()[str(file)] = (stamp, facts)
            self._unsaved += not facts.problem
            due = self._unsaved >= _SAVE_EVERY
        if due:
            self.save()
        return facts

    def forget_problems(self) -> None:
        """Read the headers again that could not be read: what was wrong need not show in size and time."""
        with self._lock:
            known = self._loaded()
            for file in [file for file, (_, facts) in known.items() if facts.problem]:
                del known[file]

    def save(self, present: Collection[str] | None = None) -> None:
        """Write what is new; of files that are not in `present` nothing is kept."""
        with self._lock:
            if not self._unsaved or self.path is None:
                return
            if present is not None:
                self._known = {file: kept for file, kept in self._loaded().items() if file in present}
            entries = {
                file: [*stamp, facts.alias, facts.sha256, facts.sd_version]
                for file, (stamp, facts) in self._loaded().items()
                if not facts.problem
            }
            self._unsaved = 0
        try:
            write_whole(self.path, json.dumps(entries).encode())
        except StorageFailed as error:
            logger.warning("What is known of network files is not kept: %s", error)

    def _loaded(self) -> dict[str, tuple[Stamp, HeaderFacts]]:
        if self._known is None:
            self._known = _load(self.path) if self.path is not None else {}
        return self._known


def sd_version(metadata: Mapping[str, str]) -> str:
    """Return what a network was trained for, by A1111's names, as far as its metadata tells; else ""."""
    base = metadata.get("ss_base_model_version", "") or metadata.get("modelspec.architecture", "")
    if "xl" in base.lower():
        return "SDXL"
    if metadata.get("ss_v2", "").lower() == "true" or "v2" in base.lower():
        return "SD2"
    return "SD1" if "v1" in base.lower() or "ss_v2" in metadata else ""


def _read(file: Path) -> HeaderFacts:
    if file.suffix.lower() != _SAFE:
        return HeaderFacts()
    try:
        metadata = read_metadata(file)
    except UnreadableFile as error:
        logger.info("%s cannot be used: %s", file.name, error)
        return HeaderFacts(problem=str(error))
    stored = metadata.get(_HASH_KEY, "")
    digest = stored.lower() if _SHA256.fullmatch(stored) else ""
    return HeaderFacts(metadata.get(_ALIAS_KEY, "").strip(), digest, sd_version(metadata))


def _load(path: Path) -> dict[str, tuple[Stamp, HeaderFacts]]:
    try:
        entries = json.loads(path.read_bytes())
        return {
            str(file): ((int(size), int(changed)), HeaderFacts(str(alias), str(digest), str(version)))
            for file, (size, changed, alias, digest, version) in entries.items()
        }
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        logger.info("%s is made anew: %s", path, error)
        return {}

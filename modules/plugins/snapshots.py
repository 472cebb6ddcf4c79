"""Backups of the whole set of extensions: which there are, at which commits, and which are on.

A file each in A1111's folder `config_states` and in its format, so that its own files can be used too.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modules.core.errors import ExtensionFailed, InvalidRequest, StorageFailed
from modules.core.files import write_whole
from modules.plugins.discovery import Extension
from modules.plugins.git_facts import without_password
from modules.plugins.sources import checked_name

logger = logging.getLogger(__name__)

SNAPSHOT_FOLDER = "config_states"
LARGEST_SNAPSHOT = 4 * 1024 * 1024
"""Bytes; a longer file is none."""
_FILE_NAME = re.compile(r"[A-Za-z0-9._ +-]+\.json")
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._+-]+")


@dataclass(frozen=True, slots=True)
class SavedExtension:
    """One extension of a backup. `remote` and `commit`: "" where it was no git checkout."""

    name: str
    enabled: bool
    remote: str = ""
    commit: str = ""
    branch: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One backup. `file`: its name in the folder; `created`: seconds since 1970."""

    file: str
    name: str
    created: float
    extensions: tuple[SavedExtension, ...]

    def message(self) -> dict[str, Any]:
        """Return the backup as JSON."""
        names = [{"name": each.name, "enabled": each.enabled, "version": each.commit[:8]} for each in self.extensions]
        return {"file": self.file, "name": self.name, "created": self.created, "extensions": names}


class SnapshotStore:
    """The backups in a folder, which need not exist."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._clock = clock

    def save(self, name: str, extensions: Iterable[Extension]) -> Snapshot:
        """Write a backup. Raises StorageFailed."""
        created = self._clock()
        name = " ".join(name.split())[:100] or "Config"
        stamp = time.strftime("%Y_%m_%d-%H_%M_%S", time.localtime(created))
        stem = _NOT_IN_NAMES.sub("-", name).strip("-.") or "Config"
        number = 1
        while (path := self._folder / f"{stamp}_{stem}{f'-{number}' if number > 1 else ''}.json").exists():
            number += 1
        content = {
            "name": name,
            "created_at": created,
            "webui": {},
            "extensions": {each.name: _saved(each) for each in extensions},
        }
        try:
            write_whole(path, json.dumps(content, indent=4))
        except OSError as error:
            raise StorageFailed(f"The backup {path} cannot be written: {error.strerror or error}.") from error
        return self.get(path.name)

    def all(self) -> list[Snapshot]:
        """Return all backups that can be read, the last first."""
        paths = self._folder.glob("*.json") if self._folder.is_dir() else ()
        found = [each for path in paths if _FILE_NAME.fullmatch(path.name) and (each := _read(path)) is not None]
        return sorted(found, key=lambda snapshot: -snapshot.created)

    def get(self, file: str) -> Snapshot:
        """Return a backup. Raises ExtensionFailed when there is none, or it cannot be read."""
        found = _read(self._folder / file) if _FILE_NAME.fullmatch(file) else None
        if found is None:
            raise ExtensionFailed(f"There is no backup {file!r} that can be read.")
        return found

    def delete(self, file: str) -> None:
        """Delete a backup. Raises ExtensionFailed."""
        self.get(file)
        (self._folder / file).unlink(missing_ok=True)


def _saved(extension: Extension) -> dict[str, Any]:
    return {
        "name": extension.name,
        "path": str(extension.path),
        "enabled": extension.switched_on,
        "is_builtin": extension.is_builtin,
        "remote": extension.remote or None,
        "commit_hash": extension.commit,
        "commit_date": None,
        "branch": extension.branch or None,
        "have_info_from_repo": extension.git is not None,
    }


def _read(path: Path) -> Snapshot | None:
    try:
        if path.stat().st_size > LARGEST_SNAPSHOT:
            return None
        content = json.loads(path.read_text(encoding="utf-8"))
        saved = [_extension(name, each) for name, each in content["extensions"].items()
                 if not each.get("is_builtin")]  # fmt: skip
        return Snapshot(path.name, str(content.get("name", "Config")), float(content["created_at"]), tuple(saved))
    except (OSError, ValueError, TypeError, LookupError, AttributeError, InvalidRequest) as error:
        logger.warning("The backup %s cannot be read (%s).", path, error)
        return None


def _extension(name: str, each: dict[str, Any]) -> SavedExtension:
    """Return one entry. Raises InvalidRequest for a name that no folder may have."""
    remote, commit, branch = (str(each.get(key) or "") for key in ("remote", "commit_hash", "branch"))
    return SavedExtension(checked_name(name), bool(each.get("enabled")), without_password(remote), commit, branch)

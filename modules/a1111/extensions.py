"""A1111's modules.extensions: the extensions that there are, over Easel's own discovery."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from modules.a1111._host import HOST
from modules.plugins.discovery import Extension as Found


@dataclasses.dataclass
class CallbackOrderInfo:
    """What an extension wants of the order of callbacks."""

    name: str
    before: list[str]
    after: list[str]


class ExtensionMetadata:
    """What an extension's metadata.ini says."""

    filename = "metadata.ini"

    def __init__(self, found: Found) -> None:
        self.canonical_name = found.metadata.canonical_name
        self.requires = list(found.metadata.requires)


class Extension:
    """One extension."""

    def __init__(self, found: Found) -> None:
        self.name = found.name
        self.path = str(found.path)
        self.enabled = found.enabled
        self.status = ""
        self.can_update = False
        self.is_builtin = found.is_builtin
        self.commit_hash = found.commit
        self.commit_date = None
        self.version = found.version
        self.branch = found.branch
        self.remote = found.remote
        self.have_info_from_repo = True
        self.metadata = ExtensionMetadata(found)
        self.canonical_name = self.metadata.canonical_name
        self.found = found

    def to_dict(self) -> dict[str, Any]:
        """Return name, address, commit and version."""
        return {"name": self.name, "remote": self.remote, "branch": self.branch, "commit_hash": self.commit_hash,
                "version": self.version}  # fmt: skip

    def read_info_from_repo(self) -> None:
        """Do nothing: it is known."""

    def list_files(self, subdir: str, extension: str) -> list[Any]:
        """Return the files in one of its folders."""
        return [(self.path, path.name, str(path)) for path in self.found.files(subdir, extension)]


def _all() -> list[Extension]:
    places = " ".join(str(each.path) for each in HOST.extensions)
    return HOST.state(f"extensions {places}", lambda: [Extension(each) for each in HOST.extensions])


def __getattr__(name: str) -> Any:
    """Return the lists, which are empty until Easel is connected."""
    if name == "extensions":
        return _all()
    if name == "extension_paths":
        return {each.path: each for each in _all()}
    if name == "loaded_extensions":
        return {each.canonical_name: each for each in _all()}
    if name in ("extensions_dir", "extensions_builtin_dir"):
        return str(HOST.config.data_dir / name.removesuffix("_dir").replace("_", "-"))
    raise AttributeError(name)


def active() -> list[Extension]:
    """Return the extensions that are enabled."""
    return [each for each in _all() if each.enabled]


def list_extensions() -> None:
    """Do nothing: the extensions were looked for when the server began."""


def find_extension(filename: str) -> Extension | None:
    """Return the extension that a file belongs to."""
    return next((each for each in _all() if Path(filename).absolute().is_relative_to(each.path)), None)

"""What can be downloaded from a link: one or several files, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from modules.library.model_kinds import is_pickle


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file: where it is and what is known of it. `path`: where it goes below its folder, with forward slashes.

    `size` in bytes and `sha256` are None where the server does not tell.
    """

    path: str
    url: str = field(repr=False)
    size: int | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """Something that may be chosen: a file, or a folder of files. `key` names it among the others of its link.

    `kind` is "" where it is not known; `label` says what distinguishes it; `notes` and `preview` are what the hub tells
    of it: fields of the model's notes, and the address of a picture.
    """

    key: str
    name: str
    files: tuple[RemoteFile, ...] = field(repr=False)
    kind: str = ""
    label: str = ""
    folder: bool = False
    notes: Mapping[str, str] = field(default_factory=dict, repr=False)
    preview: str = field(default="", repr=False)

    @property
    def size(self) -> int | None:
        """Bytes of all its files, None when that is not known."""
        sizes = [file.size for file in self.files]
        return None if None in sizes else sum(size for size in sizes if size is not None)

    def message(self) -> dict[str, Any]:
        """Return the candidate as the page gets it."""
        return {
            "key": self.key,
            "name": self.name,
            "kind": self.kind,
            "label": self.label,
            "size": self.size,
            "sha256": self.files[0].sha256 if len(self.files) == 1 else None,
            "pickle": any(is_pickle(file.path) for file in self.files),
            "folder": self.folder,
            "has_notes": bool(self.notes or self.preview),
        }


@dataclass(frozen=True, slots=True)
class Offer:
    """What a link leads to. `title`: its name there; `place`: host and owner, for people; `hub`: "" for none."""

    title: str
    place: str
    candidates: tuple[Candidate, ...]
    hub: str = ""

    def message(self) -> dict[str, Any]:
        """Return the offer as the page gets it."""
        return {
            "title": self.title,
            "place": self.place,
            "hub": self.hub,
            "candidates": [candidate.message() for candidate in self.candidates],
        }

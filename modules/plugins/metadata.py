"""A1111's `metadata.ini` in an extension's folder: its canonical name, what it needs, and what runs before what.

Its sections: [Extension] with Name and Requires; [scripts] and [scripts/FILE.py] with Requires, Before and After;
[callbacks/EXTENSION/FILE.py/CALLBACK] with Before and After. Lists are divided by commas or blanks; `a|b` means
whichever of them there is.
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

METADATA_FILE = "metadata.ini"
LARGEST_METADATA = 256 * 1024
"""Bytes; a longer file is not read."""
_DIVIDERS = re.compile(r"[,\s]+")


@dataclass(frozen=True, slots=True)
class Metadata:
    """What the file says. `canonical_name`: the lower-case name by which other extensions refer to this one.

    `problem` says in words why the file could not be read; "" when it could, or is not there.
    """

    canonical_name: str
    requires: tuple[str, ...] = ()
    problem: str = ""
    sections: dict[str, dict[str, str]] = field(default_factory=dict)
    """All sections with their entries; the names of entries are in lower case, values as written."""

    def listed(
        self, entry: str, section: str, more: str | None = None, known: Collection[str] = ()
    ) -> tuple[str, ...]:
        """Return the lower-case names that an entry of a section lists, and of the section `more` too.

        Of alternatives `a|b` the first that is in `known` counts, or the text as it is when none is.
        """
        texts = [self.sections.get(name, {}).get(entry.lower(), "") for name in (section, more) if name is not None]
        names = [name for text in texts for name in split_names(text)]
        return tuple(_first_known(name, known) for name in names)


def read_metadata(folder: Path) -> Metadata:
    """Return the metadata of the extension in `folder`; without a file it is named after the folder."""
    default = folder.name.lower()
    path = folder / METADATA_FILE
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        if not path.is_file():
            return Metadata(default)
        if path.stat().st_size > LARGEST_METADATA:
            return Metadata(default, problem=f"{METADATA_FILE} is larger than {LARGEST_METADATA} bytes.")
        parser.read_string(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        return Metadata(default, problem=f"{METADATA_FILE} cannot be read: {' '.join(str(error).split())}.")
    sections = {name: dict(parser.items(name)) for name in parser.sections()}
    own = sections.get("Extension", {})
    name = own.get("name", "").strip().lower() or default
    return Metadata(name, split_names(own.get("requires", "")), sections=sections)


def split_names(text: str) -> tuple[str, ...]:
    """Return the lower-case names in a list."""
    return tuple(name for name in _DIVIDERS.split(text.lower()) if name)


def _first_known(name: str, known: Collection[str]) -> str:
    return next((choice for choice in name.split("|") if choice in known), name)

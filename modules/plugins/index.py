"""The list of extensions that can be installed, in A1111's format, from an address or a file.

A JSON object: `tags` by name with what they mean, and `extensions`, each with `name`, `url`, `description`, `tags` and,
in the published list, `added`, `stars`, `created_at`, `commit_time`.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from modules.core.errors import ExtensionFailed
from modules.library.downloads.web_client import WebClient

INDEX_ADDRESS = "https://raw.githubusercontent.com/AUTOMATIC1111/stable-diffusion-webui-extensions/master/index.json"
MOST_ENTRIES = 10_000
LONGEST_TEXT = 2000


@dataclass(frozen=True, slots=True)
class Available:
    """One extension of the list. `added`, `created` and `updated` are dates as the list has them, or ""."""

    name: str
    url: str
    description: str = ""
    tags: tuple[str, ...] = ()
    added: str = ""
    created: str = ""
    updated: str = ""
    stars: int | None = None

    def message(self) -> dict[str, Any]:
        """Return the entry as JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Index:
    """A list. `source`: where it came from."""

    source: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    extensions: tuple[Available, ...] = ()


class IndexStore:
    """Keeps the list that was loaded last. Safe to use from all threads."""

    def __init__(self, client: WebClient) -> None:
        """Take what asks servers; nothing is asked before somebody wants it."""
        self._client = client
        self._lock = threading.Lock()
        self._index = Index()

    def now(self) -> Index:
        """Return the list; an empty one before any was loaded."""
        with self._lock:
            return self._index

    def load(self, address: str) -> Index:
        """Load the list from an https address. Raises DownloadFailed and ExtensionFailed."""
        return self._keep(read_index(self._client.json(address.strip(), "the list of extensions"), address.strip()))

    def take(self, content: bytes) -> Index:
        """Take the list from a file. Raises ExtensionFailed."""
        try:
            parsed = json.loads(content)
        except ValueError as error:
            raise ExtensionFailed("The file is no list of extensions: it is not JSON.") from error
        return self._keep(read_index(parsed, "a file"))

    def _keep(self, index: Index) -> Index:
        with self._lock:
            self._index = index
        return index


def read_index(content: Any, source: str) -> Index:
    """Return a list; entries without name or address are left out. Raises ExtensionFailed when it is none."""
    if not isinstance(content, dict) or not isinstance(content.get("extensions"), list):
        raise ExtensionFailed("That is no list of extensions: it has no entry named “extensions”.")
    tags = content.get("tags")
    described = {_text(name): _text(meaning) for name, meaning in tags.items()} if isinstance(tags, dict) else {}
    entries = (_entry(each) for each in content["extensions"][:MOST_ENTRIES])
    return Index(source, described, tuple(entry for entry in entries if entry is not None))


def _entry(each: Any) -> Available | None:
    if not isinstance(each, dict) or not each.get("name") or not each.get("url"):
        return None
    tags, stars = each.get("tags"), each.get("stars")
    return Available(
        name=_text(each["name"]),
        url=_text(each["url"]),
        description=_text(each.get("description") or each.get("github_description") or ""),
        tags=tuple(_text(tag) for tag in tags) if isinstance(tags, list) else (),
        added=_text(each.get("added") or ""),
        created=_text(each.get("created_at") or ""),
        updated=_text(each.get("commit_time") or ""),
        stars=stars if isinstance(stars, int) and not isinstance(stars, bool) else None,
    )


def _text(value: Any) -> str:
    return str(value)[:LONGEST_TEXT]

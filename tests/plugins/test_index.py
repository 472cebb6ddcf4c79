"""The list of extensions that can be installed."""

import json

import pytest

from modules.core.errors import DownloadFailed, ExtensionFailed
from modules.library.downloads.web_client import WebClient
from modules.plugins.index import IndexStore, read_index

ENTRY = {
    "name": "Thing", "url": "https://example.org/a/thing.git", "description": None, "github_description": "From there",
    "added": "2023-06-23", "tags": ["tab", "ads"], "stars": 541, "created_at": "2023-05-16T04:35:16Z",
    "commit_time": "2024-03-07T10:05:38Z", "something new": {},
}  # fmt: skip


def test_a1111s_format_is_read() -> None:
    index = read_index({"tags": {"tab": "adds a tab"}, "extensions": [ENTRY]}, "somewhere")
    (entry,) = index.extensions
    assert (entry.name, entry.tags, entry.stars, entry.description) == ("Thing", ("tab", "ads"), 541, "From there")
    assert (entry.added, entry.updated) == ("2023-06-23", "2024-03-07T10:05:38Z")
    assert index.tags == {"tab": "adds a tab"}


def test_broken_entries_are_left_out() -> None:
    content = {"extensions": [1, {}, {"name": "x"}, {"url": "y"}, {**ENTRY, "stars": True, "tags": "no list"}]}
    (entry,) = read_index(content, "").extensions
    assert (entry.stars, entry.tags) == (None, ())


@pytest.mark.parametrize("content", [[], {}, {"extensions": {}}, 1, None])
def test_what_is_no_list_is_refused(content: object) -> None:
    with pytest.raises(ExtensionFailed, match="no list"):
        read_index(content, "")


def test_a_file_is_kept_until_the_next() -> None:
    store = IndexStore(WebClient())
    assert store.now().extensions == ()
    store.take(json.dumps({"extensions": [ENTRY]}).encode())
    assert [each.name for each in store.now().extensions] == ["Thing"]
    with pytest.raises(ExtensionFailed, match="not JSON"):
        store.take(b"\xff{")
    assert [each.name for each in store.now().extensions] == ["Thing"]


@pytest.mark.parametrize("address", ["file:///etc/passwd", "http://example.org/index.json", "https://127.0.0.1/x", "x"])
def test_only_public_https_addresses_are_asked(address: str) -> None:
    with pytest.raises(DownloadFailed):
        IndexStore(WebClient()).load(address)

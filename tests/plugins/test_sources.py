"""What may come from where, and what a folder may be called."""

import pytest

from modules.core.errors import InvalidRequest
from modules.plugins.sources import (
    checked_address,
    checked_branch,
    checked_commit,
    checked_name,
    name_of,
    same_source,
)


@pytest.mark.parametrize(
    "address",
    [
        "https://github.com/owner/name",
        "https://github.com/owner/name.git",
        "https://host:8443/a/b",
        "git@github.com:owner/name.git",
        "ssh://git@host:2222/owner/name",
    ],
)
def test_https_and_ssh_are_good(address: str) -> None:
    assert checked_address(f" {address} ") == address


@pytest.mark.parametrize(
    "address",
    [
        "", "http://github.com/a/b", "file:///etc", "/etc/passwd", "ext::sh -c id", "git://host/a/b", "-oProxy=x",
        "https://user:secret@host/a/b", "https://token@host/a/b", "https://host", "https:///a/b", "ssh://-oX/a",
        "git@-oX:a/b", "https://host/a b", "https://host/a?x=1", "https://host:port/a", "https://host/\x00a",
        "--upload-pack=touch", "ftp://host/a", "https://" + "x" * 600 + "/a",
    ],
)  # fmt: skip
def test_everything_else_is_refused_and_the_field_named(address: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        checked_address(address)
    assert raised.value.problems[0].field == "url"
    assert "https://host/owner/name" in raised.value.problems[0].allowed


@pytest.mark.parametrize("branch", ["", "main", "v1.0", "feature/x_y", "release-2"])
def test_branches_and_tags_are_good(branch: str) -> None:
    assert checked_branch(branch) == branch


@pytest.mark.parametrize("branch", ["-x", "a..b", "a b", "a~1", "HEAD^", "a:b", "x.lock", "a/", "@{1}", "a\\b", "*"])
def test_what_git_could_take_for_something_else_is_no_branch(branch: str) -> None:
    with pytest.raises(InvalidRequest):
        checked_branch(branch)


@pytest.mark.parametrize("name", ["", ".git", "..", "a/b", "a\\b", "-x", "con", "NUL.txt", "a.", "x" * 101, "a\0"])
def test_folder_names_that_lead_elsewhere_are_refused(name: str) -> None:
    with pytest.raises(InvalidRequest):
        checked_name(name)


@pytest.mark.parametrize("commit", ["HEAD", "abc", "--hard", "z" * 40, "origin/main"])
def test_only_digits_are_a_commit(commit: str) -> None:
    with pytest.raises(InvalidRequest):
        checked_commit(commit)


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("https://github.com/a/sd-webui-thing.git", "sd-webui-thing"),
        ("git@host:owner/thing/", "thing"),
        ("thing-main.zip", "thing"),
        ("C:\\Users\\me\\my thing.zip", "my-thing"),
        ("...", ""),
    ],
)
def test_an_address_suggests_a_name(address: str, name: str) -> None:
    assert name_of(address) == name


def test_two_ways_of_writing_an_address_are_the_same_source() -> None:
    assert same_source("https://github.com/A/b.git", "git@github.com:a/b")
    assert not same_source("https://github.com/a/b", "https://github.com/a/c")
    assert not same_source("", "")

"""Commit, branch and remote of a git checkout, read from its files: in microseconds, and without running git."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

VERSION_CHARACTERS = 8
LARGEST_FILE = 8 * 1024 * 1024
"""Bytes; a packed-refs file of a repository with tens of thousands of refs is smaller."""
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_SECTION = re.compile(r'\[\s*remote\s+"(?P<name>[^"]+)"\s*\]')
_URL = re.compile(r"url\s*=\s*(?P<url>\S+)")


@dataclass(frozen=True, slots=True)
class GitFacts:
    """What a checkout is of. `commit`: all its digits; `branch` and `remote`: "" where there is none.

    The remote is without a password, should one stand in it.
    """

    commit: str
    branch: str = ""
    remote: str = ""

    @property
    def version(self) -> str:
        """The commit's first characters, as A1111 shows them."""
        return self.commit[:VERSION_CHARACTERS]


def read_git(folder: Path) -> GitFacts | None:
    """Return what the checkout in `folder` is of; None when it is none, or has no commit yet."""
    try:
        repository = _repository(folder / ".git")
        if repository is None:
            return None
        head = _text(repository / "HEAD")
        common = _common(repository)
        branch = head.removeprefix("ref: refs/heads/") if head.startswith("ref: refs/heads/") else ""
        commit = _resolve(repository, common, head.removeprefix("ref: ")) if head.startswith("ref: ") else head
        if commit is None or not _COMMIT.fullmatch(commit):
            return None
        return GitFacts(commit, branch, _remote(common / "config"))
    except (OSError, UnicodeDecodeError):
        return None


def without_password(address: str) -> str:
    """Return an address without user and password, which may be a token."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return ""
    if parts.scheme in ("http", "https") and "@" in parts.netloc:
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    return address


def _repository(place: Path) -> Path | None:
    """Return git's own folder; a worktree or submodule has a file that names it."""
    if place.is_dir():
        return place
    if not place.is_file():
        return None
    named = (place.parent / _text(place).removeprefix("gitdir: ")).resolve()
    return named if named.is_dir() else None


def _common(repository: Path) -> Path:
    """Return where configuration and packed refs lie: for a worktree that is its main repository."""
    link = repository / "commondir"
    return (repository / _text(link)).resolve() if link.is_file() else repository


def _resolve(repository: Path, common: Path, reference: str) -> str | None:
    for folder in (repository, common):
        if (folder / reference).is_file():
            return _text(folder / reference)
    packed = common / "packed-refs"
    lines = _text(packed).splitlines() if packed.is_file() else []
    return next((line.partition(" ")[0] for line in lines if line.endswith(f" {reference}")), None)


def _remote(config: Path) -> str:
    """Return the address of the remote "origin", or of the first one."""
    found: dict[str, str] = {}
    section = ""
    for line in _text(config).splitlines() if config.is_file() else ():
        line = line.strip()
        if line.startswith("["):
            match = _SECTION.fullmatch(line)
            section = match["name"] if match else ""
        elif section and (url := _URL.fullmatch(line)):
            found.setdefault(section, url["url"])
    address = found.get("origin") or next(iter(found.values()), "")
    return without_password(address.strip('"'))


def _text(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(LARGEST_FILE).decode("utf-8").strip()

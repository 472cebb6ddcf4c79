"""Where an extension may come from, and what its folder may be called: checked before git sees either."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from modules.core.errors import FieldProblem, InvalidRequest

PROTOCOLS = ("https", "ssh")
LONGEST_ADDRESS = 500
LONGEST_NAME = 100
_SCP = re.compile(r"(?P<user>[A-Za-z0-9._-]+)@(?P<host>[A-Za-z0-9.-]+):(?P<path>[^/:][^:]*)")
"""The short form of ssh: git@host:owner/name.git."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._ +-]*")
_BRANCH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/+#@-]*")
_BAD_IN_BRANCH = ("..", "//", "@{", "/.")
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_RESERVED = frozenset(("con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))))
_ARCHIVE_SUFFIXES = ("-main", "-master")


def checked_address(address: str, protocols: tuple[str, ...] = PROTOCOLS) -> str:
    """Return a git address without blanks around it. Raises InvalidRequest, naming what is allowed."""
    address = address.strip()
    if not _is_address(address, protocols):
        shown = address if len(address) <= LONGEST_ADDRESS else f"a text of {len(address)} characters"
        allowed = "an address such as https://host/owner/name or git@host:owner/name, without a password in it"
        raise InvalidRequest([FieldProblem("url", "Address", _harmless(shown) or "nothing", allowed)])
    return address


def checked_branch(branch: str) -> str:
    """Return the name of a branch or tag, or "". Raises InvalidRequest."""
    branch = branch.strip()
    good = _BRANCH.fullmatch(branch) and not any(bad in branch for bad in _BAD_IN_BRANCH) and branch[-1] not in "./"
    if branch and (not good or len(branch) > LONGEST_NAME or branch.endswith(".lock")):
        raise InvalidRequest([FieldProblem("branch", "Branch", _harmless(branch), "the name of a branch or tag")])
    return branch


def checked_commit(commit: str) -> str:
    """Return a commit's digits. Raises InvalidRequest."""
    if not _COMMIT.fullmatch(commit.strip()):
        raise InvalidRequest([FieldProblem("commit", "Commit", _harmless(commit), "7 to 64 digits from 0 to f")])
    return commit.strip()


def checked_name(name: str) -> str:
    """Return the name of an extension's folder. Raises InvalidRequest."""
    name = name.strip()
    good = _NAME.fullmatch(name) and len(name) <= LONGEST_NAME and name[-1] not in ". "
    if not good or name.split(".")[0].lower() in _RESERVED:
        allowed = f"at most {LONGEST_NAME} letters, digits, blanks and . _ + -, with a letter or digit first"
        raise InvalidRequest([FieldProblem("name", "Folder name", _harmless(name) or "nothing", allowed)])
    return name


def name_of(address: str) -> str:
    """Return the folder's name that an address, or a zip file's name, suggests; "" when it suggests none."""
    last = re.split(r"[/:\\]", address.strip().rstrip("/"))[-1]
    for suffix in (".zip", ".git", *_ARCHIVE_SUFFIXES):
        last = last.removesuffix(suffix)
    return re.sub(r"[^A-Za-z0-9._+-]", "-", last).strip("-. ")[:LONGEST_NAME]


def same_source(one: str, other: str) -> bool:
    """Say whether two addresses name the same repository."""
    return bool(one) and _plain(one) == _plain(other)


def _is_address(address: str, protocols: tuple[str, ...]) -> bool:
    if not address or len(address) > LONGEST_ADDRESS or address.startswith("-"):
        return False
    if any(character.isspace() or not character.isprintable() or character in "'\"`\\" for character in address):
        return False
    if "://" not in address:
        match = _SCP.fullmatch(address)
        return bool(match and "ssh" in protocols and not match["host"].startswith("-"))
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError:
        return False
    if parts.scheme not in protocols or parts.password is not None or parts.query or parts.fragment:
        return False
    if parts.scheme == "file":
        return bool(parts.path)
    named = parts.username is None or (parts.scheme == "ssh" and not parts.username.startswith("-"))
    host = parts.hostname or ""
    return named and bool(host) and not host.startswith("-") and len(parts.path) > 1


def _plain(address: str) -> str:
    """Return an address without what differs between two ways of writing the same one."""
    match = _SCP.fullmatch(address)
    text = f"{match['host']}/{match['path']}" if match else address.partition("://")[2].rpartition("@")[2]
    return text.rstrip("/").removesuffix(".git").lower()


def _harmless(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)[:LONGEST_ADDRESS]

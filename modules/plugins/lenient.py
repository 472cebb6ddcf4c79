"""What an extension asks for, installed around what Easel stands on: whatever wants that changed goes without it.

Many extensions ask for an older version of a core package than they would do with, or need a package that does.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from modules.plugins.requirements import applies, installed_version, needs_of, parsed

RunPip = Callable[[Sequence[str]], bool]
"""Runs pip with such arguments; says whether all went well."""

REQUIREMENTS_FILE = "requirements.txt"
PROJECT_FILE = "pyproject.toml"
_DEEPEST = 12
# What a user asked for stands alone; what something else needs has "(from …)" behind it.
_COLLECTED = re.compile(r"^Collecting (?P<asked>[^()\s][^()]*?)\s*$")
_CANNOT = re.compile(r"Cannot install (?P<asked>.+?) because these package versions have conflicting dependencies")


class LenientInstall:
    """Installs packages one by one, and leaves out of what these need what only changing `core` would give.

    `core`: names and versions of what stays as it is. What was left out is told to `say`.
    """

    def __init__(self, core: Mapping[str, str], pip: RunPip, say: Callable[[str], None]) -> None:
        self._core = core
        self._pip = pip
        self._say = say
        self._tried: set[str] = set()

    def install(self, asked: Iterable[str]) -> bool:
        """Install what is asked for, by requirements as pip takes them; says whether anything was tried."""
        fresh = [text for text in asked if text not in self._tried]
        for text in fresh:
            self._install(text, frozenset(), 0)
        return bool(fresh)

    def _install(self, text: str, extras: frozenset[str], depth: int) -> None:
        if text in self._tried or depth > _DEEPEST:
            return
        self._tried.add(text)
        requirement = parsed(text)
        if requirement is None:
            self._fetch(text)
        elif applies(requirement, extras) and not self._is_core(requirement) and not _is_there(requirement):
            self._install_with_needs(requirement, depth)

    def _is_core(self, requirement: Requirement) -> bool:
        name = canonicalize_name(requirement.name)
        version = self._core.get(name)
        if version is not None and not requirement.specifier.contains(version, prereleases=True):
            self._say(f"{_told(requirement)} is left out: {name} stays {version}.")
        return version is not None

    def _install_with_needs(self, requirement: Requirement, depth: int) -> None:
        plain = _told(requirement)
        if self._pip(["install", "--prefer-binary", plain]):
            return
        self._say(f"{plain} cannot be had with all that it needs; installing it alone.")
        if self._fetch("--no-deps", plain):
            for needed in needs_of(requirement.name):
                self._install(needed, frozenset(requirement.extras), depth + 1)

    def _fetch(self, *what: str) -> bool:
        done = self._pip(["install", "--prefer-binary", *what])
        if not done:
            self._say(f"{what[-1]} could not be installed; going on without it.")
        return done


def asked_by(folder: Path) -> list[str]:
    """Return what an extension's requirements.txt and pyproject.toml ask for."""
    lines = _lines(folder / REQUIREMENTS_FILE)
    found = [text for line in lines if (text := line.partition(" #")[0].strip()) and not text.startswith(("#", "-"))]
    try:
        project = tomllib.loads("\n".join(_lines(folder / PROJECT_FILE))).get("project", {})
    except tomllib.TOMLDecodeError:
        project = {}
    needed = project.get("dependencies", []) if isinstance(project, dict) else []
    return list(dict.fromkeys([*found, *(str(each) for each in needed if isinstance(needed, list))]))


def asked_of_pip(said: Iterable[str]) -> list[str]:
    """Return what pip was told to install, by what it said until it gave up."""
    found: list[str] = []
    for line in said:
        collected, refused = _COLLECTED.match(line), _CANNOT.search(line)
        if collected is not None:
            found.append(collected["asked"])
        if refused is not None:
            found += [each for part in refused["asked"].split(" and ") for each in part.split(", ")]
    return [text for text in dict.fromkeys(found) if parsed(text) is not None]


def conflicts_of(said: Iterable[str], core: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield each requirement that pip found nothing for only because of the version of a core package, and that."""
    for line in said:
        _, _, text = line.partition("No matching distribution found for ")
        requirement = parsed(text)
        if requirement is None:
            continue
        name = canonicalize_name(requirement.name)
        if name in core and not requirement.specifier.contains(core[name], prereleases=True):
            yield _told(requirement), f"{name}=={core[name]}"


def _told(requirement: Requirement) -> str:
    """Return a requirement without the conditions under which it holds."""
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    return f"{requirement.name}{extras} @ {requirement.url}" if requirement.url else (
        f"{requirement.name}{extras}{requirement.specifier}"
    )  # fmt: skip


def _is_there(requirement: Requirement) -> bool:
    """Say whether nothing is to be done for a requirement; what its extras need is not known."""
    version = "" if requirement.extras else installed_version(requirement.name)
    return bool(version) and requirement.specifier.contains(version, prereleases=True)


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8", errors="replace").splitlines() if file.is_file() else []

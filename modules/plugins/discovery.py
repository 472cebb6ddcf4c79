"""The extensions below the folder `extensions`: what they are, whether they are to be loaded, and if not, why not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from modules.plugins.git_facts import GitFacts, read_git
from modules.plugins.metadata import Metadata, read_metadata
from modules.plugins.safety import Safety

EXTENSIONS_FOLDER = "extensions"
PLUGIN_FILE = "easel_plugin.py"
"""An extension may hold plugins of Easel's own kind in it; see loading.py."""
DisableAll = Literal["none", "extra", "all"]


@dataclass(frozen=True, slots=True)
class Switches:
    """The options that switch extensions off, under A1111's keys `disabled_extensions` and `disable_all_extensions`.

    `disabled`: names of folders. `disable_all`: "extra" leaves those that came with the server, "all" none.
    """

    disabled: frozenset[str] = frozenset()
    disable_all: DisableAll = "none"


@dataclass(frozen=True, slots=True)
class Extension:
    """One extension. `name`: of its folder, by which everything else refers to it. `path`: absolute.

    `off_because` says in words why it is not to be loaded; "" when it is. `switched_on`: the user's own switch.
    `git`: None where it is no git checkout.
    """

    name: str
    path: Path
    metadata: Metadata
    git: GitFacts | None = None
    switched_on: bool = True
    off_because: str = ""
    is_builtin: bool = False

    @property
    def enabled(self) -> bool:
        """Whether it is to be loaded."""
        return not self.off_because

    @property
    def commit(self) -> str:
        """All digits of the commit, or ""."""
        return self.git.commit if self.git else ""

    @property
    def version(self) -> str:
        """The commit's first characters, or ""."""
        return self.git.version if self.git else ""

    @property
    def branch(self) -> str:
        """The branch that is checked out, or ""."""
        return self.git.branch if self.git else ""

    @property
    def remote(self) -> str:
        """The address that it was cloned from, or ""."""
        return self.git.remote if self.git else ""

    @property
    def has_plugins(self) -> bool:
        """Whether it holds plugins of Easel's own kind."""
        return (self.path / PLUGIN_FILE).is_file()

    @property
    def uses_a1111(self) -> bool:
        """Whether anything in it is for A1111's API or page."""
        if any((self.path / name).is_file() for name in ("preload.py", "style.css")):
            return True
        endings = {"scripts": (".py",), "javascript": (".js", ".mjs"), "localizations": (".json",)}
        return any(self.files(folder, ending) for folder in endings for ending in endings[folder])

    def files(self, folder: str, ending: str) -> list[Path]:
        """Return the files in one of its folders ("scripts", "javascript", …), by name; `ending` such as ".py"."""
        place = self.path / folder if folder else self.path
        if not place.is_dir():
            return []
        return sorted(path for path in place.iterdir() if path.suffix.lower() == ending and path.is_file())


class Extensions:
    """What lies in the extensions' folder now; every question looks anew. Safe to use from all threads."""

    def __init__(self, folder: Path, switches: Callable[[], Switches], safety: Safety) -> None:
        """Take the folder, absolute, which need not exist; `switches` tells the options as they are now."""
        self.folder = folder
        self._switches = switches
        self._safety = safety
        self._running: Mapping[str, str] = {}
        self._set_up: set[str] = set()

    def all(self) -> list[Extension]:
        """Return every extension in the order in which they are loaded: by name, as A1111 does."""
        switches = self._switches()
        found = [self._looked_at(path, switches) for path in self._folders()]
        return _without_twins(found)

    def enabled(self) -> list[Extension]:
        """Return those that are to be loaded, in that order."""
        return [extension for extension in self.all() if extension.enabled]

    def get(self, name: str) -> Extension | None:
        """Return the extension in the folder of that name."""
        return next((extension for extension in self.all() if extension.name == name), None)

    def of_file(self, path: str | Path) -> str | None:
        """Return the name of the extension that a file belongs to; None for files elsewhere."""
        place = Path(path).absolute()
        if place.is_relative_to(self.folder):
            parts = place.relative_to(self.folder).parts
            return parts[0] if parts else None
        return None

    def note_running(self, extensions: Iterable[Extension]) -> None:
        """Remember what this server runs now, at which commits, so that it can be told what a restart would change."""
        self._running = {extension.name: extension.commit for extension in extensions}

    def runs(self, name: str) -> bool:
        """Say whether this server runs an extension, whatever its switch says now."""
        return name in self._running

    def needs_restart(self, extension: Extension) -> bool:
        """Say whether the next start would load another state of an extension than the one that runs."""
        if extension.enabled != self.runs(extension.name):
            return True
        changed = extension.name in self._set_up or self._running.get(extension.name) != extension.commit
        return extension.enabled and changed

    def note_setup(self, name: str) -> None:
        """Remember that an extension was set up while this server runs it: its code may find now what was not there."""
        if self.runs(name):
            self._set_up.add(name)

    def unmet(self, extension: Extension) -> list[str]:
        """Say in words which other extensions it requires that are not there or not on."""
        states = {each.metadata.canonical_name: each.enabled for each in self.all()}
        problems = []
        for required in extension.metadata.requires:
            choices = [name for name in required.split("|") if name in states]
            if not choices:
                problems.append(f"It requires the extension {required}, which is not installed.")
            elif not any(states[name] for name in choices):
                problems.append(f"It requires the extension {choices[0]}, which is off.")
        return problems

    def _folders(self) -> list[Path]:
        try:
            places = sorted(self.folder.iterdir())
        except OSError:
            return []
        return [place for place in places if not place.name.startswith((".", "__")) and place.is_dir()]

    def _looked_at(self, path: Path, switches: Switches) -> Extension:
        on = path.name not in switches.disabled
        because = self._off_because(path.name, switches)
        return Extension(path.name, path, read_metadata(path), read_git(path), on, because)

    def _off_because(self, name: str, switches: Switches) -> str:
        verdict = self._safety.verdict(name)
        if self._safety.safe_mode:
            return "The server was started in safe mode, without any extension."
        if verdict is not None:
            return verdict.reason
        if switches.disable_all != "none":
            return "All extensions are switched off."
        return "It is switched off." if name in switches.disabled else ""


def _without_twins(found: list[Extension]) -> list[Extension]:
    """Keep off every extension whose canonical name an earlier one has that is on."""
    seen: dict[str, str] = {}
    kept = []
    for extension in found:
        name = extension.metadata.canonical_name
        if extension.enabled and name in seen:
            extension = replace(extension, off_because=f"The extension {seen[name]} has the same name {name!r}.")
        elif extension.enabled:
            seen[name] = extension.name
        kept.append(extension)
    return kept

"""git, as extensions need it: clone, fetch, the list of commits, and going to one of them."""

from __future__ import annotations

import re
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from modules.core.errors import ExtensionFailed
from modules.plugins.programs import Watch, quiet_environment, run_program
from modules.plugins.sources import PROTOCOLS

MOST_COMMITS = 100
QUICK_SECONDS = 60.0
_SETTINGS = (
    # Nothing of the user's, and nothing of the extension's, is run by git itself.
    "core.hooksPath=", "core.fsmonitor=false", "credential.helper=", "core.fileMode=false", "advice.detachedHead=false",
    "core.askPass=", "user.name=Easel", "user.email=easel@localhost", "core.quotePath=false",
)  # fmt: skip
_FORMAT = "%H%x1f%ct%x1f%an%x1f%s"
_PERCENT = re.compile(r"(?P<what>[A-Z][a-z]+ (?:objects|deltas)|Updating files):\s+(?P<percent>\d+)%")
_LAST_LINES = 4


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit. `when`: seconds since 1970; `title`: the first line of what its author says of it."""

    commit: str
    when: float
    author: str
    title: str

    def message(self) -> dict[str, Any]:
        """Return the commit as JSON."""
        return asdict(self)


class Git:
    """Runs git. Everything raises ExtensionFailed with git's own words, and TaskCancelled."""

    def __init__(self, protocols: tuple[str, ...] = PROTOCOLS) -> None:
        """Let git use these protocols only; "file" is for tests."""
        self._environment = quiet_environment(protocols, {"LC_ALL": "C.UTF-8", "LANGUAGE": "C"})
        self.protocols = protocols

    def clone(self, address: str, branch: str, target: Path, watch: Watch) -> None:
        """Clone a repository with its history and submodules into a folder that is not there yet."""
        chosen = ["--branch", branch] if branch else []
        command = ["clone", "--progress", "--recurse-submodules", *chosen, "--", address, str(target)]
        self._run(command, target.parent, watch)

    def fetch(self, folder: Path, watch: Watch) -> None:
        """Bring what is new at the remote."""
        self._run(["fetch", "--progress", "--prune", "--tags", "--force", "--all"], folder, watch)

    def target(self, folder: Path) -> str:
        """Return the name of what an update goes to: the remote's side of this branch, or its main branch."""
        branch = self._try(folder, "symbolic-ref", "--quiet", "--short", "HEAD")
        candidates = [f"origin/{branch}"] if branch else []
        for candidate in [*candidates, "origin/HEAD", "origin/main", "origin/master"]:
            if self._try(folder, "rev-parse", "--verify", "--quiet", f"{candidate}^{{commit}}"):
                return candidate
        raise ExtensionFailed(f"{folder.name} has no branch that could be updated.")

    def commits(self, folder: Path, revisions: str, most: int = MOST_COMMITS) -> list[Commit]:
        """Return the newest commits of a revision or range such as "HEAD..origin/main"."""
        command = ["log", f"--max-count={most}", f"--format={_FORMAT}", "--end-of-options", revisions, "--"]
        fields = (line.split("\x1f") for line in self._output(folder, *command).splitlines())
        return [Commit(each[0], float(each[1]), each[2], each[3]) for each in fields if len(each) == 4]

    def has(self, folder: Path, commit: str) -> bool:
        """Say whether a commit is here already."""
        return bool(self._try(folder, "rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}"))

    def go_to(self, folder: Path, revision: str, watch: Watch) -> bool:
        """Set branch and files to a commit; says whether changes of the user's were put aside with `git stash`."""
        changed = bool(self._output(folder, "status", "--porcelain", "--untracked-files=no", "--ignore-submodules"))
        if changed:
            self._run(["stash", "push", "--message", "Easel: put aside before another commit"], folder, watch)
        full = self._output(folder, "rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}")
        self._run(["reset", "--hard", full], folder, watch)
        if (folder / ".gitmodules").is_file():
            self._run(["submodule", "update", "--init", "--recursive", "--force"], folder, watch)
        return changed

    def _run(self, arguments: list[str], folder: Path, watch: Watch, limit: float = 3600.0) -> None:
        said: list[str] = []

        def line(text: str) -> None:
            if text and not _PERCENT.search(text):
                said.append(text)
            watch.line(text)

        code = run_program(
            self._command(*arguments), folder, self._environment, Watch(line, watch.cancelled), limit
        )
        if code:
            raise ExtensionFailed(f"git {arguments[0]} failed: {_reason(said)}")

    def _output(self, folder: Path, *arguments: str) -> str:
        lines: list[str] = []
        command = self._command(*arguments)
        code = run_program(command, folder, self._environment, Watch(lines.append), QUICK_SECONDS)
        if code:
            raise ExtensionFailed(f"git {arguments[0]} failed: {_reason(lines)}")
        return "\n".join(lines).strip()

    def _try(self, folder: Path, *arguments: str) -> str:
        """Return what git says, "" where it says no."""
        lines: list[str] = []
        code = run_program(self._command(*arguments), folder, self._environment, Watch(lines.append), QUICK_SECONDS)
        return "" if code else "\n".join(lines).strip()

    def _command(self, *arguments: str) -> list[str]:
        program = shutil.which("git")
        if program is None:
            raise ExtensionFailed("git is not installed on the server. Install it, or install extensions from a zip.")
        return [program, *(part for setting in _SETTINGS for part in ("-c", setting)), *arguments]


def percent_of(line: str) -> tuple[str, float] | None:
    """Return what a line of git's progress tells: what it does, and how much of that is done, 0 to 1."""
    match = _PERCENT.search(line)
    return (match["what"], int(match["percent"]) / 100) if match else None


def _reason(lines: list[str]) -> str:
    """Return the lines in which git says what went wrong."""
    telling = [line for line in lines if line.startswith(("fatal:", "error:", "ERROR:", "remote:"))]
    return " ".join(telling[-_LAST_LINES:] or lines[-_LAST_LINES:]) or "it did not say why."

"""What an extension's remote has that is not here yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from modules.core.errors import ExtensionFailed
from modules.plugins.discovery import Extension
from modules.plugins.git import Commit, Git
from modules.plugins.programs import Watch


@dataclass(frozen=True, slots=True)
class UpdateState:
    """What a look at the remote found: the commits that are new there, or why it could not be told."""

    commits: tuple[Commit, ...] = ()
    problem: str = ""

    def message(self) -> dict[str, Any]:
        """Return the state as JSON."""
        return {"commits": [commit.message() for commit in self.commits], "problem": self.problem}


def look_for_updates(git: Git, extension: Extension, watch: Watch) -> UpdateState:
    """Ask the remote for what is new. Raises TaskCancelled."""
    if extension.git is None:
        return UpdateState(problem="It is no git checkout, so nothing can be told about updates.")
    try:
        git.fetch(extension.path, watch)
        return UpdateState(tuple(git.commits(extension.path, f"HEAD..{git.target(extension.path)}")))
    except ExtensionFailed as error:
        return UpdateState(problem=str(error))

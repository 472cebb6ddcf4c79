"""Extensions in a temporary folder, and git repositories that they come from."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from modules.plugins.discovery import Extension, Extensions, Switches
from modules.plugins.git import Git
from modules.plugins.installer import Installer, InstallerTools, Judges
from modules.plugins.packages import PackageSetup, SetupPlaces
from modules.plugins.programs import quiet_environment
from modules.plugins.reports import Reports
from modules.plugins.safety import SAFETY_FILE, Safety
from modules.plugins.snapshots import SnapshotStore
from modules.plugins.trash import Trash

LOCAL = ("https", "ssh", "file")
TRIAL = ("-c", "import importlib.util, sys; sys.exit('No start.' if importlib.util.find_spec('easelbreaks') else 0)")
"""Stands for Easel's start, which one package makes impossible."""


@dataclass
class Repository:
    """A git repository on this disk."""

    path: Path

    def git(self, *arguments: str) -> str:
        command = ["git", "-c", "user.name=Anna", "-c", "user.email=anna@localhost", *arguments]
        environment = {**quiet_environment(LOCAL), "GIT_COMMITTER_DATE": "2026-01-02T03:04:05Z"}
        done = subprocess.run(command, cwd=self.path, check=True, capture_output=True, text=True, env=environment)
        return done.stdout.strip()

    def commit(self, title: str, files: Mapping[str, str]) -> str:
        for name, text in files.items():
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            (self.path / name).write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", title)
        return self.git("rev-parse", "HEAD")

    @property
    def address(self) -> str:
        return self.path.as_uri()


def repository(path: Path, files: Mapping[str, str] | None = None) -> Repository:
    path.mkdir(parents=True)
    made = Repository(path)
    made.git("init", "--quiet", "--initial-branch=main")
    made.commit("first", files or {"scripts/one.py": "ONE = 1\n"})
    return made


@dataclass
class House:
    """All services of extensions over one folder."""

    folder: Path
    installed: Extensions
    reports: Reports
    safety: Safety
    installer: Installer
    off: set[str] = field(default_factory=set)

    def carry_out(self, order: tuple[str, dict[str, object]]) -> str:
        return self.installer.run(order[1], lambda fraction, detail: None, lambda: False)

    def get(self, name: str) -> Extension:
        found = self.installed.get(name)
        assert found is not None
        return found


def open_house(folder: Path, root: Path | None = None, safe_mode: bool = False) -> House:
    state = folder / "state"
    state.mkdir(parents=True, exist_ok=True)
    off: set[str] = set()
    safety, reports = Safety(state / SAFETY_FILE, safe_mode), Reports()
    installed = Extensions(folder / "extensions", lambda: Switches(frozenset(off)), safety)

    def switch(wanted: Mapping[str, bool]) -> None:
        off.difference_update(name for name, on in wanted.items() if on)
        off.update(name for name, on in wanted.items() if not on)

    setup = PackageSetup(SetupPlaces(root or folder, state, TRIAL), LOCAL)
    tools = InstallerTools(
        Git(LOCAL), setup, Trash(state / "trash"), SnapshotStore(folder / "config_states"), state
    )
    installer = Installer(installed, tools, Judges(reports, safety, switch))
    return House(folder, installed, reports, safety, installer, off)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return open_house(tmp_path)


@pytest.fixture
def source(tmp_path: Path) -> Repository:
    return repository(tmp_path / "remotes" / "sd-webui-thing")

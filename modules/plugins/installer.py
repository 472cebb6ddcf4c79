"""Installing, updating, rolling back, restoring and removing extensions: as tasks, one at a time, each with a log."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modules.core.errors import ExtensionFailed, FieldProblem, InvalidRequest
from modules.plugins.archive import suggested_name, unpack
from modules.plugins.discovery import Extension, Extensions
from modules.plugins.git import Commit, Git
from modules.plugins.packages import CoreRefused, PackageSetup
from modules.plugins.programs import Watch
from modules.plugins.reports import Reports
from modules.plugins.safety import Safety
from modules.plugins.snapshots import SavedExtension, Snapshot, SnapshotStore
from modules.plugins.sources import checked_address, checked_branch, checked_commit, checked_name, name_of, same_source
from modules.plugins.trash import Trash
from modules.plugins.updates import UpdateState, look_for_updates
from modules.plugins.work import CLONED, ReportProgress, Work

EXTENSION_TASK = "extension"
UPLOADS_FOLDER = "extension-uploads"
LOGS_FOLDER = "extension-logs"
LONGEST_LOG = 1024 * 1024
"""Characters of a log that are shown: its end."""
_TEMPORARY = ".easel-"

Order = tuple[str, dict[str, Any]]
"""A task's title and what it needs to know."""
Switch = Callable[[Mapping[str, bool]], None]
"""Switches extensions on and off by name, in the options."""


@dataclass(frozen=True, slots=True)
class InstallerTools:
    """What the installer works with. `state`: folder for uploads and logs, absolute."""

    git: Git
    setup: PackageSetup
    trash: Trash
    snapshots: SnapshotStore
    state: Path


@dataclass(frozen=True, slots=True)
class Judges:
    """Whom the installer tells what became of an extension, and who switches it."""

    reports: Reports
    safety: Safety
    switch: Switch


class Installer:
    """Takes orders, which it checks at once, and carries them out as tasks. Safe to use from all threads."""

    def __init__(self, extensions: Extensions, tools: InstallerTools, judges: Judges) -> None:
        self.snapshots = tools.snapshots
        self.trash = tools.trash
        self._extensions = extensions
        self._git = tools.git
        self._setup = tools.setup
        self._state = tools.state
        self._reports = judges.reports
        self._safety = judges.safety
        self._switch = judges.switch
        self._lock = threading.Lock()
        self._updates: dict[str, UpdateState] = {}
        self._actions: Mapping[str, Callable[[Mapping[str, Any], Work], str]] = {
            "install": self._install,
            "unpack": self._unpack,
            "check": self._check,
            "update": self._update,
            "go_to": self._go_to,
            "set_up": self._set_up_again,
            "restore": self._restore,
        }

    # What may be asked for: checked here, so that what is wrong is told in the form.

    def order_install(self, url: str, branch: str = "", name: str = "") -> Order:
        """Order an extension from a git address. Raises InvalidRequest."""
        address = checked_address(url, self._git.protocols)
        folder = self._free_name(name or name_of(address))
        twin = next((each for each in self._extensions.all() if same_source(each.remote, address)), None)
        if twin is not None:
            problem = FieldProblem("url", "Address", f"what is installed as {twin.name}", "one that is not installed")
            raise InvalidRequest([problem])
        branch = checked_branch(branch)
        return f"Extension {folder}", {"action": "install", "url": address, "branch": branch, "name": folder}

    def order_unpack(self, content: bytes, file_name: str, name: str = "") -> Order:
        """Order an extension from a zip file's bytes. Raises InvalidRequest and ExtensionFailed."""
        folder = self._state / UPLOADS_FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        upload = folder / f"{secrets.token_hex(16)}.zip"
        upload.write_bytes(content)
        try:
            chosen = self._free_name(name or name_of(suggested_name(upload)) or name_of(file_name))
        except InvalidRequest:
            upload.unlink(missing_ok=True)
            raise
        return f"Extension {chosen}", {"action": "unpack", "upload": upload.name, "name": chosen}

    def order_check(self) -> Order:
        """Order a look for updates of all extensions."""
        return "Updates of extensions", {"action": "check"}

    def order_update(self, names: Sequence[str]) -> Order:
        """Order updates of some extensions. Raises ExtensionFailed."""
        for name in names:
            self._checkout(name)
        title = f"Extension {names[0]}" if len(names) == 1 else f"{len(names)} extensions"
        return title, {"action": "update", "names": list(names)}

    def order_go_to(self, name: str, commit: str) -> Order:
        """Order that an extension goes to any commit that it has had. Raises InvalidRequest and ExtensionFailed."""
        self._checkout(name)
        return f"Extension {name}", {"action": "go_to", "name": name, "commit": checked_commit(commit)}

    def order_set_up(self, name: str, lenient: bool = False) -> Order:
        """Order that an extension's requirements and install.py run again. Raises ExtensionFailed.

        `lenient`: without what would change a package that Easel stands on.
        """
        self._known(name)
        return f"Setup of {name}", {"action": "set_up", "name": name, "lenient": lenient}

    def order_restore(self, file: str) -> Order:
        """Order that all extensions are as a backup says. Raises ExtensionFailed."""
        return f"Extensions as in {self.snapshots.get(file).name}", {"action": "restore", "file": file}

    # What is done at once.

    def remove(self, name: str) -> str:
        """Move an extension to the trash; returns its entry there. What runs of it runs until the next start."""
        entry = self.trash.discard(self._known(name).path)
        self._setup.forget(name)
        self._safety.forgive(name)
        with self._lock:
            self._updates.pop(name, None)
        return entry

    def put_back(self, entry: str) -> str:
        """Put an extension back from the trash; returns its name."""
        return self.trash.put_back(entry, self._extensions.folder)

    def back_up(self, name: str) -> Snapshot:
        """Write down the whole set as it is now."""
        return self.snapshots.save(name, self._extensions.all())

    def updates(self) -> dict[str, UpdateState]:
        """Return what the last looks at the remotes found, by the extensions' names."""
        with self._lock:
            return dict(self._updates)

    def history(self, name: str) -> list[Commit]:
        """Return the newest commits that an extension can go to, those of its remote too. Raises ExtensionFailed."""
        folder = self._checkout(name).path
        commits: dict[str, Commit] = {}
        with contextlib.suppress(ExtensionFailed):
            commits = {each.commit: each for each in self._git.commits(folder, self._git.target(folder))}
        commits |= {each.commit: each for each in self._git.commits(folder, "HEAD")}
        return sorted(commits.values(), key=lambda commit: -commit.when)

    def log(self, name: str) -> str:
        """Return the log of what was done last with an extension, "" when there is none."""
        path = self._log_path(checked_name(name))
        return path.read_text(encoding="utf-8", errors="replace")[-LONGEST_LOG:] if path.is_file() else ""

    def set_up_new(self, extensions: Sequence[Extension]) -> None:
        """Set up what users have put into the folder themselves, before it is loaded for the first time."""
        for extension in extensions:
            if self._setup.wanted(extension.path):
                work = Work(lambda fraction, detail: None, lambda: False, self._log_path(extension.name))
                with contextlib.suppress(ExtensionFailed):
                    self._set_up(extension.name, work)

    # Tasks.

    def run(self, spec: Mapping[str, Any], report: ReportProgress, cancelled: Callable[[], bool]) -> str:
        """Carry out an order; returns in words what came out. Raises ExtensionFailed and TaskCancelled."""
        log = self._log_path(str(spec.get("name") or "extensions"))
        return self._actions[str(spec["action"])](spec, Work(report, cancelled, log))

    def discard(self, spec: Mapping[str, Any]) -> None:
        """Clear away what an unfinished order left."""
        if "upload" in spec:
            self._upload(spec).unlink(missing_ok=True)
        if "name" in spec:
            shutil.rmtree(self._temporary(str(spec["name"])), ignore_errors=True)

    def _install(self, spec: Mapping[str, Any], work: Work) -> str:
        name, address = str(spec["name"]), str(spec["url"])
        known = self._extensions.get(name)
        if known is None:
            self._clone(SavedExtension(name, True, address, branch=str(spec["branch"])), work)
        elif not same_source(known.remote, address):
            raise ExtensionFailed(f"There is an extension {name} already.")
        # Else a server that was stopped in the middle goes on with the setup.
        return self._finish(name, work)

    def _unpack(self, spec: Mapping[str, Any], work: Work) -> str:
        name, upload = str(spec["name"]), self._upload(spec)
        if self._extensions.get(name) is None:
            temporary = self._temporary(name)
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.parent.mkdir(parents=True, exist_ok=True)
            try:
                work.report(0.1, "Unpacking")
                unpack(upload, temporary)
                os.replace(temporary, self._extensions.folder / name)
            except OSError as error:
                raise ExtensionFailed(f"{name} cannot be put in its place: {error.strerror or error}.") from error
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
        upload.unlink(missing_ok=True)
        return self._finish(name, work)

    def _finish(self, name: str, work: Work) -> str:
        work.report(CLONED, "Setting up")
        self._set_up(name, work)
        return "It is loaded at the next start."

    def _check(self, _: Mapping[str, Any], work: Work) -> str:
        extensions = [each for each in self._extensions.all() if each.git is not None]
        behind = 0
        for number, extension in enumerate(extensions):
            work.report(number / len(extensions), extension.name)
            state = look_for_updates(self._git, extension, Watch(work.write, work.cancelled))
            behind += bool(state.commits)
            with self._lock:
                self._updates[extension.name] = state
        return f"{behind} of {len(extensions)} can be updated."

    def _update(self, spec: Mapping[str, Any], work: Work) -> str:
        names: list[str] = list(spec["names"])
        moved, problems = [], []
        for number, name in enumerate(names):
            work.report(number / len(names), name)
            try:
                extension = self._checkout(name)
                self._git.fetch(extension.path, work.watch)
                moved += self._go(extension, self._git.target(extension.path), work)
            except ExtensionFailed as error:
                problems.append(f"{name}: {error}")
        if problems:
            raise ExtensionFailed(" ".join(problems))
        return f"{', '.join(moved)}. It acts after the next start." if moved else "Nothing was new."

    def _go_to(self, spec: Mapping[str, Any], work: Work) -> str:
        extension = self._checkout(str(spec["name"]))
        commit = str(spec["commit"])
        if not self._git.has(extension.path, commit):
            self._git.fetch(extension.path, work.watch)
        moved = self._go(extension, commit, work)
        return f"{moved[0]}. It acts after the next start." if moved else "It was there already."

    def _set_up_again(self, spec: Mapping[str, Any], work: Work) -> str:
        work.report(0.1, "Setting up")
        name, lenient = str(spec["name"]), bool(spec.get("lenient"))
        try:
            done = self._set_up(name, work, lenient)
        except ExtensionFailed as error:
            if lenient and not isinstance(error.__cause__, CoreRefused):
                # It was asked to be on with what could be had.
                self._safety.forgive(name)
            raise
        self._safety.forgive(name)
        if not done:
            return "It has nothing to set up."
        return "It was set up without what would change Easel's own packages." if lenient else "It was set up again."

    def _restore(self, spec: Mapping[str, Any], work: Work) -> str:
        saved = {each.name: each for each in self.snapshots.get(str(spec["file"])).extensions}
        problems = []
        for number, each in enumerate(saved.values()):
            work.report(number / len(saved), each.name)
            try:
                self._restore_one(each, work)
            except (ExtensionFailed, InvalidRequest) as error:
                problems.append(f"{each.name}: {error}")
        others = [each.name for each in self._extensions.all() if each.name not in saved]
        self._switch({**{name: each.enabled for name, each in saved.items()}, **dict.fromkeys(others, False)})
        if problems:
            raise ExtensionFailed(" ".join(problems))
        return f"{len(saved)} extensions are as they were; {len(others)} others are off. It acts after the next start."

    def _restore_one(self, saved: SavedExtension, work: Work) -> None:
        extension = self._extensions.get(saved.name)
        if extension is None:
            checked_address(saved.remote, self._git.protocols)
            self._clone(saved, work)
            self._set_up(saved.name, work)
            extension = self._checkout(saved.name)
        if saved.commit and extension.git is not None and extension.commit != saved.commit:
            commit = checked_commit(saved.commit)
            if not self._git.has(extension.path, commit):
                self._git.fetch(extension.path, work.watch)
            self._go(extension, commit, work)

    def _clone(self, wanted: SavedExtension, work: Work) -> None:
        temporary = self._temporary(wanted.name)
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._git.clone(wanted.remote, checked_branch(wanted.branch), temporary, work.watch)
            os.replace(temporary, self._extensions.folder / wanted.name)
        except OSError as error:
            raise ExtensionFailed(f"{wanted.name} cannot be put in its place: {error.strerror or error}.") from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def _go(self, extension: Extension, revision: str, work: Work) -> list[str]:
        """Go to a revision and set up again; returns in words what moved, if anything did."""
        before = extension.commit
        stashed = self._git.go_to(extension.path, revision, work.watch)
        after = self._checkout(extension.name)
        with self._lock:
            self._updates.pop(extension.name, None)
        if after.commit == before and not stashed:
            return []
        self._set_up(extension.name, work)
        kept = "; your changes to its files lie in git stash" if stashed else ""
        return [f"{extension.name} went from {before[:8]} to {after.version}{kept}"]

    def _set_up(self, name: str, work: Work, lenient: bool = False) -> bool:
        """Run requirements and install.py; what would change a core package keeps the extension off."""
        try:
            if not self._setup.run(self._extensions.folder / name, work.watch, lenient):
                return False
            self._reports.settle(name, "install")
            self._extensions.note_setup(name)
            return True
        except CoreRefused as error:
            self._safety.keep_off(name, "install", f"It was not set up. {error}")
            self._reports.fail(name, "install", str(error), trace=self.log(name))
            raise ExtensionFailed(f"{name} is installed but off. {error}") from error
        except ExtensionFailed as error:
            self._reports.fail(name, "install", str(error), trace=self.log(name))
            raise ExtensionFailed(f"{name} is installed, but {error}") from error

    def _known(self, name: str) -> Extension:
        extension = self._extensions.get(name)
        if extension is None:
            raise ExtensionFailed(f"There is no extension {name}.")
        return extension

    def _checkout(self, name: str) -> Extension:
        extension = self._known(name)
        if extension.git is None:
            raise ExtensionFailed(f"{name} is no git checkout, so it cannot be updated or rolled back.")
        return extension

    def _free_name(self, name: str) -> str:
        """Return a name that no extension has. Raises InvalidRequest."""
        name = checked_name(name)
        taken = {each.name.lower() for each in self._extensions.all()}
        if name.lower() in taken or (self._extensions.folder / name).exists():
            raise InvalidRequest([FieldProblem("name", "Folder name", name, "a name that no other extension has")])
        return name

    def _temporary(self, name: str) -> Path:
        return self._extensions.folder / f"{_TEMPORARY}{checked_name(name)}"

    def _upload(self, spec: Mapping[str, Any]) -> Path:
        return self._state / UPLOADS_FOLDER / Path(str(spec["upload"])).name

    def _log_path(self, name: str) -> Path:
        return self._state / LOGS_FOLDER / f"{name}.log"

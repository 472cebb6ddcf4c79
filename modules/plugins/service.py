"""Everything about extensions in one value: for the composition root, the page, the adapter and the doctor."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modules.cli import REPO_ROOT, AppConfig
from modules.core.errors import ExtensionFailed
from modules.core.files import write_whole
from modules.hooks.registry import HookRegistry
from modules.library.downloads.web_client import WebClient
from modules.plugins.discovery import EXTENSIONS_FOLDER, Extension, Extensions, Switches
from modules.plugins.git import Git
from modules.plugins.index import IndexStore
from modules.plugins.installer import Installer, InstallerTools, Judges
from modules.plugins.loading import PluginLoader
from modules.plugins.packages import PackageSetup, SetupPlaces
from modules.plugins.reports import Reports
from modules.plugins.safety import SAFETY_FILE, Safety
from modules.plugins.snapshots import SNAPSHOT_FOLDER, SnapshotStore
from modules.plugins.sources import PROTOCOLS
from modules.plugins.trash import TRASH_FOLDER, Trash
from modules.plugins.work import ReportProgress
from modules.settings.store import SettingsStore

logger = logging.getLogger(__name__)

REPORT_FILE = "extensions-report.json"
TRIAL = ("-c", "import modules.engine.service")
"""What Python is to run, to see whether the engine's packages can still be imported."""
DISABLED_OPTION = "disabled_extensions"
DISABLE_ALL_OPTION = "disable_all_extensions"
ORDER_OPTION = "call_order"


@dataclass(frozen=True, slots=True)
class ExtensionServices:
    """The services of extensions. `installs`: new ones may be set up at the start."""

    installed: Extensions
    reports: Reports
    safety: Safety
    loader: PluginLoader
    installer: Installer
    index: IndexStore
    settings: SettingsStore
    hooks: HookRegistry
    installs: bool = True

    def start(self) -> list[Extension]:
        """Judge what killed the last server, set up what is new, load our own plugins; returns what is to be loaded."""
        self.safety.judge()
        if self.installs:
            self.installer.set_up_new(self.installed.enabled())
        enabled = self.installed.enabled()
        self.installed.note_running(enabled)
        for extension in enabled:
            for problem in self.installed.unmet(extension):
                self.reports.note(extension.name, problem)
            if extension.metadata.problem:
                self.reports.note(extension.name, extension.metadata.problem)
            self.loader.load(extension)
        self.hooks.arrange(self.settings.get(ORDER_OPTION))
        return enabled

    def order(self) -> list[dict[str, str]]:
        """Return who is called, in this order: plugins by their ids, then A1111's extensions by their names."""
        rank = {name: place for place, name in enumerate(self.settings.get(ORDER_OPTION))}
        foreign = [each for each in self.installed.enabled() if each.uses_a1111]
        foreign.sort(key=lambda each: rank.get(each.name, len(rank)))
        plugins = [{"id": each.name, "title": each.title, "kind": "plugin"} for each in self.hooks.descriptions()]
        named = [{"id": each.name, "title": each.metadata.canonical_name, "kind": "extension"} for each in foreign]
        return [*plugins, *named]

    def arrange(self, names: Sequence[str]) -> None:
        """Have plugins and extensions called in this order, at once. Raises ExtensionFailed, StorageFailed."""
        known = {each["id"] for each in self.order()}
        for name in names:
            if name not in known:
                raise ExtensionFailed(f"There is no plugin or extension {name} whose place could be changed.")
        self.settings.update({ORDER_OPTION: list(names)})

    def switch(self, wanted: Mapping[str, bool]) -> None:
        """Switch extensions on and off by name, from the next start on. Raises StorageFailed."""
        switch_extensions(self.settings, self.safety, wanted)

    def run(self, spec: Mapping[str, Any], report: ReportProgress, cancelled: Callable[[], bool]) -> str:
        """Carry out an order of the installer, as a task of the board."""
        return self.installer.run(spec, report, cancelled)

    def write_report(self, state: Path) -> None:
        """Write down how all extensions stand, for the doctor who comes while this server runs."""
        content = [self.describe(each) for each in self.installed.all()]
        try:
            write_whole(state / REPORT_FILE, json.dumps(content), lasting=False)
        except OSError as error:
            logger.warning("The report on extensions cannot be written: %s.", error.strerror or error)

    def known(self, name: str) -> Extension:
        """Return an extension. Raises ExtensionFailed when there is none of that name."""
        extension = self.installed.get(name)
        if extension is None:
            raise ExtensionFailed(f"There is no extension {name}.")
        return extension

    def describe(self, extension: Extension) -> dict[str, Any]:
        """Return all that is known of an extension, as JSON for the page and the doctor."""
        verdict = self.safety.verdict(extension.name)
        update = self.installer.updates().get(extension.name)
        return {
            "name": extension.name,
            "title": extension.metadata.canonical_name,
            "enabled": extension.enabled,
            "switched_on": extension.switched_on and verdict is None,
            "off_because": extension.off_because,
            "kept_off": verdict is not None,
            "refused": verdict is not None and verdict.part == "install",
            "restart": self.installed.needs_restart(extension),
            "is_git": extension.git is not None,
            "version": extension.version,
            "commit": extension.commit,
            "branch": extension.branch,
            "remote": extension.remote,
            "requires": self.installed.unmet(extension) if extension.enabled else [],
            "update": update.message() if update is not None else None,
            **self.reports.of(extension.name).message(),
        }


def open_extensions(
    config: AppConfig, settings: SettingsStore, state: Path, hooks: HookRegistry, protocols: tuple[str, ...] = PROTOCOLS
) -> ExtensionServices:
    """Build the services; nothing is judged or loaded before `start`. `state`: a folder that is there."""
    safety, reports = Safety(state / SAFETY_FILE, config.safe_mode), Reports()
    installed = Extensions(config.data_dir / EXTENSIONS_FOLDER, lambda: switches_of(settings, config), safety)
    git = Git(protocols)
    tools = InstallerTools(
        git,
        PackageSetup(SetupPlaces(REPO_ROOT, state, TRIAL), protocols),
        Trash(state / TRASH_FOLDER),
        SnapshotStore(config.data_dir / SNAPSHOT_FOLDER),
        state,
    )

    def switch(wanted: Mapping[str, bool]) -> None:
        switch_extensions(settings, safety, wanted)

    def arrange(changes: Mapping[str, Any]) -> None:
        if ORDER_OPTION in changes:
            hooks.arrange(changes[ORDER_OPTION])

    settings.subscribe(arrange)
    return ExtensionServices(
        installed=installed,
        reports=reports,
        safety=safety,
        loader=PluginLoader(hooks, reports, safety),
        installer=Installer(installed, tools, Judges(reports, safety, switch)),
        index=IndexStore(WebClient()),
        settings=settings,
        hooks=hooks,
        installs=config.installs and not config.safe_mode,
    )


def read_report(state: Path) -> list[dict[str, Any]]:
    """Return what the running server wrote down. Raises ExtensionFailed when it has not, or nobody can read it."""
    try:
        content: list[dict[str, Any]] = json.loads((state / REPORT_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ExtensionFailed(f"the running server has not told of its extensions yet ({error}).") from error
    return content


def switches_of(settings: SettingsStore, config: AppConfig) -> Switches:
    """Return what options and flags say now; the stricter of the two counts."""
    flagged = config.disable_extensions
    return Switches(
        frozenset(settings.get(DISABLED_OPTION)),
        settings.get(DISABLE_ALL_OPTION) if flagged == "none" else flagged,
    )


def switch_extensions(settings: SettingsStore, safety: Safety, wanted: Mapping[str, bool]) -> None:
    """Change the option; what is switched on is no longer kept off for what it did."""
    before = settings.get(DISABLED_OPTION)
    off = [name for name in before if not wanted.get(name, False)]
    off += [name for name, on in wanted.items() if not on and name not in off]
    settings.update({DISABLED_OPTION: off})
    for name, on in wanted.items():
        if on:
            safety.forgive(name)

"""Plugins of Easel's own kind in an extension's folder: `easel_plugin.py` with a list `PLUGINS`.

The file is imported as a package of its own, so that it may import its neighbours relatively (`from .looks import X`).
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from modules.core.errors import EaselError, PluginFailed
from modules.hooks.plugins import PluginDescription
from modules.hooks.registry import PREFIXES, HookRegistry, Plugin, RunStart
from modules.hooks.spec import HOOKS, RunListener
from modules.plugins.discovery import PLUGIN_FILE, Extension
from modules.plugins.reports import Reports
from modules.plugins.safety import Safety

PACKAGE_PREFIX = "easel_extension_"
_NOT_IN_PACKAGES = re.compile(r"\W")


class PluginLoader:
    """Adds extensions' own plugins to the hooks and takes them away again."""

    def __init__(self, hooks: HookRegistry, reports: Reports, safety: Safety) -> None:
        self._hooks = hooks
        self._reports = reports
        self._safety = safety
        self._loaded: dict[str, list[str]] = {}

    def load(self, extension: Extension) -> bool:
        """Import an extension's plugins and add them; says whether all went well. Errors are in the reports."""
        if not extension.has_plugins or extension.name in self._loaded:
            return extension.name in self._loaded
        name = extension.name
        with self._safety.running(name, "import", PLUGIN_FILE), self._reports.guard(name, "import", PLUGIN_FILE):
            added: list[str] = []
            try:
                for plugin in _plugins_of(extension):
                    self._reports.claim(name, "plugin", plugin.description.name)
                    self._hooks.add(ReportedPlugin(plugin, name, self._reports, self._safety))
                    added.append(plugin.description.name)
            except BaseException:
                self._take_away(name, added)
                raise
            self._loaded[name] = added
            self._reports.loaded(name)
        return name in self._loaded

    def unload(self, name: str) -> None:
        """Take an extension's plugins away; runs that go on keep them to their end."""
        if name in self._loaded:
            self._take_away(name, self._loaded.pop(name))
            self._reports.loaded(name, False)

    def reload(self, extension: Extension) -> bool:
        """Load an extension's plugins anew, as when its files have changed; says whether all went well."""
        self.unload(extension.name)
        self._reports.forget(extension.name)
        return self.load(extension)

    def loaded(self) -> tuple[str, ...]:
        """Return the names of the extensions whose plugins are in."""
        return tuple(self._loaded)

    def _take_away(self, name: str, plugins: list[str]) -> None:
        for plugin in plugins:
            self._hooks.remove(plugin)
        _forget_modules(package_of(name))


class ReportedPlugin:
    """A plugin whose errors and hooks are told to the reports, and which is blamed if the process dies in it."""

    def __init__(self, plugin: Plugin, extension: str, reports: Reports, safety: Safety) -> None:
        self._plugin = plugin
        self._extension = extension
        self._reports = reports
        self._safety = safety

    @property
    def description(self) -> PluginDescription:
        """The plugin's own."""
        return self._plugin.description

    def listen(self, run: RunStart) -> RunListener:
        """Return the plugin's listener, each of its hooks watched."""
        with self.watched("listen"):
            listener = self._plugin.listen(run)
        hooks = [hook for hook in HOOKS if getattr(type(listener), hook) is not getattr(RunListener, hook)]
        methods: dict[str, Any] = {hook: self._call(listener, hook) for hook in hooks}
        # What looks like a hook and is none comes along, so that the registry can refuse it by its name.
        own = {
            name: value for name, value in vars(type(listener)).items()
            if name.startswith(PREFIXES) and name not in HOOKS
        }  # fmt: skip
        for name in own:
            self._reports.fail(self._extension, "hook", f"{type(listener).__name__}.{name} is no hook.", name)
        for hook in hooks:
            self._reports.uses(self._extension, hook)
        made: RunListener = type(type(listener).__name__, (RunListener,), {**own, **methods})()
        return made

    @contextmanager
    def watched(self, hook: str, mark: bool = True) -> Iterator[None]:
        """Note what goes wrong in a block, and let it go on to the hook registry, which knows what to do then."""
        running: AbstractContextManager[None] = nullcontext()
        if mark:
            running = self._safety.running(self._extension, "hook", hook)
        with running:
            try:
                yield
            except EaselError:
                raise
            except Exception as error:
                self._reports.fail(self._extension, "hook", error, hook)
                raise

    def _call(self, listener: RunListener, hook: str) -> Callable[..., Any]:
        method = getattr(listener, hook)
        called = False

        def call(_: RunListener, context: Any) -> Any:
            nonlocal called
            # Hooks of every step would write the file too often; what kills the process kills it the first time.
            first, called = not called, True
            with self.watched(hook, first):
                return method(context)

        def wrap(_: RunListener, given: Any, call_next: Callable[[Any], Any]) -> Any:
            nonlocal called
            first, called = not called, True
            raised: list[BaseException] = []

            def go_on(changed: Any) -> Any:
                with self._safety.own_code() if first else nullcontext():
                    try:
                        return call_next(changed)
                    except BaseException as error:
                        raised.append(error)
                        raise

            with self._safety.running(self._extension, "hook", hook) if first else nullcontext():
                try:
                    return method(given, go_on)
                except Exception as error:
                    if error not in raised and not isinstance(error, EaselError):
                        self._reports.fail(self._extension, "hook", error, hook)
                    raise

        return wrap if HOOKS[hook] == "wrap" else call


def package_of(name: str) -> str:
    """Return the name under which an extension's plugin file is imported."""
    return PACKAGE_PREFIX + _NOT_IN_PACKAGES.sub("_", name)


def _plugins_of(extension: Extension) -> list[Plugin]:
    """Import the file and return its plugins. Raises PluginFailed, and whatever the file raises."""
    package = package_of(extension.name)
    _forget_modules(package)
    importlib.invalidate_caches()
    path = extension.path / PLUGIN_FILE
    spec = importlib.util.spec_from_file_location(package, path, submodule_search_locations=[str(extension.path)])
    assert isinstance(spec, importlib.machinery.ModuleSpec)
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[package] = module
    spec.loader.exec_module(module)
    plugins = getattr(module, "PLUGINS", None)
    if not isinstance(plugins, (list, tuple)):
        raise PluginFailed(f"{PLUGIN_FILE} of {extension.name} has no list PLUGINS.")
    for plugin in plugins:
        if not isinstance(getattr(plugin, "description", None), PluginDescription) or not hasattr(plugin, "listen"):
            raise PluginFailed(f"{plugin!r} in PLUGINS of {extension.name} is no plugin: see docs/hooks.md.")
    return list(plugins)


def _forget_modules(package: str) -> None:
    """Let a package and its modules be imported from their files again."""
    for module in [each for each in sys.modules if each == package or each.startswith(f"{package}.")]:
        del sys.modules[module]

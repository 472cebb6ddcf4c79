"""What the adapter stands on: Easel's services, handed over once by `connect`, and the runs that go on now."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from PIL.Image import Image

from modules.a1111._placeholders import NotInEasel
from modules.cli import REPO_ROOT, AppConfig, parse_arguments
from modules.core.errors import EaselError
from modules.gallery.inputs import InputStore
from modules.hooks.registry import HookRegistry
from modules.jobs.queue import JobQueue
from modules.library.files import ModelFiles
from modules.plugins.discovery import Extension
from modules.plugins.reports import Part, Reports
from modules.plugins.safety import Safety
from modules.prompts.styles import StyleBook
from modules.settings.store import SettingsStore

Thing = TypeVar("Thing")


class NotConnected(EaselError):
    """Raised when something of A1111's is used that needs a running Easel, and there is none."""


class Services(Protocol):
    """What is needed of `web.services.WebServices`."""

    jobs: JobQueue
    settings: SettingsStore
    files: ModelFiles
    styles: StyleBook
    inputs: InputStore
    outputs: Path
    config: AppConfig


class Runs:
    """The runs that go on, innermost last, for each thread by itself; values are what `_bridge.py` keeps of them."""

    def __init__(self) -> None:
        self._local = threading.local()
        self._lock = threading.Lock()
        self._latest: Any = None
        self._handed: dict[str, Any] = {}

    def current(self) -> Any:
        """Return the innermost run of this thread; None outside of runs."""
        stack = getattr(self._local, "stack", None)
        return stack[-1] if stack else None

    def latest(self) -> Any:
        """Return the run that began last in any thread and has not ended; None when there is none."""
        with self._lock:
            return self._latest

    @contextmanager
    def inside(self, run: Any) -> Iterator[None]:
        """Have a run be the innermost one."""
        stack = self._local.__dict__.setdefault("stack", [])
        stack.append(run)
        with self._lock:
            before, self._latest = self._latest, run
        try:
            yield
        finally:
            stack.pop()
            with self._lock:
                self._latest = before

    @contextmanager
    def handed(self, token: str, processing: Any) -> Iterator[None]:
        """Have a processing object ready for the run whose request names `token`."""
        with self._lock:
            self._handed[token] = processing
        try:
            yield
        finally:
            with self._lock:
                self._handed.pop(token, None)

    def take(self, token: str) -> Any:
        """Return the processing object of a token; None when there is none (any more)."""
        with self._lock:
            return self._handed.get(token)


Decode = Callable[[str, Callable[[str], Image]], list[Any]]
"""Takes the JSON text of scripts' arguments and what loads a stored picture; returns the arguments."""


@dataclass(slots=True)
class Host:
    """The one object behind all modules of the adapter. Empty until `connect` fills it.

    `extensions`: those that are to be loaded, asked for once, in their order. `arguments`: the command line without the
    program's name. `own_state`: what modules of the adapter keep, by their name, so that tests can begin anew.
    """

    services: Services | None = None
    hooks: HookRegistry = field(default_factory=HookRegistry)
    reports: Reports = field(default_factory=Reports)
    safety: Safety | None = None
    extensions: tuple[Extension, ...] = ()
    arguments: tuple[str, ...] = ()
    own_state: dict[str, Any] = field(default_factory=dict)
    runs: Runs = field(default_factory=Runs)

    @property
    def connected(self) -> Services:
        """The services. Raises NotConnected."""
        if self.services is None:
            raise NotConnected("This needs a running Easel; extensions can use it once the server has begun.")
        return self.services

    @property
    def config(self) -> AppConfig:
        """The command line; the defaults where nothing is connected."""
        if self.services is not None:
            return self.services.config
        return self.state("config", lambda: parse_arguments(["--data-dir", str(REPO_ROOT)], {}))

    def state(self, name: str, make: Callable[[], Any]) -> Any:
        """Return what a module keeps under its name, made by `make` when it is asked for first."""
        if name not in self.own_state:
            self.own_state[name] = make()
        return self.own_state[name]

    @contextmanager
    def guarding(self, extension: str, part: Part, where: str = "") -> Iterator[None]:
        """Run code of an extension: its errors are written down and go no further, and a crash has a culprit."""
        extension = extension or "?"
        safe = self.safety.running(extension, part, where) if self.safety is not None else nullcontext()
        with safe, self.reports.guard(extension, part, where):
            try:
                yield
            except NotInEasel as error:
                # An EaselError would end the run, as those do that are meant for the user.
                self.reports.fail(extension, part, error, where)

    @contextmanager
    def own_code(self) -> Iterator[None]:
        """Run code of ours that an extension called: nobody is blamed for what happens in it."""
        if self.safety is None:
            yield
            return
        with self.safety.own_code():
            yield


HOST = Host()
"""Filled by `connect`, and by nothing else."""


@dataclass(frozen=True, slots=True)
class Connection:
    """What app.py hands over besides the services."""

    hooks: HookRegistry
    reports: Reports
    extensions: Sequence[Extension]
    safety: Safety | None = None
    arguments: Sequence[str] = ()


def connect(services: Services, connection: Connection) -> None:
    """Let the adapter work over these services; what it kept of others is forgotten."""
    HOST.services = services
    HOST.hooks = connection.hooks
    HOST.reports = connection.reports
    HOST.safety = connection.safety
    HOST.extensions = tuple(connection.extensions)
    HOST.arguments = tuple(connection.arguments)
    HOST.runs = Runs()


def extension_of(path: str | Path, extensions: Sequence[Extension] | None = None) -> str:
    """Return the name of the extension that a file belongs to; "" for files elsewhere."""
    place = Path(path).absolute()
    for extension in HOST.extensions if extensions is None else extensions:
        if place.is_relative_to(extension.path):
            return extension.name
    return ""


def option(name: str, default: Any = None) -> Any:
    """Return an option's value as Easel has it; `default` where it has none, or nothing is connected."""
    if HOST.services is None:
        return default
    values: Mapping[str, Any] = HOST.services.settings.all()
    return values.get(name, default)


def arranged(things: Iterable[Thing], owner: Callable[[Thing], str]) -> list[Thing]:
    """Return things of extensions in the order in which the user wants these called; all others come after them."""
    found = list(things)
    order = HOST.services.settings.get("call_order") if HOST.services is not None and len(found) > 1 else ()
    if not order:
        return found
    rank = {name: place for place, name in enumerate(order)}
    return sorted(found, key=lambda thing: rank.get(owner(thing), len(rank)))

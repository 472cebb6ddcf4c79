"""What became of each extension: its errors by part with their traces, how long it took, and what it was given.

The adapter of A1111's API, the loader of our own plugins and the installer write; the page and the doctor read.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal, get_args

from modules.core.errors import EaselError

logger = logging.getLogger(__name__)

Part = Literal["install", "preload", "import", "page", "hook", "start"]
PARTS: tuple[Part, ...] = get_args(Part)
Claim = Literal["function", "id", "option", "plugin", "network"]
CLAIMS: Mapping[Claim, str] = MappingProxyType({
    "function": "both replace",
    "id": "both have an element by the id",
    "option": "both have the option",
    "plugin": "both have a plugin by the id",
    "network": "both have the kind of network",
})
"""What only one can have, and how it is told when two do."""
MOST_FAILURES = 20
"""Of one extension; the same failure again is only counted."""
LONGEST_TRACE = 20_000


@dataclass(frozen=True, slots=True)
class Failure:
    """One thing that went wrong.

    `where`: the file, hook or component, "" when the part says it all. `reason`: one line. `trace`: Python's, or a
    program's output; may be "". `count`: how often. `when`: seconds since 1970, of the first time.
    """

    part: Part
    where: str
    reason: str
    trace: str
    count: int = 1
    when: float = 0.0


@dataclass(frozen=True, slots=True)
class Report:
    """All that is known of one extension in this run of the server.

    `seconds` by part. `shims`: how often which shim of Gradio 3 acted. `missing`: names of A1111 that it asked for
    and that are not there. `hooks`: the hooks and callbacks that it uses, in the order in which they were named.
    `fights`: with which other extension it is at odds over what.
    """

    extension: str
    loaded: bool = False
    failures: tuple[Failure, ...] = ()
    seconds: MappingProxyType[str, float] = field(default_factory=lambda: MappingProxyType({}))
    shims: MappingProxyType[str, int] = field(default_factory=lambda: MappingProxyType({}))
    missing: tuple[str, ...] = ()
    hooks: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    fights: tuple[str, ...] = ()

    @property
    def load_seconds(self) -> float:
        """How long all parts took together."""
        return sum(self.seconds.values())

    def failed(self, part: Part) -> bool:
        """Say whether anything of a part failed."""
        return any(failure.part == part for failure in self.failures)

    def message(self) -> dict[str, Any]:
        """Return the report as JSON."""
        return {
            "loaded": self.loaded,
            "load_seconds": round(self.load_seconds, 4),
            "seconds": {part: round(seconds, 4) for part, seconds in self.seconds.items()},
            "errors": [
                {name: getattr(failure, name) for name in ("part", "where", "reason", "trace", "count", "when")}
                for failure in self.failures
            ],
            "shims": dict(self.shims),
            "missing": list(self.missing),
            "hooks": list(self.hooks),
            "notes": list(self.notes),
            "fights": list(self.fights),
        }


class Reports:
    """The reports of all extensions, by the names of their folders. Safe to use from all threads."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._reports: dict[str, Report] = {}
        self._claims: dict[tuple[Claim, str], list[str]] = {}

    def of(self, extension: str) -> Report:
        """Return the report as it stands; an empty one when nothing is known."""
        with self._lock:
            return self._reports.get(extension, Report(extension))

    def all(self) -> dict[str, Report]:
        """Return every report by the extension's name."""
        with self._lock:
            return dict(self._reports)

    def fail(self, extension: str, part: Part, error: BaseException | str, where: str = "", trace: str = "") -> None:
        """Note that something went wrong; an exception brings its own trace."""
        if isinstance(error, BaseException):
            trace = trace or "".join(traceback.format_exception(error))
            reason = describe(error)
        else:
            reason = error
        new = Failure(part, where, reason, trace[-LONGEST_TRACE:], when=self._clock())
        with self._lock:
            known = self.of(extension)
            self._reports[extension] = replace(known, failures=_counted(known.failures, new))

    def settle(self, extension: str, part: Part) -> None:
        """Forget what went wrong in a part, since it has gone well now."""
        with self._lock:
            known = self.of(extension)
            left = tuple(failure for failure in known.failures if failure.part != part)
            self._reports[extension] = replace(known, failures=left)

    @contextlib.contextmanager
    def guard(self, extension: str, part: Part, where: str = "") -> Iterator[None]:
        """Run a block of an extension's own code: an error in it is noted, logged, and goes no further.

        What Easel raises on purpose (an interruption, a refused value) goes through, except while the extension is
        imported or the page is built, where nobody would be there to take it.
        """
        started = time.perf_counter()
        try:
            yield
        except EaselError as error:
            if part in ("hook", "start"):
                raise
            logger.warning("The extension %s failed (%s %s): %s", extension, part, where, error)
            self.fail(extension, part, error, where)
        except SystemExit as error:
            logger.warning("The extension %s wanted to end the server (%s %s).", extension, part, where)
            self.fail(extension, part, error, where)
        except Exception as error:  # The border of plugin loading: no extension may end the server.
            logger.exception("The extension %s failed (%s %s).", extension, part, where)
            self.fail(extension, part, error, where)
        finally:
            if part != "hook":
                self.took(extension, part, time.perf_counter() - started)

    def took(self, extension: str, part: Part, seconds: float) -> None:
        """Add to the time that a part took."""
        with self._lock:
            known = self.of(extension)
            summed = {**known.seconds, part: known.seconds.get(part, 0.0) + seconds}
            self._reports[extension] = replace(known, seconds=MappingProxyType(summed))

    def shim(self, extension: str, shim: str, count: int = 1) -> None:
        """Count that a shim acted for an extension, or dropped something."""
        with self._lock:
            known = self.of(extension)
            counted = {**known.shims, shim: known.shims.get(shim, 0) + count}
            self._reports[extension] = replace(known, shims=MappingProxyType(counted))

    def lacks(self, extension: str, name: str) -> None:
        """Note that an extension used a name that is not there."""
        with self._lock:
            known = self.of(extension)
            self._reports[extension] = replace(known, missing=_with(known.missing, name))

    def uses(self, extension: str, hook: str) -> None:
        """Note that an extension takes part in a hook, or registered a callback."""
        with self._lock:
            known = self.of(extension)
            self._reports[extension] = replace(known, hooks=_with(known.hooks, hook))

    def note(self, extension: str, text: str) -> None:
        """Note something that is no error, in words for the user."""
        with self._lock:
            known = self.of(extension)
            self._reports[extension] = replace(known, notes=_with(known.notes, text))

    def claim(self, extension: str, kind: Claim, key: str) -> None:
        """Note that an extension takes something that only one can have; where another has it, both are told."""
        with self._lock:
            holders = self._claims.setdefault((kind, key), [])
            if extension in holders:
                return
            holders.append(extension)
            for one in holders[:-1]:
                self._reports[one] = _fighting(self.of(one), kind, key, extension)
                self._reports[extension] = _fighting(self.of(extension), kind, key, one)

    def loaded(self, extension: str, loaded: bool = True) -> None:
        """Note that an extension's code was loaded, or is unloaded."""
        with self._lock:
            self._reports[extension] = replace(self.of(extension), loaded=loaded)

    def forget(self, extension: str) -> None:
        """Begin a new report, as when an extension is loaded again or removed."""
        with self._lock:
            self._reports.pop(extension, None)
            for holders in self._claims.values():
                if extension in holders:
                    holders.remove(extension)


def _fighting(report: Report, kind: Claim, key: str, other: str) -> Report:
    return replace(report, fights=_with(report.fights, f"{other}: {CLAIMS[kind]} {key}"))


def describe(error: BaseException) -> str:
    """Return an exception in one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _counted(failures: tuple[Failure, ...], new: Failure) -> tuple[Failure, ...]:
    """Return the failures with one more; the same again raises its count, and too many drop the oldest."""
    for place, known in enumerate(failures):
        if (known.part, known.where, known.reason) == (new.part, new.where, new.reason):
            again = replace(known, count=known.count + 1, trace=new.trace)
            return (*failures[:place], again, *failures[place + 1 :])
    return (*failures, new)[-MOST_FAILURES:]


def _with(names: tuple[str, ...], name: str) -> tuple[str, ...]:
    return names if name in names else (*names, name)

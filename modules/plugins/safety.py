"""Safe mode: whoever kills the process while its code runs is off at the next start, and the reason is told.

Before code of an extension runs, a file names it; afterwards the file is cleared. What still stands in it when the
server starts killed the last one. A stop with Ctrl+C or SIGTERM clears the file; SIGKILL and loss of power do not.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from modules.plugins.reports import PARTS, Part

logger = logging.getLogger(__name__)

SAFETY_FILE = "extensions-safety.json"
_WORDS: Mapping[Part, str] = {
    "install": "while it was installed",
    "preload": "while it added its command-line flags",
    "import": "while its code was imported",
    "page": "while it built its part of the page",
    "hook": "while it took part in making pictures",
    "start": "while it started",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why an extension is kept off until somebody switches it on again. `when`: seconds since 1970."""

    part: Part
    reason: str
    when: float


@dataclass(frozen=True, slots=True)
class Mark:
    """An extension whose code runs."""

    extension: str
    part: Part
    where: str = ""


class Safety:
    """Knows which extensions are kept off, and keeps the file. Safe to use from all threads."""

    def __init__(self, path: Path, safe_mode: bool = False, clock: Callable[[], float] = time.time) -> None:
        """Read the file. `safe_mode`: no extension is to be loaded at all."""
        self.safe_mode = safe_mode
        self._path = path
        self._clock = clock
        self._lock = threading.RLock()
        self._stacks: dict[int, list[Mark | None]] = {}
        self._left, self._verdicts = _read(path)

    def judge(self) -> list[str]:
        """Keep off what was running when the last server died; returns the names. For the one server only."""
        with self._lock:
            killers, self._left = self._left, []
            for mark in killers:
                where = f" ({mark.where})" if mark.where else ""
                reason = f"The server died {_WORDS[mark.part]}{where}."
                self._verdicts[mark.extension] = Verdict(mark.part, reason, self._clock())
                logger.warning("The extension %s is off: %s", mark.extension, reason)
            if killers:
                self._write()
            return list(dict.fromkeys(mark.extension for mark in killers))

    def verdicts(self) -> dict[str, Verdict]:
        """Return which extensions are kept off, and why."""
        with self._lock:
            return dict(self._verdicts)

    def verdict(self, extension: str) -> Verdict | None:
        """Return why an extension is kept off; None when it is not."""
        with self._lock:
            return self._verdicts.get(extension)

    def keep_off(self, extension: str, part: Part, reason: str) -> None:
        """Keep an extension off from the next start on, as when its requirements cannot be had."""
        with self._lock:
            self._verdicts[extension] = Verdict(part, reason, self._clock())
            self._write()

    def forgive(self, extension: str) -> None:
        """Let an extension be loaded again."""
        with self._lock:
            if self._verdicts.pop(extension, None) is not None:
                self._write()

    @contextlib.contextmanager
    def running(self, extension: str, part: Part, where: str = "") -> Iterator[None]:
        """Name whose code runs in this thread, for the length of the block; of nested blocks the innermost counts."""
        with self._pushed(Mark(extension, part, where)):
            yield

    @contextlib.contextmanager
    def own_code(self) -> Iterator[None]:
        """Blame nobody for the length of the block: an extension's code has called the server's own."""
        with self._pushed(None):
            yield

    def close(self) -> None:
        """Blame nobody any more: the server stops in good order, whatever still runs."""
        with self._lock:
            self._stacks.clear()
            self._write()

    @contextlib.contextmanager
    def _pushed(self, mark: Mark | None) -> Iterator[None]:
        thread = threading.get_ident()
        with self._lock:
            stack = self._stacks.setdefault(thread, [])
            stack.append(mark)
            if mark is not None or len(stack) > 1:
                self._write()
        try:
            yield
        finally:
            with self._lock:
                # After `close` there are no stacks left to take from.
                if stack is self._stacks.get(thread):
                    stack.pop()
                    if not stack:
                        del self._stacks[thread]
                    if mark is not None or stack:
                        self._write()

    def _write(self) -> None:
        """Write the file beside its place and rename it, as quickly as can be.

        It is written twice for each call of an extension's code. Not flushed to the disk: it must outlive the
        process only.
        """
        tops = [stack[-1] for stack in self._stacks.values() if stack]
        running = [*self._left, *(mark for mark in tops if mark is not None)]
        content = {
            "running": [asdict(mark) for mark in running],
            "off": {name: asdict(verdict) for name, verdict in self._verdicts.items()},
        }
        part = self._path.with_name(f".{self._path.name}.part")
        try:
            part.write_text(json.dumps(content, indent=1), encoding="utf-8")
            os.replace(part, self._path)
        except OSError as error:
            logger.warning("Safe mode cannot take notes in %s: %s.", self._path, error.strerror or error)


def _read(path: Path) -> tuple[list[Mark], dict[str, Verdict]]:
    """Return what ran when the file was written last, and the verdicts; a broken file holds nothing."""
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
        running = [Mark(**each) for each in content["running"]]
        verdicts = {str(name): Verdict(**each) for name, each in content["off"].items()}
    except FileNotFoundError:
        return [], {}
    except (OSError, ValueError, TypeError, LookupError, AttributeError) as error:
        logger.warning("Safe mode's notes in %s cannot be read (%s).", path, error)
        return [], {}
    return (
        [mark for mark in running if mark.part in PARTS],
        {name: each for name, each in verdicts.items() if each.part in PARTS},
    )

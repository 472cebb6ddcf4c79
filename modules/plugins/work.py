"""One order of the installer that is being carried out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from modules.core.errors import TaskCancelled
from modules.plugins.git import percent_of
from modules.plugins.programs import Watch

CLONED = 0.7
"""The part of an installation that is done once the files are there."""

ReportProgress = Callable[[float, str], None]
"""Told the part that is done, 0 to 1, and in words how far that is."""


class Work:
    """Tells the board how far it is, and writes the log."""

    def __init__(self, report: ReportProgress, cancelled: Callable[[], bool], log: Path) -> None:
        self.cancelled = cancelled
        self.watch = Watch(self._line, cancelled)
        self._report = report
        self._log = log
        self._fraction = 0.0
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("", encoding="utf-8")

    def report(self, fraction: float, detail: str) -> None:
        """Tell how far it is. Raises TaskCancelled."""
        if self.cancelled():
            raise TaskCancelled("The task was stopped.")
        self._fraction = fraction
        self._report(fraction, detail)
        self.write(detail)

    def write(self, line: str) -> None:
        """Add a line to the log; progress in percent is left out."""
        if line and percent_of(line) is None:
            with self._log.open("a", encoding="utf-8") as file:
                file.write(line + "\n")

    def _line(self, line: str) -> None:
        """Take a line that a program says."""
        self.write(line)
        progress = percent_of(line)
        if progress is not None and self._fraction < CLONED:
            share = CLONED if progress[0].startswith("Receiving") else 0.0
            self._report(max(self._fraction, share * progress[1]), line)
        elif line:
            self._report(self._fraction, line)

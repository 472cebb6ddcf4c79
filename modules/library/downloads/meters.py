"""How fast a transfer is, how long it will take, and where it goes, in words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

WINDOW_SECONDS = 1.0
"""The speed is taken anew so often."""
NEW_WEIGHT = 0.3
"""How much the newest speed counts in the moving average."""
_UNITS = ("B", "KB", "MB", "GB", "TB")
_MINUTE, _HOUR = 60, 3600


class SpeedMeter:
    """Averages the speed of a transfer."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._since = clock()
        self._bytes = 0
        self._speed: float | None = None

    def add(self, count: int) -> None:
        """Take note that so many bytes have come."""
        self._bytes += count
        passed = self._clock() - self._since
        if passed < WINDOW_SECONDS:
            return
        speed = self._bytes / passed
        self._speed = speed if self._speed is None else self._speed + NEW_WEIGHT * (speed - self._speed)
        self._since += passed
        self._bytes = 0

    def progress(self, have: int, total: int | None) -> tuple[float, str]:
        """Return the part that is done, and in words how much, how fast and how long still."""
        words = [f"{size_text(have)} of {size_text(total)}" if total else size_text(have)]
        if self._speed:
            words.append(f"{size_text(self._speed)}/s")
            if total and total > have:
                words.append(f"{time_text((total - have) / self._speed)} left")
        return (have / total if total else 0.0), " · ".join(words)


def size_text(count: float) -> str:
    """Return a number of bytes as people write it."""
    for unit in _UNITS:
        if count < 1000 or unit == _UNITS[-1]:
            break
        count /= 1000
    return (
        f"{count:.0f} {unit}"
        if count >= 100 or unit == "B"
        else f"{count:.2g} {unit}"
        if count < 10
        else f"{count:.1f} {unit}"
    )


def time_text(seconds: float) -> str:
    """Return a span of time as people say it."""
    if seconds < _MINUTE:
        return f"{max(1, round(seconds))} s"
    if seconds < _HOUR:
        return f"{round(seconds / _MINUTE)} min"
    return f"{seconds / _HOUR:.1f} h"


def folder_text(folder: Path) -> str:
    """Return a folder's last two names, which is enough to know it by."""
    return "/".join(folder.parts[-2:])

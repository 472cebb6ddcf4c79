"""A1111's modules.timer: seconds by category."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Timer:
    """Measures what passes between calls of `record`."""

    def __init__(self, print_log: bool = False) -> None:
        self.start = time.time()
        self.records: dict[str, float] = {}
        self.total = 0.0
        self.base_category = ""
        self.print_log = print_log

    def elapsed(self) -> float:
        """Return the seconds since the last call."""
        now = time.time()
        passed, self.start = now - self.start, now
        return passed

    def add_time_to_record(self, category: str, amount: float) -> None:
        """Add seconds to a category."""
        self.records[category] = self.records.get(category, 0.0) + amount

    def record(self, category: str, extra_time: float = 0, disable_log: bool = False) -> None:
        """Add the seconds since the last call to a category."""
        passed = self.elapsed()
        self.add_time_to_record(self.base_category + category, passed + extra_time)
        self.total += passed + extra_time

    @contextmanager
    def subcategory(self, name: str) -> Iterator[None]:
        """Have the categories of the block begin with `name`."""
        before, self.base_category = self.base_category, f"{self.base_category}{name}/"
        self.elapsed()
        try:
            yield
        finally:
            self.base_category = before
            self.record(name)

    def summary(self) -> str:
        """Return all in one line."""
        shown = [f"{name}: {seconds:.1f}s" for name, seconds in self.records.items() if seconds >= 0.1]
        return f"{self.total:.1f}s" + (f" ({', '.join(shown)})" if shown else "")

    def dump(self) -> dict[str, object]:
        """Return all as plain values."""
        return {"total": self.total, "records": self.records}

    def reset(self) -> None:
        """Begin anew."""
        self.__init__(self.print_log)  # type: ignore[misc]


STARTUP_TIMER = Timer()
startup_timer = STARTUP_TIMER
startup_record = None

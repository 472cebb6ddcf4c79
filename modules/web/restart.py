"""Starting the server anew from the page, as when extensions were switched."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Restarter:
    """Takes the wish to start anew; whoever runs the server fulfils it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked = False
        self._stop: Callable[[], None] | None = None

    @property
    def possible(self) -> bool:
        """Whether anybody runs the server who can start it anew."""
        return self._stop is not None

    @property
    def asked(self) -> bool:
        """Whether the server is to be started anew once it has stopped."""
        return self._asked

    def fulfil_by(self, stop: Callable[[], None]) -> None:
        """Call `stop`, which ends the server, as soon as a restart is asked for."""
        self._stop = stop

    def ask(self) -> bool:
        """Ask for a restart; says whether there will be one."""
        with self._lock:
            if self._stop is None:
                return False
            self._asked = True
        self._stop()
        return True

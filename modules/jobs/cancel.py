"""How a run is stopped from other threads: the CancelToken that the runner hands to the engine."""

from __future__ import annotations

import threading


class RunCancel:
    """Implements `core.ports.CancelToken` for one run.

    A server that shuts down stops the run just as the user does, but the job must then wait again instead of
    ending; `user_stopped` tells the two apart.
    """

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._stop_after_current = threading.Event()
        self._skip = threading.Event()
        self._shutdown = threading.Event()

    def interrupt(self) -> None:
        """Stop before the next step, because the user said so."""
        self._stop.set()

    def stop_after_current(self) -> None:
        """Stop once the current batch is finished, because the user said so."""
        self._stop_after_current.set()

    def skip(self) -> None:
        """Go on with the next batch."""
        self._skip.set()

    def shut_down(self) -> None:
        """Stop before the next step, because the server ends."""
        self._shutdown.set()

    def interrupted(self) -> bool:
        """Say whether the run must stop now."""
        return self._stop.is_set() or self._shutdown.is_set()

    def stopping_after_current(self) -> bool:
        """Say whether the run must end once the current batch is finished."""
        return self._stop_after_current.is_set()

    def take_skip(self) -> bool:
        """Say whether the current batch must be skipped, and forget it."""
        if not self._skip.is_set():
            return False
        self._skip.clear()
        return True

    def user_stopped(self) -> bool:
        """Say whether the user, not the end of the server, asked for the stop."""
        return self._stop.is_set() or self._stop_after_current.is_set()

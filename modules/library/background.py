"""Hashes of model files, computed in one thread beside everything else."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from modules.library.hashing import HashCache, HashKind, digest_of, stamp_of

_LOOK_AGAIN_SECONDS = 0.25
"""How often a paused worker looks whether it may go on."""
_TELL_SECONDS = 0.5
"""At least so long between two reports of progress."""
_SAVE_SECONDS = 10.0
"""At most so long is what was computed kept in memory only."""

logger = logging.getLogger(__name__)


class Stopped(Exception):
    """The worker was closed before the hash was there."""


@dataclass(frozen=True, slots=True)
class HashProgress:
    """How far the worker is: `done` of `total` files that it was to fill in, and how much of `name` (0 to 1)."""

    done: int
    total: int
    name: str = ""
    fraction: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class _Wish:
    path: Path
    kind: HashKind
    answer: Future[str]


Listener = Callable[[HashProgress | None], None]


class HashWorker:
    """Computes hashes in one thread: what is asked for at once, what is merely unknown when nothing else goes on.

    Files are read in pieces; between two of them the worker stops, waits or does what is urgent. Safe to use from
    several threads. The thread begins with the first wish.
    """

    def __init__(self, hashes: HashCache, *, busy: Callable[[], bool] = lambda: False, fills: bool = True) -> None:
        """Take the cache, whether something else needs the machine now, and whether unknown hashes are filled in."""
        self.hashes = hashes
        self._busy = busy
        self._fills = fills
        self._changed = threading.Condition()
        self._urgent: deque[_Wish] = deque()
        self._unknown: dict[tuple[Path, HashKind], None] = {}
        self._filling: tuple[Path, HashKind] | None = None
        self._waiting_for_it: list[_Wish] = []
        self._done = 0
        self._current: tuple[str, float] = ("", 0.0)
        self._listeners: list[Listener] = []
        self._closing = False
        self._thread: threading.Thread | None = None
        self._told_at = 0.0
        self._saved_at = time.monotonic()

    def ask(self, path: Path, kind: HashKind = "file") -> Future[str]:
        """Return the hash to come; it comes before all that is only filled in.

        The future fails with OSError when the file cannot be read, and with Stopped when the worker is closed before.
        """
        answer: Future[str] = Future()
        known = self.hashes.known(path, kind)
        if known is not None:
            answer.set_result(known)
            return answer
        with self._changed:
            if self._closing:
                answer.set_exception(Stopped(f"The hash of {path.name} is not computed any more."))
                return answer
            self._urgent.append(_Wish(path, kind, answer))
            self._wake()
        return answer

    def fill(self, files: Iterable[tuple[Path, HashKind]]) -> None:
        """Compute those hashes that are not known when there is time for it."""
        if not self._fills:
            return
        unknown = [(path, kind) for path, kind in files if self.hashes.known(path, kind) is None]
        with self._changed:
            if self._closing or not unknown:
                return
            if not self._unknown:
                self._done = 0
            self._unknown |= dict.fromkeys(unknown)
        # Told before the work begins, so that no later report comes first.
        self._tell(now=True)
        with self._changed:
            if not self._closing:
                self._wake()

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Have `listener` told of progress, None when all is done; returns what ends that. It must not block."""
        with self._changed:
            self._listeners.append(listener)

        def end() -> None:
            with self._changed:
                if listener in self._listeners:
                    self._listeners.remove(listener)

        return end

    def progress(self) -> HashProgress | None:
        """Return how far the filling is, None when there is nothing to fill in."""
        with self._changed:
            if not self._unknown:
                return None
            name, fraction = self._current
            return HashProgress(self._done, self._done + len(self._unknown), name, fraction)

    def close(self) -> None:
        """Stop at once; whoever still waits for a hash is told."""
        with self._changed:
            self._closing = True
            self._unknown.clear()
            self._changed.notify_all()
            thread = self._thread
        self._turn_away()
        if thread is not None and thread is not threading.current_thread():
            thread.join(5)
        self.hashes.save()

    def _wake(self) -> None:
        """Begin or go on; called with the lock held."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="hashes", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _run(self) -> None:
        try:
            while self._wait_for_work():
                self._serve_urgent()
                with self._changed:
                    self._filling = next(iter(self._unknown), None)
                if self._filling is not None and not self._closing:
                    self._fill_in(*self._filling)
        finally:
            # Whatever ended the thread, nobody is to wait for ever.
            self._turn_away()

    def _wait_for_work(self) -> bool:
        """Return True when there is something to do, False when it is time to end."""
        with self._changed:
            while not self._closing and not self._urgent and not self._unknown:
                self._save(now=True)
                self._changed.wait()
            return not self._closing

    def _serve_urgent(self) -> None:
        while True:
            with self._changed:
                if self._closing or not self._urgent:
                    return
                wish = self._urgent.popleft()
                if (wish.path, wish.kind) == self._filling:
                    self._waiting_for_it.append(wish)
                    continue
            if wish.answer.set_running_or_notify_cancel():
                self._fulfil(wish)

    def _fulfil(self, wish: _Wish) -> None:
        try:
            known = self.hashes.known(wish.path, wish.kind)
            digest = known or self._compute(wish.path, wish.kind, self._stop_if_closing)
        except (OSError, Stopped) as error:
            wish.answer.set_exception(error)
        else:
            wish.answer.set_result(digest)

    def _fill_in(self, path: Path, kind: HashKind) -> None:
        """Compute one hash, unless the worker is closed meanwhile."""
        self._current = (path.name, 0.0)
        stopped = False
        try:
            self._give_way()
            if self.hashes.known(path, kind) is None:
                self._compute(path, kind, self._piece_counter(path))
        except OSError as error:
            logger.info("The hash of %s cannot be computed: %s", path, error)
        except Stopped:
            stopped = True
        with self._changed:
            self._filling = None
            # Whoever waits for this very file finds the hash now, or hears why there is none.
            self._urgent.extendleft(reversed(self._waiting_for_it))
            self._waiting_for_it.clear()
        if stopped:
            self._turn_away()
            return
        with self._changed:
            self._unknown.pop((path, kind), None)
            self._done += 1
            self._current = ("", 0.0)
        self._tell(now=self.progress() is None)
        self._save()

    def _piece_counter(self, path: Path) -> Callable[[int], None]:
        size = max(1, stamp_of(path)[0])
        read = 0

        def after_piece(count: int) -> None:
            nonlocal read
            read += count
            self._current = (path.name, min(1.0, read / size))
            self._tell()
            self._give_way()

        return after_piece

    def _compute(self, path: Path, kind: HashKind, after_piece: Callable[[int], None]) -> str:
        stamp = stamp_of(path)
        digest = digest_of(path, kind, after_piece)
        self.hashes.keep(path, kind, stamp, digest)
        return digest

    def _stop_if_closing(self, _: int) -> None:
        if self._closing:
            raise Stopped("The server stops.")

    def _give_way(self) -> None:
        """Do what is urgent first, and wait while something else needs the machine. Raises Stopped."""
        while True:
            self._serve_urgent()
            self._stop_if_closing(0)
            if self._waiting_for_it or not self._busy():
                return
            with self._changed:
                if not self._closing and not self._urgent:
                    self._changed.wait(_LOOK_AGAIN_SECONDS)

    def _turn_away(self) -> None:
        """Tell everybody who still waits that there will be no hash."""
        with self._changed:
            waiting = [*self._urgent, *self._waiting_for_it]
            self._urgent.clear()
            self._waiting_for_it.clear()
            self._filling = None
        for wish in waiting:
            if wish.answer.set_running_or_notify_cancel():
                wish.answer.set_exception(Stopped(f"The hash of {wish.path.name} is not computed any more."))

    def _tell(self, *, now: bool = False) -> None:
        moment = time.monotonic()
        if not now and moment - self._told_at < _TELL_SECONDS:
            return
        self._told_at = moment
        with self._changed:
            listeners = list(self._listeners)
        for listener in listeners:
            listener(self.progress())

    def _save(self, *, now: bool = False) -> None:
        moment = time.monotonic()
        if now or moment - self._saved_at > _SAVE_SECONDS:
            self._saved_at = moment
            self.hashes.save()

"""Starting the server anew from the page, as when extensions were switched."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable

from modules.cli import KEPT_PASSWORD, AppConfig

logger = logging.getLogger(__name__)

RESTARTED = "EASEL_RESTARTED"
"""Set in the environment of a server that was started anew from the page, which is open already."""


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


def start_anew(config: AppConfig) -> None:
    """Become a new server with the same command line. Raises OSError when that cannot be started."""
    logger.info("Starting anew …")
    logging.shutdown()
    sys.stdout.flush()
    os.environ[RESTARTED] = "1"
    if config.generated_password is not None:
        os.environ[KEPT_PASSWORD] = config.generated_password
    command = [sys.executable, *sys.orig_argv[1:]]
    if sys.platform == "win32":
        # Windows cannot become another program: this one waits for it, so that the console stays with it.
        os._exit(subprocess.call(command))
    os.execv(command[0], command)

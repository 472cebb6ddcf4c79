"""Running git, pip and install.py: never through a shell, without questions to anybody, and to be cancelled."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from modules.cli import KEPT_PASSWORD
from modules.core.errors import ExtensionFailed, TaskCancelled

LONGEST_RUN = 3600.0
"""Seconds after which a program is stopped."""
LONGEST_LINE = 2000
_POLL_SECONDS = 0.1
_GOODBYE_SECONDS = 3.0
_PRIVATE = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_SSH", "GIT_SSH_COMMAND", "GIT_CONFIG_PARAMETERS")
"""What would let git work somewhere else, or run something else."""
_OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
"""What the server sets for itself; an installation that a user asked for may fetch what it needs."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Who is told each line that a program says, and whether the user has cancelled."""

    line: Callable[[str], None] = lambda line: None
    cancelled: Callable[[], bool] = lambda: False


SILENT = Watch()


def quiet_environment(protocols: Sequence[str], more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment for programs: git asks nobody for a password, and uses these protocols only."""
    kept = {name: value for name, value in os.environ.items() if name not in (*_PRIVATE, *_OFFLINE, KEPT_PASSWORD)}
    return {
        **kept,
        "GIT_TERMINAL_PROMPT": "0",
        # Empty, so that git does not fall back on SSH_ASKPASS, which opens a window.
        "GIT_ASKPASS": "",
        "GCM_INTERACTIVE": "never",
        "GIT_SSH_COMMAND": "ssh -oBatchMode=yes",
        "GIT_ALLOW_PROTOCOL": ":".join(protocols),
        "PIP_NO_INPUT": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONIOENCODING": "utf-8",
        **(more or {}),
    }


def run_program(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], watch: Watch, limit: float = LONGEST_RUN
) -> int:
    """Run a program to its end, telling what it says line by line; return its exit code.

    Raises TaskCancelled, and ExtensionFailed when it cannot be started or takes longer than `limit` seconds.
    """
    try:
        process = subprocess.Popen(
            list(command),
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            # A group of its own, so that what it starts ends with it.
            start_new_session=sys.platform != "win32",
        )
    except OSError as error:
        raise ExtensionFailed(f"{Path(command[0]).name} cannot be run: {error.strerror or error}.") from error
    assert process.stdout is not None
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    reader = threading.Thread(target=_read_lines, args=(process.stdout, lines), daemon=True)
    reader.start()
    try:
        _follow(lines, watch, Path(command[0]).name, time.monotonic() + limit)
        return process.wait(_GOODBYE_SECONDS)
    except subprocess.TimeoutExpired:
        raise ExtensionFailed(f"{Path(command[0]).name} closed its output and did not end.") from None
    finally:
        _end(process)
        reader.join(_GOODBYE_SECONDS)
        process.stdout.close()


def _follow(lines: queue.SimpleQueue[str | None], watch: Watch, name: str, until: float) -> None:
    """Tell the lines until there are no more."""
    while True:
        if watch.cancelled():
            raise TaskCancelled(f"{name} was stopped.")
        if time.monotonic() > until:
            raise ExtensionFailed(f"{name} took too long and was stopped.")
        with contextlib.suppress(queue.Empty):
            line = lines.get(timeout=_POLL_SECONDS)
            if line is None:
                return
            watch.line(line)


def _read_lines(stream: IO[str], lines: queue.SimpleQueue[str | None]) -> None:
    # What ends with a carriage return, as progress does, is a line here too.
    with contextlib.suppress(ValueError, OSError):
        for line in stream:
            lines.put(line.rstrip()[:LONGEST_LINE])
    lines.put(None)


def _end(process: subprocess.Popen[str]) -> None:
    """Stop the program and all that it started, if it still runs."""
    if process.poll() is not None:
        return
    if sys.platform != "win32":
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()

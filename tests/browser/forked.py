"""Processes of servers that begin with what every server imports, which takes longer than all that a server does then.

One process for each process of tests imports it once; each server is a copy of that process.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import signal
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

PATIENCE_SECONDS = 10
COPIES = "forkserver" in multiprocessing.get_all_start_methods()
"""Windows cannot copy a process; there each server imports all by itself."""


def serve(program: Path, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    """Be the program `program` with these arguments, in the process that was made for it."""
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [str(program), *arguments]
    runpy.run_path(str(program), run_name="__main__")


def start(program: Path, arguments: Sequence[str]) -> BaseProcess:
    """Start `program` in a process of its own."""
    context = multiprocessing.get_context("forkserver" if COPIES else "spawn")
    if COPIES:
        context.set_forkserver_preload([__name__, "tests.web.site"])
    process = context.Process(target=serve, args=(program, list(arguments), dict(os.environ)), daemon=True)
    process.start()
    return process


def stop(process: BaseProcess) -> None:
    """End the process as Ctrl+C does, or at once when it does not heed that."""
    if process.pid is not None and process.is_alive():
        os.kill(process.pid, signal.SIGINT)
    process.join(PATIENCE_SECONDS)
    if process.is_alive():
        process.kill()
        process.join()

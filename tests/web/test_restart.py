"""Starting the server anew from the page."""

import os
import sys
from pathlib import Path

import pytest

from modules.cli import KEPT_PASSWORD, parse_arguments
from modules.web.restart import RESTARTED, Restarter, start_anew


def test_nobody_can_start_a_server_anew_that_nobody_runs() -> None:
    restarter = Restarter()
    assert not restarter.possible
    assert not restarter.ask()
    assert not restarter.asked


def test_who_runs_the_server_is_told_to_stop_it() -> None:
    restarter, stopped = Restarter(), []
    restarter.fulfil_by(lambda: stopped.append(1))
    assert restarter.ask()
    assert (restarter.asked, stopped) == (True, [1])


@pytest.mark.skipif(sys.platform == "win32", reason="a child process there")
@pytest.mark.parametrize("flags", [[], ["--listen"]])
def test_the_new_server_has_the_same_command_line_and_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: list[str]
) -> None:
    started: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(os, "execv", lambda program, command: started.append((program, command)))
    monkeypatch.setattr(sys, "orig_argv", ["python", "launch.py", "--port", "7861"])
    for name in (RESTARTED, KEPT_PASSWORD):
        # Set and taken away, so that what start_anew sets is undone after the test.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    config = parse_arguments(["--data-dir", str(tmp_path), *flags], {})
    start_anew(config)
    assert started == [(sys.executable, [sys.executable, "launch.py", "--port", "7861"])]
    assert os.environ[RESTARTED] == "1"
    assert os.environ.get(KEPT_PASSWORD) == config.generated_password

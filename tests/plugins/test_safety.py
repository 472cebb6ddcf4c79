"""Who kills the process is off at the next start."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from modules.plugins.safety import Safety

KILLED = """
import os, signal, sys
from pathlib import Path
from modules.plugins.safety import Safety
safety = Safety(Path(sys.argv[1]))
with safety.running("good", "import"):
    pass
with safety.running("outer", "hook", "around_generate"):
    {inside}
"""


def die(path: Path, inside: str) -> None:
    """Let a process die by a signal in the middle of an extension's code."""
    code = subprocess.run([sys.executable, "-c", KILLED.format(inside=inside), str(path)], check=False).returncode
    assert code == -signal.SIGKILL


KILL = "os.kill(os.getpid(), signal.SIGKILL)"
ROOT_ONLY = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


@ROOT_ONLY
def test_what_ran_when_the_process_was_killed_is_off_with_the_reason(tmp_path: Path) -> None:
    die(tmp_path / "safety.json", KILL)
    safety = Safety(tmp_path / "safety.json", clock=lambda: 5.0)
    assert safety.verdicts() == {}
    assert safety.judge() == ["outer"]
    verdict = safety.verdict("outer")
    assert verdict is not None
    assert verdict.reason == "The server died while it took part in making pictures (around_generate)."
    again = Safety(tmp_path / "safety.json")
    assert again.judge() == []
    assert set(again.verdicts()) == {"outer"}


@ROOT_ONLY
def test_of_nested_extensions_the_innermost_is_blamed(tmp_path: Path) -> None:
    die(tmp_path / "safety.json", f'exec("with safety.running(\\"inner\\", \\"hook\\"): {KILL}")')
    assert Safety(tmp_path / "safety.json").judge() == ["inner"]


@ROOT_ONLY
def test_nobody_is_blamed_for_what_the_servers_own_code_does(tmp_path: Path) -> None:
    die(tmp_path / "safety.json", f'exec("with safety.own_code(): {KILL}")')
    assert Safety(tmp_path / "safety.json").judge() == []


def test_an_error_or_a_stop_in_good_order_blames_nobody(tmp_path: Path) -> None:
    safety = Safety(tmp_path / "safety.json")
    with pytest.raises(KeyboardInterrupt), safety.running("a", "import"):
        raise KeyboardInterrupt
    with safety.running("b", "hook"):
        safety.close()
    assert Safety(tmp_path / "safety.json").judge() == []


def test_what_is_kept_off_stays_so_until_it_is_forgiven(tmp_path: Path) -> None:
    Safety(tmp_path / "safety.json").keep_off("a", "install", "It wants another torch.")
    safety = Safety(tmp_path / "safety.json")
    assert [verdict.reason for verdict in safety.verdicts().values()] == ["It wants another torch."]
    safety.forgive("a")
    assert Safety(tmp_path / "safety.json").verdicts() == {}


@pytest.mark.parametrize("content", ["{", "[]", '{"running": [{"nothing": 1}], "off": {}}', '{"running": []}'])
def test_broken_notes_hold_nothing(tmp_path: Path, content: str) -> None:
    (tmp_path / "safety.json").write_text(content)
    safety = Safety(tmp_path / "safety.json")
    assert safety.judge() == []
    assert safety.verdicts() == {}


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_disk_that_refuses_does_not_stop_anybody(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    done = []
    with Safety(tmp_path / "safety.json").running("a", "import"):
        done.append(1)
    tmp_path.chmod(0o700)
    assert done == [1]

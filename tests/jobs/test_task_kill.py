"""A background task whose server is killed with SIGKILL goes on in the next one."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes import wait_until
from tests.library.fetching import CHECKPOINT, add_repository
from tests.library.hub_server import hub_server

PROGRAM = Path(__file__).with_name("killable_tasks.py")


@pytest.mark.skipif(sys.platform == "win32", reason="kills as POSIX does")
def test_a_download_goes_on_where_the_killed_server_left_it(tmp_path: Path) -> None:
    with hub_server() as hub:
        add_repository(hub, {"a.safetensors": CHECKPOINT})
        served = hub.files["/me/models/resolve/main/a.safetensors"]
        served.wait_after = 61_440
        command = [sys.executable, str(PROGRAM), str(tmp_path), hub.base]
        part = tmp_path / "a.safetensors.part"
        with subprocess.Popen(command) as first:
            wait_until(lambda: part.exists() and part.stat().st_size > 0)
            first.send_signal(signal.SIGKILL)
        kept = part.stat().st_size
        assert json.loads((tmp_path / "tasks.json").read_text())["tasks"][0]["state"] == "running"
        served.wait_after = None
        served.go.set()
        subprocess.run(command, check=True, timeout=60)
        assert hub.ranges_asked() == [f"bytes={kept}-"]
    assert (tmp_path / "a.safetensors").read_bytes() == CHECKPOINT
    assert json.loads((tmp_path / "tasks.json").read_text())["tasks"][0]["state"] == "finished"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.safetensors", "tasks.json"]

"""A fresh data folder with a copy of one extension, and a server on it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.browser.driver import free_port
from tests.fakes import wait_until

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
STARTER = ROOT / "models" / "Stable-diffusion" / "starter"
START_SECONDS = 240.0
IGNORED = shutil.ignore_patterns(".git", "node_modules", "__pycache__")
SET_UP = """
import sys
from pathlib import Path
from modules.plugins.packages import PackageSetup, SetupPlaces
from modules.plugins.programs import Watch
root, state, folder = map(Path, sys.argv[1:])
PackageSetup(SetupPlaces(root, state)).run(folder, Watch(print, lambda: False))
"""


@dataclass
class Site:
    """One server with extensions. `packages`: folders with what is not installed here; `stand_ins`: the check's own."""

    folder: Path
    extensions: Sequence[Path]
    packages: Sequence[Path] = ()
    stand_ins: Path | None = None
    flags: Sequence[str] = ()
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        path = self.folder / "server.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""

    def copy(self) -> None:
        """Make the data folder."""
        for extension in self.extensions:
            shutil.copytree(extension, self.folder / "extensions" / extension.name, ignore=IGNORED, symlinks=True)
        models = self.folder / "models" / "Stable-diffusion"
        models.mkdir(parents=True)
        if STARTER.is_dir():
            (models / STARTER.name).symlink_to(STARTER)
        (self.folder / "state").mkdir()

    def set_up(self, name: str) -> str:
        """Run an extension's requirements and install.py as the installer does, without network; "": all is well."""
        folder = self.folder / "extensions" / name
        command = [sys.executable, "-c", SET_UP, str(ROOT), str(self.folder / "state"), str(folder)]
        environment = self._environment() | {"PYTHONPATH": os.pathsep.join(map(str, (ROOT, *self.packages)))}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=ROOT)
        return "" if done.returncode == 0 else done.stderr.strip().splitlines()[-1]

    def python(self, program: str, *arguments: str) -> None:
        """Run a program that may import what the packages hold."""
        environment = self._environment() | {"PYTHONPATH": os.pathsep.join(map(str, self.packages))}
        subprocess.run([sys.executable, "-c", program, *arguments], env=environment, check=True)

    def start(self) -> None:
        flags = [
            "--skip-install", "--no-autolaunch", "--use-cpu", "all", "--no-hashing", "--data-dir", str(self.folder),
            "--port", str(self.port), *self.flags,
        ]  # fmt: skip
        command = [sys.executable, str(HERE / "serve.py"), str(self.folder / "routes.json"), *flags]
        # What diffusers and transformers would use if they saw it comes behind the stand-ins' door.
        hidden = [path for path in self.packages if (path / "torchvision").is_dir()]
        shown = os.pathsep.join(str(path) for path in self.packages if path not in hidden)
        # Extensions import each other as extensions.NAME, from the folder that all is in where no other is named.
        late = os.pathsep.join(map(str, filter(None, [*hidden, self.stand_ins, self.folder])))
        environment = self._environment() | {"PYTHONPATH": shown, "EASEL_STAND_INS": late}
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=ROOT)
        wait_until(self.answers, START_SECONDS)

    def answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"the server ended: {self.log[-2000:]}"
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"{self.url}/gradio_api/app_id", timeout=5).status_code == 200
        return False

    def stop(self) -> None:
        assert self.process is not None
        # A process in the background may have been told to ignore SIGINT.
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def get(self, path: str) -> Any:
        answer = httpx.get(f"{self.url}{path}", timeout=120)
        answer.raise_for_status()
        return answer.json()

    def post(self, path: str, body: Any = None) -> Any:
        answer = httpx.post(f"{self.url}{path}", json=body, timeout=300)
        answer.raise_for_status()
        return answer.json()

    def report(self, name: str) -> dict[str, Any]:
        """Return what the server knows of an extension."""
        extensions = self.get("/easel/extensions")["extensions"]
        found: dict[str, Any] = next(each for each in extensions if each["name"] == name)
        return found

    def settings(self) -> dict[str, Any]:
        """Return what is in the file of the settings."""
        path = self.folder / "config.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}

    def routes(self) -> list[dict[str, Any]]:
        path = self.folder / "routes.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []

    def switch(self, name: str, on: bool) -> None:
        self.post("/easel/extensions/switch", {"on": {name: on}})

    def _environment(self) -> dict[str, str]:
        # Whatever an extension does, nothing comes into the environment that Easel runs in.
        no_pip = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": os.devnull}
        hub = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(self.folder / "hub")}
        # Where a stub of rembg's network is, whose weights cannot be fetched.
        hub |= {"U2NET_HOME": hub["HF_HOME"], "MODEL_CHECKSUM_DISABLED": "1"}
        threads = os.environ.get("OMP_NUM_THREADS", "2")
        return os.environ | no_pip | hub | {"OMP_NUM_THREADS": threads, "PYTHONDONTWRITEBYTECODE": "1"}


@contextlib.contextmanager
def running(site: Site) -> Iterator[Site]:
    site.start()
    try:
        yield site
    finally:
        site.stop()

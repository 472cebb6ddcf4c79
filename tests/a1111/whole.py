"""A whole application with sample extensions, everything in it real, down to the starter model."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from starlette.testclient import TestClient

from modules.a1111 import _adapter, _gradio3
from modules.a1111._host import HOST, Host
from modules.a1111._loader import LOADED
from modules.app import Application, build
from modules.cli import parse_arguments
from tests.web.conftest import BASE
from tests.web.site import site_config

SAMPLES = Path(__file__).resolve().parents[1] / "extensions"


@contextmanager
def with_samples(
    folder: Path, *names: str, arguments: tuple[str, ...] = ()
) -> Iterator[tuple[Application, TestClient]]:
    """Build the application in a folder, as `arguments` ask, and open it to a client; all is undone afterwards."""
    before, paths = {name: getattr(HOST, name) for name in Host.__slots__}, list(sys.path)
    for name in names:
        shutil.copytree(SAMPLES / name, folder / "extensions" / name)
    told = parse_arguments(["--data-dir", str(folder), *arguments], {}, strict=False)
    own = {name: getattr(told, name) for name in ("arguments", "foreign_flags", "safe_mode", "disable_extensions")}
    # Nothing is ever installed for a test: packages would go into the environment that it runs in.
    config = replace(site_config(folder), use_cpu=True, installs=False, **own)
    HOST.own_state = {}
    try:
        application = build(config)
        try:
            application.services.jobs.start()
            with TestClient(application.site, base_url=BASE) as client:
                yield application, client
        finally:
            application.close()
    finally:
        if HOST.services is not None:
            _adapter.stop()
            _gradio3.shim().remove()
        LOADED.forget()
        for name, value in before.items():
            setattr(HOST, name, value)
        sys.path[:] = paths
        for name in [name for name in sys.modules if name.split(".")[0] in ("scripts", "helpers")]:
            del sys.modules[name]

"""A server with a fake engine for the browser tests: `python tests/browser/serve.py FOLDER PORT [USER:PASSWORD]`.

The engine stands before every step until FOLDER/gate says that it may go on (see `tests.fakes.FileGate`).
"""

from __future__ import annotations

import sys
from pathlib import Path

import uvicorn

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.fakes import FakeEngine, FileGate
from tests.web.site import open_site, site_config


def main(folder: Path, port: int, credentials: tuple[tuple[str, str], ...]) -> None:
    gate = folder / "gate"
    gate.mkdir(exist_ok=True)
    with open_site(site_config(folder, credentials), FakeEngine(gate=FileGate(gate))) as site:
        uvicorn.run(
            site.application.asgi, host="127.0.0.1", port=port, log_level="warning", timeout_graceful_shutdown=1
        )


if __name__ == "__main__":
    user, _, password = (sys.argv[3] if len(sys.argv) > 3 else "").partition(":")
    main(Path(sys.argv[1]), int(sys.argv[2]), ((user, password),) if user else ())

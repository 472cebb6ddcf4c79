"""A server with a fake engine and a sample extension for A1111: `python tests/browser/serve_foreign.py FOLDER PORT`."""

from __future__ import annotations

import sys
from pathlib import Path

import uvicorn

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from modules.web.server import create_app
from tests.a1111.page_site import with_extensions
from tests.browser.serve import ReadingEngine
from tests.fakes import FileGate
from tests.web.site import open_site, site_config


def main(folder: Path, port: int) -> None:
    gate = folder / "gate"
    gate.mkdir(exist_ok=True)
    with (
        open_site(site_config(folder), ReadingEngine(gate=FileGate(gate))) as site,
        with_extensions(site.services, "panels_sample") as services,
    ):
        uvicorn.run(create_app(services), host="127.0.0.1", port=port, log_level="warning", timeout_graceful_shutdown=1)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))

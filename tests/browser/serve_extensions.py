"""Extensions over local repositories: `python tests/browser/serve_extensions.py FOLDER PORT`."""

from __future__ import annotations

import sys
from pathlib import Path

import uvicorn

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from modules.plugins.git import Git
from tests.fakes import FakeEngine
from tests.plugins.conftest import LOCAL
from tests.web.site import open_site, site_config


def main(folder: Path, port: int) -> None:
    with open_site(site_config(folder), FakeEngine()) as site:
        site.services.extensions.installer._git = Git(LOCAL)
        uvicorn.run(
            site.application.asgi, host="127.0.0.1", port=port, log_level="warning", timeout_graceful_shutdown=1
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))

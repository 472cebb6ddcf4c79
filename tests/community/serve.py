"""Easel's server for the check, which also writes down the routes that extensions add: `serve.py FACTS FLAGS…`."""

from __future__ import annotations

import inspect
import json
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import diffusers.utils
import transformers.utils

from modules import app, cli
from modules.a1111._panels import AdapterPanels
from modules.a1111._working import EXTENSIONS
from tests.community.operators import lend_operators

STAND_INS = "EASEL_STAND_INS"
"""Names folders with packages, and stand-ins for such, that only extensions are to find."""


def main(facts: Path, flags: list[str]) -> int:
    # Both have looked now for what they would use if it were there, and remember that it is not.
    transformers.utils.is_torchvision_available()
    diffusers.utils.is_torchvision_available()
    sys.path += filter(None, os.environ.get(STAND_INS, "").split(os.pathsep))
    lend_operators()
    # Extensions read the command line; this is what it would be.
    sys.argv = ["launch.py", *flags]
    started = AdapterPanels.started

    def noting(self: AdapterPanels, page: Any, app: Any) -> None:
        before = {id(route) for route in app.routes}
        started(self, page, app)
        fresh = [route for route in app.routes if id(route) not in before]
        facts.write_text(json.dumps([_described(route) for route in fresh]), encoding="utf-8")

    AdapterPanels.started = noting  # type: ignore[method-assign]
    return app.serve(cli.check_arguments(flags))


def _described(route: Any) -> dict[str, Any]:
    """Return a route's address, what may be sent to it, and whether it can be asked for without knowing more."""
    endpoint = inspect.unwrap(getattr(route, "endpoint", None) or (lambda: None))
    dependant = getattr(route, "dependant", None)
    required = [
        each.name for kind in ("path_params", "query_params", "body_params", "header_params")
        for each in getattr(dependant, kind, ()) if each.field_info.is_required()
    ]  # fmt: skip
    source = inspect.getsourcefile(endpoint) or "" if callable(endpoint) else ""
    parts = Path(source).parts
    return {
        "path": getattr(route, "path", ""), "methods": sorted(getattr(route, "methods", None) or ()),
        "extension": parts[parts.index(EXTENSIONS) + 1] if EXTENSIONS in parts else "", "required": required,
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))

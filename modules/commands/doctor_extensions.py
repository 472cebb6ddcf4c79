"""`launch.py doctor --extensions [--json]`: each extension with its state, errors, missing names and shims.

Where no server runs on the data folder, everything is built once, page and all, without serving it: that shows what a
start would show. Where one runs, what it wrote down of its own start is told.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from modules import app
from modules.cli import AppConfig
from modules.core.errors import DataFolderInUse, EaselError
from modules.jobs.queue import state_folder
from modules.plugins.service import read_report

Build = Callable[[AppConfig], "app.Application"]


def examine_extensions(config: AppConfig, as_json: bool, build: Build = app.build) -> int:
    """Report on all extensions; returns 1 when one that is on has errors, or nothing could be found out, else 0."""
    try:
        found, source = look(config, build)
    except EaselError as error:
        found, source = [], f"Nothing could be found out: {error}"
        _tell(found, source, False, as_json)
        return 1
    healthy = not any(each["state"] == "errors" for each in found)
    _tell(found, source, healthy, as_json)
    return 0 if healthy else 1


def look(config: AppConfig, build: Build) -> tuple[list[dict[str, Any]], str]:
    """Return what is known of each extension, and in words where from. Raises EaselError."""
    try:
        # Whatever an extension prints while it loads must not stand in the report.
        with contextlib.redirect_stdout(sys.stderr):
            application = build(replace(config, installs=False))
    except DataFolderInUse:
        return [_with_state(each) for each in read_report(state_folder(config.data_dir / "outputs"))], (
            "A server runs on this data folder; this is what it noted at its start."
        )
    try:
        extensions = application.services.extensions
        found = [_with_state(extensions.describe(each)) for each in extensions.installed.all()]
        return found, "Everything was loaded once, as at a start."
    finally:
        application.close()


def _with_state(described: dict[str, Any]) -> dict[str, Any]:
    """Add the state in one word: "off", "errors" or "on"."""
    state = "off" if not described["enabled"] else "errors" if described["errors"] else "on"
    return {"name": described["name"], "state": state, **described}


def _tell(found: list[dict[str, Any]], source: str, healthy: bool, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps({"ok": healthy, "source": source, "extensions": found}, indent=2) + "\n")
        return
    lines = [source, *(line for each in found for line in _lines(each))]
    sys.stdout.write("\n".join(lines if found else [source, "No extension is installed."]) + "\n")


def _lines(each: dict[str, Any]) -> list[str]:
    facts = [each["version"], f"{each['load_seconds']:.2f} s" if each["loaded"] else ""]
    lines = [f"{each['state']:<6} {each['name']} {' '.join(fact for fact in facts if fact)}".rstrip()]
    if each["off_because"]:
        lines.append(f"       {each['off_because']}")
    lines += [f"       {error['part']} {error['where']}: {error['reason']}" for error in each["errors"]]
    for label, names in (("missing", each["missing"]), ("shims", each["shims"]), ("notes", each["notes"])):
        if names:
            lines.append(f"       {label}: {', '.join(names)}")
    return lines

"""Flags of the command line that only extensions may know: each may declare some in its preload.py."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from modules.core.errors import UnknownFlags
from modules.plugins.discovery import Extension
from modules.plugins.service import ExtensionServices

logger = logging.getLogger(__name__)
PRELOAD_FILE = "preload.py"


def may_add_flags(extension: Extension) -> bool:
    """Say whether an extension may add flags."""
    return (extension.path / PRELOAD_FILE).is_file()


def judge_flags(unknown: Sequence[str], extensions: ExtensionServices) -> None:
    """Refuse flags that nobody knows; they only have no effect where an extension that is off may know them.

    Raises UnknownFlags.
    """
    if not unknown:
        return
    candidates = [each for each in extensions.installed.all() if may_add_flags(each)]
    silent = [
        each.name for each in candidates if not each.enabled or extensions.reports.of(each.name).failed("preload")
    ]
    told = " ".join(unknown)
    if not silent:
        raise UnknownFlags(f"Unrecognized arguments: {told}. `python launch.py --help` lists every flag.")
    names = ", ".join(silent)
    logger.warning("These flags have no effect: %s. Extensions that may know them are not loaded: %s.", told, names)

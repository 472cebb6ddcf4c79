"""The checkpoint selector on top of the page: what it lists, what is chosen, and why some files cannot be."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from modules.core.errors import ModelUnavailable
from modules.core.parameters import PARAMETERS
from modules.library.catalog import CheckpointCatalog, CheckpointEntry
from modules.library.identify import DEPTH, PIX2PIX
from modules.library.model_notes import read_notes
from modules.settings.store import SettingsStore

logger = logging.getLogger(__name__)

SETTING = "sd_model_checkpoint"
UNUSABLE_MARK = "⚠ "


class CheckpointChooser:
    """Lists the checkpoints, remembers the chosen one and has it loaded ahead."""

    def __init__(
        self, catalog: CheckpointCatalog, settings: SettingsStore, preload: Callable[[str], None]
    ) -> None:
        self._catalog = catalog
        self._settings = settings
        self._preload = preload

    def choices(self) -> list[tuple[str, str]]:
        """Return (shown text, title) of every checkpoint, usable ones first."""
        entries = sorted(self._catalog.entries(), key=lambda entry: not entry.usable)
        return [(entry.title if entry.usable else UNUSABLE_MARK + entry.title, entry.title) for entry in entries]

    def refresh(self) -> None:
        """Look at the folders again."""
        self._catalog.refresh()

    def current(self) -> CheckpointEntry | None:
        """Return the checkpoint that the next picture is made with; None when there is none."""
        for name in (str(self._settings.get(SETTING) or ""), ""):
            try:
                return self._catalog.find(name)
            except ModelUnavailable as error:
                logger.debug("Not used: %s", error)
        return None

    def native_size(self) -> int:
        """Return the side in pixels of the pictures that the current checkpoint was trained on."""
        entry = self.current()
        return entry.native_size if entry else int(PARAMETERS["width"].default)

    def choose(self, title: str) -> Mapping[str, object]:
        """Make `title` the current checkpoint and begin to load it; an unusable one changes nothing.

        Returns `state()`, with `problem` telling why the choice was refused, or else with `defaults`, the values that
        are noted for the form.
        """
        try:
            entry = self._catalog.find(title)
        except ModelUnavailable as error:
            return {**self.state(), "problem": str(error)}
        if entry.title != self._settings.get(SETTING):
            self._settings.update({SETTING: entry.title})
        self._preload(entry.title)
        return {**self.state(), "defaults": dict(read_notes(entry.path).defaults)}

    def state(self) -> Mapping[str, object]:
        """Return what the page shows beside the selector."""
        entry = self.current()
        return {
            "title": entry.title if entry else "",
            "native_size": self.native_size(),
            "edits": entry is not None and entry.variant == PIX2PIX,
            "depth": entry is not None and entry.variant == DEPTH,
            "unusable": [
                {"title": each.title, "reason": each.reason} for each in self._catalog.entries() if not each.usable
            ],
            "problem": "" if entry else "No checkpoint was found.",
        }

"""The names that may be chosen right now: samplers and schedules from their registry, checkpoints from the disk."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from modules.cli import REPO_ROOT, AppConfig
from modules.core.errors import ModelUnavailable
from modules.library.catalog import CheckpointCatalog
from modules.library.hashing import HashCache
from modules.sampling import registry
from modules.settings.store import SettingsStore

logger = logging.getLogger(__name__)

CHECKPOINT_OPTION = "sd_model_checkpoint"
SHIPPED_CHECKPOINTS = REPO_ROOT / "models" / "Stable-diffusion"
"""Where the starter model lies, which every data folder gets to see: without it a new one could make no picture."""


def open_catalog(config: AppConfig) -> CheckpointCatalog:
    """Return the catalog of the folders that the command line names, and of the shipped model."""
    folders = list(config.checkpoint_dirs)
    if config.checkpoint is not None:
        folders.append(config.checkpoint.parent)
    folders.append(SHIPPED_CHECKPOINTS)
    hashes = HashCache(config.data_dir / "outputs" / ".easel" / "hashes.json")
    return CheckpointCatalog(list(dict.fromkeys(folders)), hashes)


def default_checkpoint(settings: SettingsStore, catalog: CheckpointCatalog) -> str:
    """Return the title of the checkpoint that the settings name, or "" (the first usable one) when that is gone."""
    name = str(settings.get(CHECKPOINT_OPTION))
    try:
        return catalog.find(name).title if name else ""
    except ModelUnavailable as error:
        logger.warning("%s The first usable one is taken.", error)
        return ""


class Choices:
    """Implements `core.request.ChoiceLists`."""

    def __init__(self, catalog: CheckpointCatalog) -> None:
        self._catalog = catalog

    def names(self, list_name: str) -> Sequence[str]:
        """Return the names in the order in which the form shows them."""
        if list_name == "samplers":
            return registry.sampler_labels()
        if list_name == "schedulers":
            return registry.schedule_labels()
        if list_name == "noise_sources":
            return registry.NOISE_SOURCES
        return [entry.title for entry in self._catalog.entries() if entry.usable]

    def accepts(self, list_name: str, value: str) -> bool:
        """Say whether `value` is one of the names or a known alias of one; any checkpoint may be left open ("")."""
        if list_name == "samplers":
            return registry.find_sampler(value) is not None or registry.split_legacy_name(value) is not None
        if list_name == "schedulers":
            automatic = value.casefold() == registry.AUTOMATIC.casefold()
            return automatic or registry.find_schedule(value) is not None
        if list_name == "noise_sources":
            return value in registry.NOISE_SOURCES
        return not value or self._has_checkpoint(value)

    def _has_checkpoint(self, name: str) -> bool:
        try:
            self._catalog.find(name)
        except ModelUnavailable:
            return False
        return True

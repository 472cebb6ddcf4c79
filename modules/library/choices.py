"""The names that may be chosen right now: samplers, schedules, upscalers, and models on the disk."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from modules.cli import REPO_ROOT, AppConfig
from modules.core.errors import ModelUnavailable
from modules.core.parameters import AUTOMATIC_VAE, NO_VAE, NOISE_SOURCES
from modules.imaging.resize import PIXEL_UPSCALERS, UPSCALERS
from modules.library.catalog import CheckpointCatalog
from modules.library.hashing import HashCache
from modules.library.headers import HeaderCache
from modules.library.network_files import (
    EMBEDDING_ENDINGS,
    EMBEDDING_PICTURE_ENDINGS,
    HYPERNETWORK_ENDINGS,
    LORA_ENDINGS,
    NetworkFolder,
)
from modules.library.vae_files import VaeCatalog
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
    hashes = HashCache(_cache_folder(config) / "hashes.json")
    return CheckpointCatalog(list(dict.fromkeys(folders)), hashes)


def open_loras(config: AppConfig, hashes: HashCache) -> NetworkFolder:
    """Return the LoRA files of the folders that the command line names."""
    headers = HeaderCache(_cache_folder(config) / "lora-headers.json")
    return NetworkFolder(config.lora_dirs, LORA_ENDINGS, hashes, hash_kind="tensors", headers=headers)


def open_hypernetworks(config: AppConfig, hashes: HashCache) -> NetworkFolder:
    """Return the hypernetworks of the folders that the command line names."""
    return NetworkFolder(config.hypernetwork_dirs, HYPERNETWORK_ENDINGS, hashes)


def open_embedding_pictures(config: AppConfig, hashes: HashCache) -> NetworkFolder:
    """Return the pictures in the folders of embeddings, in some of which A1111 has hidden one."""
    return NetworkFolder(config.embeddings_dirs, EMBEDDING_PICTURE_ENDINGS, hashes)


def open_embeddings(config: AppConfig, hashes: HashCache) -> NetworkFolder:
    """Return the textual inversion embeddings of the folders that the command line names."""
    headers = HeaderCache(_cache_folder(config) / "embedding-headers.json")
    return NetworkFolder(config.embeddings_dirs, EMBEDDING_ENDINGS, hashes, headers=headers)


def open_vaes(config: AppConfig, catalog: CheckpointCatalog) -> VaeCatalog:
    """Return the VAEs of the folders that the command line names, and those beside the checkpoints of `catalog`."""
    return VaeCatalog(config.vae_dirs, catalog.folders, catalog.hashes)


def _cache_folder(config: AppConfig) -> Path:
    """Return the folder of what is known of model files and can always be found out again."""
    return config.data_dir / "outputs" / ".easel"


def default_checkpoint(settings: SettingsStore, catalog: CheckpointCatalog) -> str:
    """Return the title of the checkpoint that the settings name, or "" (the first usable one) when that is gone."""
    name = str(settings.get(CHECKPOINT_OPTION))
    try:
        return catalog.find(name).title if name else ""
    except ModelUnavailable as error:
        logger.warning("%s The first usable one is taken.", error)
        return ""


class Choices:
    """Implements `core.request.ChoiceLists`. `more`: what returns further names, by the list's name."""

    def __init__(self, catalog: CheckpointCatalog, *, vaes: VaeCatalog | None = None) -> None:
        """Take the checkpoints, and the VAEs; without these only the choices that name no file are there."""
        self.more: dict[str, Callable[[], Sequence[str]]] = {}
        self._catalog = catalog
        self._vaes = vaes

    def names(self, list_name: str) -> Sequence[str]:
        """Return the names in the order in which the form shows them."""
        own = self._own_names(list_name)
        return [*own, *(name for name in self._more(list_name) if name not in own)]

    def _more(self, list_name: str) -> Sequence[str]:
        more = self.more.get(list_name)
        return more() if more is not None else ()

    def _own_names(self, list_name: str) -> Sequence[str]:
        if list_name == "samplers":
            return registry.sampler_labels()
        if list_name == "schedulers":
            return registry.schedule_labels()
        if list_name == "noise_sources":
            return NOISE_SOURCES
        if list_name == "upscalers":
            return UPSCALERS
        if list_name == "pixel_upscalers":
            return PIXEL_UPSCALERS
        if list_name == "vaes":
            return self._vaes.names() if self._vaes else [AUTOMATIC_VAE, NO_VAE]
        return [entry.title for entry in self._catalog.entries() if entry.usable]

    def accepts(self, list_name: str, value: str) -> bool:
        """Say whether `value` is one of the names or a known alias of one; any checkpoint may be left open ("")."""
        return self._accepts_own(list_name, value) or value in self._more(list_name)

    def _accepts_own(self, list_name: str, value: str) -> bool:
        if list_name == "samplers":
            return registry.find_sampler(value) is not None or registry.split_legacy_name(value) is not None
        if list_name == "schedulers":
            automatic = value.casefold() == registry.AUTOMATIC.casefold()
            return automatic or registry.find_schedule(value) is not None
        if list_name == "noise_sources":
            return value in NOISE_SOURCES
        if list_name == "upscalers":
            return value in UPSCALERS
        if list_name == "pixel_upscalers":
            return value in PIXEL_UPSCALERS
        if list_name == "vaes":
            return self._vaes.accepts(value) if self._vaes else value in (AUTOMATIC_VAE, NO_VAE)
        return not value or self._has_checkpoint(value)

    def _has_checkpoint(self, name: str) -> bool:
        try:
            self._catalog.find(name)
        except ModelUnavailable:
            return False
        return True

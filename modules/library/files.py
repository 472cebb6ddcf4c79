"""All model files that there are: the catalogs of checkpoints, VAEs, LoRAs, embeddings and hypernetworks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from modules.cli import AppConfig
from modules.library.catalog import CheckpointCatalog
from modules.library.choices import (
    open_catalog,
    open_embedding_pictures,
    open_embeddings,
    open_hypernetworks,
    open_loras,
    open_vaes,
)
from modules.library.network_files import NetworkFolder
from modules.library.vae_files import VaeCatalog


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """Where models are found; without a catalog none of its kind are known.

    `embedding_pictures`: pictures beside the embeddings, some of which hold one.
    """

    checkpoints: CheckpointCatalog
    vaes: VaeCatalog | None = None
    loras: NetworkFolder | None = None
    embeddings: NetworkFolder | None = None
    hypernetworks: NetworkFolder | None = None
    embedding_pictures: NetworkFolder | None = None

    @classmethod
    def of(cls, config: AppConfig) -> Self:
        """Return the catalogs of the folders that the command line names; nothing is looked at yet."""
        checkpoints = open_catalog(config)
        return cls(
            checkpoints,
            open_vaes(config, checkpoints),
            open_loras(config, checkpoints.hashes),
            open_embeddings(config, checkpoints.hashes),
            open_hypernetworks(config, checkpoints.hashes),
            open_embedding_pictures(config, checkpoints.hashes),
        )

    def refresh(self) -> None:
        """Look at all folders again."""
        self.checkpoints.refresh()
        for folder in (self.vaes, self.loras, self.embeddings, self.hypernetworks, self.embedding_pictures):
            if folder is not None:
                folder.refresh()

    def notice_embeddings(self) -> None:
        """See embeddings that came or went; a prompt names them by words, so that none can be missed otherwise."""
        for folder in (self.embeddings, self.embedding_pictures):
            if folder is not None:
                folder.refresh_if_stale()

"""A whole application on a temporary folder, with everything real but the engine."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modules.app import Application, build
from modules.cli import AppConfig
from modules.core.request import GenerationRequest
from modules.jobs.model import Job, JobState
from modules.jobs.queue import JobQueue
from modules.web.services import WebServices
from tests.fakes import FakeEngine, wait_until

BROKEN_CHECKPOINT = "broken.safetensors"
STEPS = 3


@dataclass(frozen=True)
class Site:
    application: Application
    engine: FakeEngine
    messages: list[dict[str, Any]] = field(default_factory=list)

    @property
    def services(self) -> WebServices:
        return self.application.services

    @property
    def jobs(self) -> JobQueue:
        return self.services.jobs

    def finish(self, **values: object) -> Job:
        """Run one small job to its end."""
        request = GenerationRequest.checked({"prompt": "a cat", "width": 64, "height": 64, "steps": STEPS, **values})
        job = self.jobs.submit(request)
        wait_until(lambda: self.jobs.get(job.id).state not in (JobState.WAITING, JobState.RUNNING))
        return self.jobs.get(job.id)


def site_config(folder: Path, credentials: tuple[tuple[str, str], ...] = (), host: str = "127.0.0.1") -> AppConfig:
    models = folder / "models"
    return AppConfig(
        data_dir=folder,
        models_dir=models,
        checkpoint_dirs=(models / "Stable-diffusion",),
        lora_dirs=(models / "Lora",),
        embeddings_dirs=(folder / "embeddings",),
        vae_dirs=(models / "VAE",),
        settings_file=folder / "config.json",
        styles_files=(folder / "styles.csv",),
        credentials=credentials,
        host=host,
    )


def add_broken_checkpoint(folder: Path) -> None:
    """Put a file that is cut off in the middle beside the models."""
    models = folder / "models" / "Stable-diffusion"
    models.mkdir(parents=True, exist_ok=True)
    header = json.dumps({"__metadata__": {"format": "pt"}}).encode()
    (models / BROKEN_CHECKPOINT).write_bytes(struct.pack("<Q", len(header) + 999) + header)


@contextmanager
def open_site(config: AppConfig, engine: FakeEngine | None = None) -> Iterator[Site]:
    """Build the application, start its queue, and close everything at the end."""
    engine = engine or FakeEngine()
    add_broken_checkpoint(config.data_dir)
    application = build(config, lambda: engine)
    try:
        application.start()
        yield Site(application, engine)
    finally:
        application.close()

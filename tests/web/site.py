"""A whole web application on a temporary folder, with the real queue, settings and catalog and a fake engine."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from modules.cli import AppConfig
from modules.gallery.saving import PictureStore
from modules.jobs.queue import JobQueue, open_queue
from modules.library.catalog import CheckpointCatalog
from modules.library.hashing import HashCache
from modules.sampling.registry import find_sampler, find_schedule, sampler_labels, schedule_labels
from modules.settings.store import SettingsStore
from modules.web.services import WebServices
from tests.fakes import FakeEngine

BROKEN_CHECKPOINT = "broken.safetensors"
ROOT = Path(__file__).resolve().parents[2]


class Lists:
    """The names that may be chosen: the real samplers and schedules, and what the catalog finds."""

    def __init__(self, catalog: CheckpointCatalog) -> None:
        self._catalog = catalog

    def names(self, list_name: str) -> Sequence[str]:
        if list_name == "samplers":
            return sampler_labels()
        if list_name == "schedulers":
            return schedule_labels()
        if list_name == "noise_sources":
            return ["GPU", "CPU", "NV"]
        return [entry.title for entry in self._catalog.entries() if entry.usable]

    def accepts(self, list_name: str, value: str) -> bool:
        if list_name == "samplers":
            return find_sampler(value) is not None
        if list_name == "schedulers":
            return value == "Automatic" or find_schedule(value) is not None
        return value == "" or value in self.names(list_name)


@dataclass(frozen=True)
class Site:
    services: WebServices
    engine: FakeEngine

    @property
    def jobs(self) -> JobQueue:
        return self.services.jobs


def fill_models(folder: Path) -> None:
    """Put the starter model (a link) and a file that is no model into a checkpoint folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "starter").symlink_to(ROOT / "models" / "Stable-diffusion" / "starter")
    header = json.dumps({"__metadata__": {"format": "pt"}}).encode()
    (folder / BROKEN_CHECKPOINT).write_bytes(struct.pack("<Q", len(header) + 999) + header)


@contextmanager
def open_site(
    folder: Path, engine: FakeEngine, credentials: tuple[tuple[str, str], ...] = (), host: str = "127.0.0.1"
) -> Iterator[Site]:
    """Build the services, start the queue, and close everything at the end."""
    outputs, models = folder / "outputs", folder / "models" / "Stable-diffusion"
    outputs.mkdir(parents=True, exist_ok=True)
    if not models.exists():
        fill_models(models)
    config = AppConfig(
        data_dir=folder,
        models_dir=models.parent,
        checkpoint_dirs=(models,),
        settings_file=folder / "config.json",
        credentials=credentials,
        host=host,
    )
    catalog = CheckpointCatalog([models], HashCache(folder / "hashes.json"))
    jobs = open_queue(outputs, PictureStore(outputs), lambda: engine)
    services = WebServices(
        jobs=jobs,
        settings=SettingsStore(config.settings_file),
        checkpoints=catalog,
        lists=Lists(catalog),
        count_tokens=jobs.count_tokens,
        preload=jobs.preload,
        outputs=outputs,
        config=config,
    )
    jobs.recover()
    jobs.start()
    jobs.preload("")
    try:
        yield Site(services, engine)
    finally:
        jobs.close()

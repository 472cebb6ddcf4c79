"""What the page is built on; `app.py` fills it in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from modules.cli import AppConfig
from modules.core.request import ChoiceLists
from modules.jobs.queue import JobQueue
from modules.library.catalog import CheckpointCatalog
from modules.settings.store import SettingsStore


@dataclass(frozen=True, slots=True)
class WebServices:
    """The services of the running application, as the page and its routes use them.

    `count_tokens`: text to (tokens, length of the chunks that they fill), or None while the engine still starts;
    `preload`: begin to load a checkpoint by its title, returns at once; `outputs`: folder of the pictures, absolute.
    """

    jobs: JobQueue
    settings: SettingsStore
    checkpoints: CheckpointCatalog
    lists: ChoiceLists
    count_tokens: Callable[[str], tuple[int, int] | None]
    preload: Callable[[str], None]
    outputs: Path
    config: AppConfig

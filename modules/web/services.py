"""What the page is built on; `app.py` fills it in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from modules.cli import AppConfig
from modules.core.request import ChoiceLists
from modules.gallery.inputs import InputStore
from modules.jobs.queue import JobQueue
from modules.library.files import ModelFiles
from modules.prompts.styles import StyleBook
from modules.settings.store import SettingsStore


@dataclass(frozen=True, slots=True)
class WebServices:
    """The services of the running application, as the page and its routes use them.

    `files`: the catalogs of models; `styles`: the users' prompt styles; `inputs`: pictures that users hand in;
    `outputs`: folder of the pictures, absolute.
    """

    jobs: JobQueue
    settings: SettingsStore
    files: ModelFiles
    lists: ChoiceLists
    styles: StyleBook
    inputs: InputStore
    outputs: Path
    config: AppConfig

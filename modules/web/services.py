"""What the page is built on; `app.py` fills it in."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from modules.cli import AppConfig
from modules.core.request import ChoiceLists
from modules.gallery.inputs import InputStore
from modules.hooks.plugins import PluginList
from modules.jobs.queue import JobQueue
from modules.jobs.tasks import TaskBoard
from modules.library.background import HashWorker
from modules.library.downloads.downloader import Downloader
from modules.library.downloads.tokens import HubTokens
from modules.library.files import ModelFiles
from modules.library.filling import LibraryFiller
from modules.library.merging.recipe import MergePlaces
from modules.library.shelves import ModelLibrary
from modules.plugins.service import ExtensionServices
from modules.prompts.styles import StyleBook
from modules.settings.store import SettingsStore
from modules.web.panels import NoPanels, Panels
from modules.web.restart import Restarter


@dataclass(frozen=True, slots=True)
class BackgroundServices:
    """What runs beside the queue of pictures: the board of tasks, and what downloads and merges need."""

    tasks: TaskBoard
    downloader: Downloader
    tokens: HubTokens
    merges: MergePlaces


@dataclass(frozen=True, slots=True)
class WebServices:
    """The services of the running application, as the page and its routes use them.

    `files`: the catalogs of models; `library`: the same with notes and previews, `filler` reads it ahead, and `hashes`
    computes what is unknown of it; `styles`: the users' prompt styles; `inputs`: pictures that users hand in;
    `outputs`: folder of the pictures, absolute; `plugins`: what plugins show and are asked for; `extensions`: those
    that are installed, and installing more; `restarter`: starts the server anew.
    """

    jobs: JobQueue
    settings: SettingsStore
    files: ModelFiles
    lists: ChoiceLists
    styles: StyleBook
    inputs: InputStore
    outputs: Path
    config: AppConfig
    library: ModelLibrary
    hashes: HashWorker
    filler: LibraryFiller
    background: BackgroundServices
    extensions: ExtensionServices
    plugins: PluginList = field(default_factory=PluginList)
    panels: Panels = field(default_factory=NoPanels)
    restarter: Restarter = field(default_factory=Restarter)

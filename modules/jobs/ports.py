"""What the jobs need from rooms that they may not import; `app.py` hands the real things over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from modules.core.ports import CancelToken, Engine, RunSink
from modules.core.request import GenerationRequest
from modules.core.result import AS_ALWAYS, GeneratedImage, GenerationResult, Place
from modules.hooks.job_hooks import FinishedJob

EngineFactory = Callable[[], Engine]
Claim = Callable[[Path, str], None]
"""Called with a picture's final path and its file's sha256 before anything is written."""


class PictureSaver(Protocol):
    """Puts finished pictures on disk."""

    def save(self, image: GeneratedImage, kept: bool, on_claim: Claim, place: Place = AS_ALWAYS) -> Path:
        """Write one picture, all of it or nothing, and return its path. Raises StorageFailed.

        `kept`: to where the user's pictures are; else to where those are that will go again. `place` goes before that.
        """

    def discard(self, path: Path) -> None:
        """Clear away what an unfinished `save` to this path may have left beside it."""


class Pool(Protocol):
    """Something that runs jobs: an engine in this process now, several GPUs or machines later."""

    def run(
        self, request: GenerationRequest, sink: RunSink, cancel: CancelToken, done: frozenset[int]
    ) -> GenerationResult:
        """Make the pictures that are not in `done`; as `Engine.generate`."""

    def preload(self, checkpoint: str, sink: RunSink) -> None:
        """Have the engine ready and this checkpoint in memory."""

    def count_tokens(self, text: str, checkpoint: str = "") -> tuple[int, int] | None:
        """As `Engine.count_tokens`; None while there is no engine yet."""

    def inspect(self, request: GenerationRequest, field: str) -> dict[str, Any] | None:
        """As `Engine.inspect`; None while there is no engine yet."""

    def engine(self) -> Engine | None:
        """Return the engine if it is in this process; None while there is none yet."""


@dataclass(frozen=True, slots=True)
class JobRules:
    """The options that jobs heed, folded out of the settings afresh whenever they matter.

    `preview_period` is in seconds; `keep_ended` is how many ended jobs stay listed. `save_added` and `show_added` say
    of what plugins add to jobs, such as grids, whether it is kept, and whether it is shown.
    """

    previews: bool = True
    preview_every_steps: int = 1
    preview_period: float = 0.2
    keep_ended: int = 200
    save_added: bool = True
    show_added: bool = True


JobRulesSource = Callable[[], JobRules]
AfterJob = Callable[[str, FinishedJob], None]
"""Has the plugin of an id add its pictures to a job; raises EaselError."""


def nothing_after(plugin: str, job: FinishedJob) -> None:
    """Add nothing, where there are no plugins."""

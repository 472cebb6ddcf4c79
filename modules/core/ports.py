"""The interfaces by which packages that may not import one another meet; `app.py` joins them."""

from __future__ import annotations

from typing import Any, Protocol

from modules.core.events import Event
from modules.core.request import GenerationRequest
from modules.core.result import GeneratedImage, GenerationResult


class CancelToken(Protocol):
    """How a user stops a run. Looked at before every call of the model; safe to use from several threads."""

    def interrupted(self) -> bool:
        """Say whether the run must stop now, keeping the finished pictures."""

    def stopping_after_current(self) -> bool:
        """Say whether the run must end once the current batch is finished."""

    def take_skip(self) -> bool:
        """Say whether the current batch must be skipped, and forget it."""


class RunSink(Protocol):
    """Where a run sends its events and pictures. Called from the engine's thread; must not block for long."""

    def publish(self, event: Event) -> None:
        """Take one event."""

    def wants_preview(self, step: int) -> bool:
        """Say whether somebody wants a preview after `step` (1-based); making one costs the engine time."""

    def save(self, image: GeneratedImage) -> None:
        """Keep one finished picture for good. Raises StorageFailed when that is impossible; the run then ends."""


class Engine(Protocol):
    """Turns requests into pictures; one run at a time."""

    def generate(
        self, request: GenerationRequest, sink: RunSink, cancel: CancelToken, done: frozenset[int] = frozenset()
    ) -> GenerationResult:
        """Make the pictures of `request` but those whose index is in `done`, batch by batch.

        The request's seed must be fixed (not -1). Pictures of a batch of which only a part is in `done` are made
        again together, since only the same batch gives the same bytes; those in `done` are not handed to the sink.
        Raises InvalidRequest, ModelUnavailable, OutOfMemory, StorageFailed.
        """

    def preload(self, checkpoint: str, sink: RunSink) -> None:
        """Load a checkpoint now, so that the next run starts at once. Raises ModelUnavailable."""

    def inspect(self, request: GenerationRequest, field: str) -> dict[str, Any]:
        """Return how the prompt in the field of that name is understood, as plain JSON-able values."""

    def count_tokens(self, text: str, checkpoint: str = "") -> tuple[int, int]:
        """Return how many tokens `text` has and the length of the chunks that it will fill (75, 150, …).

        Embeddings that fit `checkpoint` count by their vectors.
        """

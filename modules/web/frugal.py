"""Keeps Gradio's server from work that it does for every page and at all times, though no page of ours needs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

QUEUE_PAUSES = (0.05, 0.1)
"""Seconds between two looks for queued events, and for their progress, as Gradio has them on Windows."""


@dataclass(frozen=True, slots=True)
class Blueprint:
    """What Gradio makes the session of a page from; it describes all of `blocks` anew for each session.

    Only links to a page in a certain state need these descriptions, and ours offers none. Those of components that
    an event has changed are made nevertheless.
    """

    default_config: Any
    blocks: Mapping[int, Any] = field(default_factory=dict)


def spare_work(page: Any) -> None:
    """Have Gradio do less for a page, that is its blocks, after it was mounted."""
    queue = page._queue  # noqa: SLF001 (Gradio sets these by the system that it runs on alone)
    # Only extensions' events are queued, yet Gradio looks for some a thousand times in a second, even at night.
    queue.sleep_when_free, queue.progress_update_sleep_when_free = QUEUE_PAUSES
    page.state_holder.blocks = Blueprint(page.default_config)

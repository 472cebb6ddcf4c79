"""How far the running job is, and how many seconds are left, from the times that its steps really took."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from modules.core.events import StepDone
from modules.core.request import GenerationRequest

Stage = Literal["loading model", "sampling", "saving"]
NEW_STEP_WEIGHT = 0.2
"""How much the newest step counts in the moving average: a machine that slows down shows within some five steps."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where the running job stands; `image` counts from 1, `fraction` from 0 to 1 over all pictures and steps."""

    job: str
    fraction: float
    step: int
    steps: int
    image: int
    images: int
    batch_size: int
    seconds_left: float | None
    preview: str | None
    stage: Stage

    def message(self) -> dict[str, Any]:
        """Return the value as subscribers get it."""
        return {
            "job": self.job,
            "fraction": round(self.fraction, 4),
            "step": self.step,
            "steps": self.steps,
            "image": self.image,
            "images": self.images,
            "batch_size": self.batch_size,
            "seconds_left": None if self.seconds_left is None else round(self.seconds_left, 1),
            "preview": self.preview,
            "stage": self.stage,
        }


class ProgressMeter:
    """Turns the step events of one run into fraction and seconds left. Used from the engine's thread alone.

    The indexes of `done` run on over the requests. The first step of a run is left out of the average, since it pays
    for warming up; between batches the time for decoding and saving is measured by itself.
    """

    def __init__(
        self,
        requests: Sequence[GenerationRequest],
        done: frozenset[int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        batches = _batches(requests)
        self._clock = clock
        self._left = [batch for batch in batches if not done.issuperset(batch.indexes)]
        self._all_steps = sum(batch.steps for batch in batches)
        self._last_time: float | None = None
        self._last_event: StepDone | None = None
        self._step_seconds: float | None = None
        self._finish_seconds = 0.0

    def step_done(self, event: StepDone) -> None:
        """Take the time of a step."""
        now = self._clock()
        if self._last_event is not None and self._last_time is not None:
            passed = now - self._last_time
            if self._last_event.first_image != event.first_image:
                self._finish_seconds = max(0.0, passed - (self._step_seconds or 0.0))
            elif self._step_seconds is None:
                self._step_seconds = passed
            else:
                self._step_seconds += NEW_STEP_WEIGHT * (passed - self._step_seconds)
        self._left = [batch for batch in self._left if batch.indexes.start >= event.first_image]
        self._last_time, self._last_event = now, event

    def fraction(self) -> float:
        """Return the part of the whole job that is done, pictures of earlier runs and skipped ones included."""
        event = self._last_event
        within = event.step / event.steps * self._left[0].steps if event is not None and self._left else 0.0
        return min(1.0, (self._all_steps - self._steps_left() + within) / self._all_steps)

    def seconds_left(self) -> float | None:
        """Return the seconds until the job ends; None before two steps have been timed."""
        event = self._last_event
        if event is None or self._step_seconds is None:
            return None
        # A second pass adds to the steps that were asked for, and a picture to begin with saves some.
        real = event.steps / self._left[0].steps if self._left else 0.0
        steps = self._steps_left() * real - event.step
        return max(0.0, steps * self._step_seconds + len(self._left) * self._finish_seconds)

    def _steps_left(self) -> int:
        return sum(batch.steps for batch in self._left)


@dataclass(frozen=True, slots=True)
class _Batch:
    """The indexes of the pictures that are made at once, and the steps that were asked for."""

    indexes: range
    steps: int


def _batches(requests: Sequence[GenerationRequest]) -> list[_Batch]:
    batches, first = [], 0
    for request in requests:
        for _ in range(request.batch_count):
            batches.append(_Batch(range(first, first + request.batch_size), request.steps))
            first += request.batch_size
    return batches

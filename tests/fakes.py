"""Stand-ins for the slow and heavy parts, so that jobs, gallery, web and app are tested in milliseconds.

`FakeEngine` paints the request as text. It behaves like the real engine at every border: events, cancel token per
step, batches, resuming. Tests never sleep: they hold the engine at a step with a gate and wait for that to be reached.
"""

from __future__ import annotations

import asyncio
import colorsys
import hashlib
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol, TypeVar

from PIL import Image, ImageDraw

from modules.core.errors import GenerationStopped, ImageSkipped, ModelUnavailable
from modules.core.events import Event, ImageDone, ModelLoading, ModelReady, PreviewReady, StepDone
from modules.core.ports import CancelToken, RunSink
from modules.core.request import GenerationRequest
from modules.core.result import GeneratedImage, GenerationResult

Result = TypeVar("Result")

POLL_SECONDS, LONGEST_POLL_SECONDS = 0.005, 0.03
PATIENCE_SECONDS = 20.0
"""How long `wait_until` and `wait_reached` wait before they say that the test hangs."""
LONGEST_HOLD_SECONDS = 90.0
"""How long the engine stands at a gate that nobody opens before its job fails."""


class Gate(Protocol):
    """Where a test holds the engine: asked before each step until it is open."""

    def is_open(self, first_image: int, step: int) -> bool:
        """Note that this step of this batch was reached, and say whether it may go on. Steps count from 1."""


class HoldAt:
    """Holds the engine before one step of one batch, within this process.

    >>> gate = HoldAt(first_image=0, step=3)
    ... engine = FakeEngine(gate=gate)   # submit a job, then
    ... gate.wait_reached()              # the engine now stands before step 3
    ... gate.release()
    """

    def __init__(self, first_image: int = 0, step: int = 1) -> None:
        self._place = (first_image, step)
        self._reached = threading.Event()
        self._released = threading.Event()

    def is_open(self, first_image: int, step: int) -> bool:
        """Hold only at the one place that was asked for, and only until `release`."""
        if (first_image, step) != self._place or self._released.is_set():
            return True
        self._reached.set()
        return False

    def wait_reached(self) -> None:
        """Return once the engine stands at the gate."""
        assert self._reached.wait(PATIENCE_SECONDS), f"the engine never reached {self._place}"

    def release(self) -> None:
        """Let the engine go on for good."""
        self._released.set()


class FileGate:
    """Holds an engine of another process by files in a folder.

    The engine writes `reached-IMAGE-STEP` and goes on when `open-IMAGE-STEP` or `open` exists. With `only`, places
    other than that (first image, step) are always open.
    """

    def __init__(self, folder: Path, only: tuple[int, int] | None = None) -> None:
        self._folder = folder
        self._only = only

    def is_open(self, first_image: int, step: int) -> bool:
        """Look for the file that opens this place."""
        place = f"{first_image}-{step}"
        if self._only not in (None, (first_image, step)) or (self._folder / "open").exists():
            return True
        (self._folder / f"reached-{place}").touch()
        return (self._folder / f"open-{place}").exists()

    def wait_reached(self, first_image: int, step: int) -> None:
        """Return once the engine of the other process stands at this place."""
        wait_until((self._folder / f"reached-{first_image}-{step}").exists)

    def release(self, first_image: int | None = None, step: int = 1) -> None:
        """Open one place, or all of them for good."""
        (self._folder / ("open" if first_image is None else f"open-{first_image}-{step}")).touch()


def wait_until(condition: Callable[[], object], patience: float = PATIENCE_SECONDS) -> None:
    """Return as soon as `condition()` holds; fail the test when it does not within `patience` seconds."""
    end, pause = time.monotonic() + patience, POLL_SECONDS
    while not condition():
        assert time.monotonic() < end, "the condition was never met"
        time.sleep(pause)
        # Asking costs as much as some steps of a small model, which the processor could do meanwhile.
        pause = min(pause * 1.2, LONGEST_POLL_SECONDS)


def infotext(request: GenerationRequest, index: int) -> str:
    """Return a text in A1111's form for picture `index`."""
    negative = f"\nNegative prompt: {request.negative_prompt}" if request.negative_prompt else ""
    return (
        f"{request.prompt}{negative}\nSteps: {request.steps}, Sampler: {request.sampler}, "
        f"CFG scale: {request.cfg_scale:g}, Seed: {request.image_seed(index)}, "
        f"Size: {request.width}x{request.height}, Model: {request.checkpoint or 'fake'}"
    )


def paint(request: GenerationRequest, index: int) -> Image.Image:
    """Paint picture `index`: its infotext on a colour that follows from it; equal input gives equal pixels."""
    text = infotext(request, index)
    hue = hashlib.sha256(text.encode()).digest()[0] / 255
    red, green, blue = (round(255 * part) for part in colorsys.hsv_to_rgb(hue, 0.45, 0.9))
    picture = Image.new("RGB", (request.width, request.height), (red, green, blue))
    draw = ImageDraw.Draw(picture)
    width = max(8, request.width // 7)
    lines = [line[start : start + width] for line in text.splitlines() for start in range(0, len(line) or 1, width)]
    for number, line in enumerate(lines[: max(1, request.height // 12)]):
        draw.text((4, 2 + 12 * number), line, fill="black")
    return picture


class FakeEngine:
    """Implements `core.ports.Engine`.

    `gate` holds it before steps; `fail_at` maps a picture's index to the error raised (once) when its batch has been
    sampled; `missing` are checkpoints that raise ModelUnavailable; `seconds_per_step` makes it slow for the eye.
    `runs` collects (request, done) of every call.
    """

    def __init__(
        self,
        gate: Gate | None = None,
        fail_at: dict[int, Exception] | None = None,
        missing: frozenset[str] = frozenset(),
        seconds_per_step: float = 0.0,
    ) -> None:
        self.gate = gate
        self.fail_at = dict(fail_at or {})
        self.missing = missing
        self.seconds_per_step = seconds_per_step
        self.runs: list[tuple[GenerationRequest, frozenset[int]]] = []
        self.preloaded: list[str] = []
        self._loaded: str | None = None

    def generate(
        self, request: GenerationRequest, sink: RunSink, cancel: CancelToken, done: frozenset[int] = frozenset()
    ) -> GenerationResult:
        """Paint the pictures that are not in `done`, batch by batch."""
        self.runs.append((request, done))
        self._load(request.checkpoint, sink)
        finished, skipped = set(done), set[int]()
        for first in range(0, request.image_count(), request.batch_size):
            batch = range(first, first + request.batch_size)
            if all(index in done for index in batch):
                continue
            try:
                self._sample(request, first, sink, cancel)
            except GenerationStopped:
                return GenerationResult(tuple(sorted(finished)), tuple(sorted(skipped)), interrupted=True)
            except ImageSkipped:
                skipped.update(index for index in batch if index not in done)
                continue
            self._hand_over(request, [index for index in batch if index not in done], sink)
            finished.update(batch)
            if cancel.stopping_after_current() and batch.stop < request.image_count():
                return GenerationResult(tuple(sorted(finished)), tuple(sorted(skipped)), interrupted=True)
        return GenerationResult(tuple(sorted(finished)), tuple(sorted(skipped)))

    def preload(self, checkpoint: str, sink: RunSink) -> None:
        """Pretend to load a checkpoint."""
        self.preloaded.append(checkpoint)
        self._load(checkpoint, sink)

    def count_tokens(self, text: str, checkpoint: str = "") -> tuple[int, int]:
        """Count words as tokens."""
        words = len(text.split())
        return words, max(1, -(-words // 75)) * 75

    def inspect(self, request: GenerationRequest, field: str) -> dict[str, Any]:
        """Tell of the words."""
        return {"text": getattr(request, field), "tokens": len(getattr(request, field).split())}

    def _load(self, checkpoint: str, sink: RunSink) -> None:
        title = checkpoint or "fake"
        if title in self.missing:
            raise ModelUnavailable(f"The model {title} was not found.")
        if self._loaded != title:
            for fraction in (0.0, 0.5, 1.0):
                sink.publish(ModelLoading(title, fraction, "reading weights"))
            self._loaded = title
        sink.publish(ModelReady(title, 0.0))

    def _sample(self, request: GenerationRequest, first: int, sink: RunSink, cancel: CancelToken) -> None:
        for step in range(1, request.steps + 1):
            self._wait(first, step, cancel)
            if self.seconds_per_step:
                time.sleep(self.seconds_per_step)
            sink.publish(StepDone(first, request.batch_size, step, request.steps))
            if sink.wants_preview(step):
                picture = paint(request, first).resize((max(1, request.width // 4), max(1, request.height // 4)))
                sink.publish(PreviewReady(first, picture))

    def _wait(self, first: int, step: int, cancel: CancelToken) -> None:
        """Stand at the gate until it opens; the cancel token works meanwhile, as it does between real steps."""
        end = time.monotonic() + LONGEST_HOLD_SECONDS
        while True:
            if cancel.interrupted():
                raise GenerationStopped
            if cancel.take_skip():
                raise ImageSkipped
            if self.gate is None or self.gate.is_open(first, step):
                return
            if time.monotonic() > end:
                raise TimeoutError(f"the gate at picture {first}, step {step} was never opened")
            time.sleep(POLL_SECONDS)

    def _hand_over(self, request: GenerationRequest, indexes: list[int], sink: RunSink) -> None:
        for index in indexes:
            if index in self.fail_at:
                raise self.fail_at.pop(index)
            seed = request.image_seed(index)
            pixels, over = paint(request, index), bool(request.init_image)
            sink.save(GeneratedImage(index, seed, pixels, infotext(request, index), over))
            sink.publish(ImageDone(index))


class Collector:
    """Takes the pictures of a run; never asks to stop."""

    def __init__(self) -> None:
        self.images: list[GeneratedImage] = []

    def publish(self, event: Event) -> None:
        """Ignore events."""

    def wants_preview(self, step: int) -> bool:
        """Want none."""
        return False

    def save(self, image: GeneratedImage) -> None:
        """Keep the picture in memory."""
        self.images.append(image)

    def interrupted(self) -> bool:
        """Never."""
        return False

    def stopping_after_current(self) -> bool:
        """Never."""
        return False

    def take_skip(self) -> bool:
        """Never."""
        return False


def run_async(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine in a loop and thread of its own: in the tests' thread the browser driver's may be running."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(asyncio.run, work).result()

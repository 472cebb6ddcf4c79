"""Pictures that take several runs each: what scripts need that work in passes, such as outpainting."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from PIL.Image import Image

from modules.core.errors import GenerationStopped, ImageSkipped
from modules.core.events import Event, ImageDone, PreviewReady, Remark, StepDone
from modules.core.ports import RunSink
from modules.core.request import GenerationRequest
from modules.core.result import GeneratedImage, GenerationResult
from modules.hooks.spec import Generation


def each_picture(generation: Generation, make: Callable[[int], GeneratedImage]) -> GenerationResult:
    """Make every picture of a run that is missing, one after the other, and save it.

    `make` is given the picture's index. It may raise ImageSkipped and GenerationStopped, as `PassRunner.run` does.
    """
    finished, skipped, interrupted = set(generation.done), set[int](), False
    for index in range(generation.request.image_count()):
        if index in generation.done:
            continue
        if generation.cancel.stopping_after_current() and finished != generation.done:
            interrupted = True
            break
        try:
            generation.sink.save(make(index))
        except ImageSkipped:
            skipped.add(index)
            continue
        except GenerationStopped:
            interrupted = True
            break
        finished.add(index)
        generation.sink.publish(ImageDone(index))
    return GenerationResult(tuple(sorted(finished)), tuple(sorted(skipped)), interrupted)


@dataclass(slots=True)
class PassRunner:
    """Makes one picture of a run in several passes, each a run of its own of one picture.

    `passes`: how many there will be, which progress is reckoned by.
    """

    generation: Generation
    index: int
    passes: int
    done: int = 0
    told: set[str] = field(default_factory=set)

    def run(self, request: GenerationRequest, pictures: Mapping[str, Image]) -> GeneratedImage:
        """Return the one picture of a pass. `pictures`: those that its request names and no store has.

        Raises ImageSkipped and GenerationStopped when the user wants it.
        """
        outer = self.generation
        sink = PassSink(outer.sink, self, request.steps)

        def picture(name: str) -> Image:
            return pictures[name] if name in pictures else outer.pictures(name)

        inner = replace(outer, request=request, sink=sink, pictures=picture, done=frozenset())
        result = outer.nested(inner)
        if result.interrupted:
            raise GenerationStopped
        if not sink.images:
            raise ImageSkipped
        self.done += 1
        return sink.images[0]

    @property
    def size(self) -> int:
        """How many pictures the outer run's batch has."""
        return self.generation.request.batch_size

    @property
    def first(self) -> int:
        """The index of the first picture of the outer run's batch, which progress is told of."""
        return self.index - self.index % self.size

    def passes_before(self) -> int:
        """Return how many passes of this batch are done."""
        return (self.index - self.first) * self.passes + self.done

    def one_picture(self) -> dict[str, object]:
        """Return the request's values that make a run of this picture alone, with the seeds that it has."""
        request = self.generation.request
        seeds = {"seed": request.image_seed(self.index), "subseed": request.image_subseed(self.index)}
        return {"batch_count": 1, "batch_size": 1, **seeds}


class PassSink:
    """Keeps a pass's picture, and hands its events on as those of the outer run's batch."""

    def __init__(self, outer: RunSink, runner: PassRunner, steps: int) -> None:
        """Reckon with so many `steps` a pass when previews are asked for."""
        self.images: list[GeneratedImage] = []
        self._outer = outer
        self._runner = runner
        self._steps = steps

    def publish(self, event: Event) -> None:
        """Hand an event on; what was remarked in one pass is not said again in the next."""
        runner = self._runner
        if isinstance(event, ImageDone):
            return
        if isinstance(event, Remark):
            if event.text in runner.told:
                return
            runner.told.add(event.text)
        elif isinstance(event, StepDone):
            before = runner.passes_before() * event.steps
            event = StepDone(runner.first, runner.size, before + event.step, runner.size * runner.passes * event.steps)
        elif isinstance(event, PreviewReady):
            event = PreviewReady(runner.first, event.picture)
        self._outer.publish(event)

    def wants_preview(self, step: int) -> bool:
        """Ask the outer run's sink, whose steps are counted through all passes."""
        return self._outer.wants_preview(self._runner.passes_before() * self._steps + step)

    def save(self, image: GeneratedImage) -> None:
        """Keep a picture for the script."""
        self.images.append(image)

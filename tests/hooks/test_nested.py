"""Pictures that take several runs each: seeds, progress, stopping and going on again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from PIL import Image

from modules.core.errors import GenerationStopped, ImageSkipped
from modules.core.events import ImageDone, PreviewReady, Remark, StepDone
from modules.core.request import GenerationRequest
from modules.core.result import GeneratedImage, GenerationResult
from modules.hooks.nested import PassRunner, each_picture
from modules.hooks.spec import Generation
from tests.engine.conftest import Watcher

Nested = Callable[[Generation], GenerationResult]


def one_colour(generation: Generation) -> GenerationResult:
    """A run that steps twice and makes a picture in the colour that its seed stands for."""
    request, sink = generation.request, generation.sink
    for step in (1, 2):
        sink.publish(StepDone(0, 1, step, 2))
        if sink.wants_preview(step):
            sink.publish(PreviewReady(0, Image.new("RGB", (4, 4))))
    sink.publish(Remark("the same in every pass"))
    pixels = Image.new("RGB", (request.width, request.height), (request.seed, 0, 0))
    sink.save(GeneratedImage(0, request.seed, pixels, "infotext"))
    sink.publish(ImageDone(0))
    return GenerationResult((0,))


def outer(watcher: Watcher, nested: Nested = one_colour, **values: object) -> Generation:
    request = GenerationRequest.checked({"seed": 10, "steps": 2, "width": 64, "height": 64, **values})
    return Generation(request, watcher, watcher, {}.__getitem__, nested)


def two_passes(generation: Generation) -> Callable[[int], GeneratedImage]:
    def make(index: int) -> GeneratedImage:
        runner = PassRunner(generation, index, 2)
        request = generation.request.model_copy(update=runner.one_picture())
        runner.run(request, {})
        return replace(runner.run(request, {}), index=index)

    return make


def test_every_picture_has_its_own_seed_and_is_saved_once(watcher: Watcher) -> None:
    generation = outer(watcher, batch_size=2, batch_count=2)
    result = each_picture(generation, two_passes(generation))
    assert result == GenerationResult((0, 1, 2, 3))
    assert [(image.index, image.seed) for image in watcher.images] == [(0, 10), (1, 11), (2, 12), (3, 13)]
    assert [event.index for event in watcher.events if isinstance(event, ImageDone)] == [0, 1, 2, 3]


def test_progress_counts_through_all_passes_of_a_batch(watcher: Watcher) -> None:
    generation = outer(watcher, batch_size=2, batch_count=2)
    each_picture(generation, two_passes(generation))
    steps = [event for event in watcher.events if isinstance(event, StepDone)]
    assert [(step.first_image, step.step) for step in steps] == [
        (first, step) for first in (0, 2) for step in range(1, 9)
    ]
    assert {(step.batch_size, step.steps) for step in steps} == {(2, 8)}


def test_previews_are_those_of_the_outer_batch(watcher: Watcher) -> None:
    watcher.previews = True
    generation = outer(watcher, batch_size=2)
    each_picture(generation, two_passes(generation))
    assert {event.first_image for event in watcher.events if isinstance(event, PreviewReady)} == {0}


def test_what_every_pass_remarks_is_told_once_for_a_picture(watcher: Watcher) -> None:
    generation = outer(watcher)
    each_picture(generation, two_passes(generation))
    assert [event.text for event in watcher.events if isinstance(event, Remark)] == ["the same in every pass"]


def test_pictures_that_exist_are_not_made_again(watcher: Watcher) -> None:
    generation = replace(outer(watcher, batch_size=3), done=frozenset({1}))
    assert each_picture(generation, two_passes(generation)).images_done == (0, 1, 2)
    assert [image.index for image in watcher.images] == [0, 2]


def test_an_interrupted_pass_ends_the_run_and_keeps_what_is_finished(watcher: Watcher) -> None:
    def nested(generation: Generation) -> GenerationResult:
        if generation.request.seed == 11:
            return GenerationResult((), interrupted=True)
        return one_colour(generation)

    generation = outer(watcher, nested, batch_count=3)
    assert each_picture(generation, two_passes(generation)) == GenerationResult((0,), interrupted=True)


def test_a_skipped_pass_skips_its_picture(watcher: Watcher) -> None:
    def nested(generation: Generation) -> GenerationResult:
        if generation.request.seed == 11:
            return GenerationResult((), images_skipped=(0,))
        return one_colour(generation)

    generation = outer(watcher, nested, batch_count=3)
    assert each_picture(generation, two_passes(generation)) == GenerationResult((0, 2), (1,))


def test_stopping_after_the_current_picture_ends_before_the_next(watcher: Watcher) -> None:
    generation = outer(watcher, batch_count=3)
    watcher.on_event = lambda event: setattr(watcher, "stop_after", True)
    assert each_picture(generation, two_passes(generation)) == GenerationResult((0,), interrupted=True)


def test_a_pass_finds_its_own_pictures_and_the_stored_ones(watcher: Watcher) -> None:
    found: list[object] = []

    def nested(generation: Generation) -> GenerationResult:
        found.extend((generation.pictures("mine").size, generation.pictures("stored").size))
        return one_colour(generation)

    stored = {"stored": Image.new("RGB", (8, 8))}
    generation = replace(outer(watcher, nested), pictures=stored.__getitem__)
    PassRunner(generation, 0, 1).run(generation.request, {"mine": Image.new("RGB", (4, 4))})
    assert found == [(4, 4), (8, 8)]


@pytest.mark.parametrize("error", [ImageSkipped, GenerationStopped])
def test_what_the_user_wants_ends_a_pass_by_name(error: type[Exception], watcher: Watcher) -> None:
    stopped = error is GenerationStopped
    generation = outer(watcher, lambda generation: GenerationResult((), interrupted=stopped))
    with pytest.raises(error):
        PassRunner(generation, 0, 1).run(generation.request, {})

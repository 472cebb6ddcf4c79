import numpy as np
import pytest

from modules.core.errors import InvalidRequest, ModelUnavailable
from modules.core.events import Event, ImageDone, ModelReady, PreviewReady, StepDone
from modules.core.result import GeneratedImage
from modules.engine.service import DiffusionEngine
from modules.sampling import registry
from tests.engine.conftest import MakeRequest, Watcher


def pixels(image: GeneratedImage) -> np.ndarray:
    return np.asarray(image.pixels).astype(int)


# DPM adaptive sets its steps by the error over the whole batch, as in A1111.
INDEPENDENT = [label for label in registry.sampler_labels() if label != "DPM adaptive"]


@pytest.mark.parametrize(("sampler", "source"), [("Euler a", "NV"), *((label, "CPU") for label in INDEPENDENT)])
def test_picture_k_of_a_batch_is_the_single_picture_of_seed_plus_k(
    engine: DiffusionEngine, request_of: MakeRequest, sampler: str, source: str
) -> None:
    batch, single = Watcher(), Watcher()
    engine.generate(request_of(sampler=sampler, batch_size=2, noise_source=source), batch, batch)
    engine.generate(request_of(sampler=sampler, seed=6, noise_source=source), single, single)
    assert [image.seed for image in batch.images] == [5, 6]
    # Sums over a batch may round differently by the last bit, which can move a value by one of 255.
    assert np.abs(pixels(batch.images[1]) - pixels(single.images[0])).max() <= 1


def test_the_adaptive_sampler_makes_pictures_too(
    engine: DiffusionEngine, request_of: MakeRequest, watcher: Watcher
) -> None:
    engine.generate(request_of(sampler="DPM adaptive", cfg_scale=1), watcher, watcher)
    assert [event.step for event in watcher.events if isinstance(event, StepDone)][-1] == 3
    assert len(watcher.images) == 1


def test_the_same_request_gives_the_same_bytes(engine: DiffusionEngine, request_of: MakeRequest) -> None:
    first, second = Watcher(), Watcher()
    for watcher in (first, second):
        engine.generate(request_of(sampler="Euler a"), watcher, watcher)
    assert first.images[0].pixels.tobytes() == second.images[0].pixels.tobytes()
    assert first.images[0].infotext == second.images[0].infotext


def test_prompt_negative_prompt_seed_and_cfg_scale_all_matter(engine: DiffusionEngine, request_of: MakeRequest) -> None:
    pictures = set()
    for values in ({}, {"prompt": "a cat"}, {"negative_prompt": "red"}, {"seed": 6}, {"cfg_scale": 3}, {"clip_skip": 2},
                   {"scheduler": "Karras"}, {"prompt": "a (red:1.5) apple"}, {"noise_source": "NV"}):  # fmt: skip
        watcher = Watcher()
        engine.generate(request_of(**values), watcher, watcher)
        pictures.add(watcher.images[0].pixels.tobytes())
    assert len(pictures) == 9


def test_batches_go_on_with_the_next_seed(engine: DiffusionEngine, request_of: MakeRequest, watcher: Watcher) -> None:
    result = engine.generate(request_of(batch_count=2, batch_size=2), watcher, watcher)
    assert result.images_done == (0, 1, 2, 3)
    assert [(image.index, image.seed) for image in watcher.images] == [(0, 5), (1, 6), (2, 7), (3, 8)]
    assert [event.index for event in watcher.events if isinstance(event, ImageDone)] == [0, 1, 2, 3]


def test_pictures_have_the_size_asked_for(engine: DiffusionEngine, request_of: MakeRequest, watcher: Watcher) -> None:
    engine.generate(request_of(width=72, height=136, steps=1), watcher, watcher)
    assert watcher.images[0].pixels.size == (72, 136)
    assert watcher.images[0].pixels.mode == "RGB"


def test_a_done_picture_is_not_made_again_and_the_rest_is_the_same(
    engine: DiffusionEngine, request_of: MakeRequest
) -> None:
    request = request_of(batch_count=2, batch_size=2, sampler="Euler a")
    whole, resumed = Watcher(), Watcher()
    engine.generate(request, whole, whole)
    result = engine.generate(request, resumed, resumed, done=frozenset({0, 1, 2}))
    assert [image.index for image in resumed.images] == [3]
    assert resumed.images[0].pixels.tobytes() == whole.images[3].pixels.tobytes()
    assert result.images_done == (0, 1, 2, 3)


def test_interrupt_stops_within_one_step_and_keeps_what_is_finished(
    engine: DiffusionEngine, request_of: MakeRequest, watcher: Watcher
) -> None:
    def stop_in_the_second_batch(event: Event) -> None:
        if isinstance(event, StepDone) and event.first_image == 1 and event.step == 2:
            watcher.stop = True

    watcher.on_event = stop_in_the_second_batch
    result = engine.generate(request_of(batch_count=3, steps=6), watcher, watcher)
    steps = [event.step for event in watcher.events if isinstance(event, StepDone) and event.first_image == 1]
    assert steps == [1, 2]
    assert result.interrupted
    assert result.images_done == (0,)


def test_skip_goes_to_the_next_batch(engine: DiffusionEngine, request_of: MakeRequest, watcher: Watcher) -> None:
    def skip_the_first_batch(event: Event) -> None:
        watcher.skip = isinstance(event, StepDone) and event.first_image == 0 and event.step == 1

    watcher.on_event = skip_the_first_batch
    result = engine.generate(request_of(batch_count=2), watcher, watcher)
    assert result.images_skipped == (0,)
    assert result.images_done == (1,)
    assert not result.interrupted


def test_stopping_after_the_current_batch_finishes_it(
    engine: DiffusionEngine, request_of: MakeRequest, watcher: Watcher
) -> None:
    watcher.on_event = lambda event: setattr(watcher, "stop_after", True)
    result = engine.generate(request_of(batch_count=3), watcher, watcher)
    assert result.images_done == (0,)
    assert result.interrupted


def test_every_step_is_told_and_previews_come_when_wanted(engine: DiffusionEngine, request_of: MakeRequest) -> None:
    watcher = Watcher(previews=True)
    engine.generate(request_of(batch_size=2, steps=4), watcher, watcher)
    steps = [event for event in watcher.events if isinstance(event, StepDone)]
    previews = [event for event in watcher.events if isinstance(event, PreviewReady)]
    assert [(event.step, event.steps, event.batch_size) for event in steps] == [(n, 4, 2) for n in (1, 2, 3, 4)]
    assert len(previews) == 4
    assert previews[0].picture.size == (16, 8)


def test_previews_approach_the_picture(engine: DiffusionEngine, request_of: MakeRequest) -> None:
    watcher = Watcher(previews=True)
    engine.generate(request_of(prompt="a red apple on a blue background", width=128, height=128, steps=8, cfg_scale=5),
                    watcher, watcher)  # fmt: skip
    final = np.asarray(watcher.images[0].pixels.resize((16, 16))).astype(int)
    shown = [np.asarray(event.picture).astype(int) for event in watcher.events if isinstance(event, PreviewReady)]
    errors = [np.abs(preview - final).mean() for preview in shown]
    assert errors[-1] < errors[0]
    assert errors[-1] < 40


def test_a_prompt_beyond_75_tokens_counts_to_its_end(engine: DiffusionEngine, request_of: MakeRequest) -> None:
    short, long = Watcher(), Watcher()
    engine.generate(request_of(prompt="plain " * 80), short, short)
    engine.generate(request_of(prompt="plain " * 80 + "red apple"), long, long)
    assert short.images[0].pixels.tobytes() != long.images[0].pixels.tobytes()


def test_an_empty_prompt_makes_a_picture(engine: DiffusionEngine, request_of: MakeRequest, watcher: Watcher) -> None:
    engine.generate(request_of(prompt=""), watcher, watcher)
    assert watcher.images[0].infotext.startswith("Steps: 3, Sampler: Euler, Schedule type: Automatic, ")


def test_the_infotext_names_what_was_really_used(
    engine: DiffusionEngine, request_of: MakeRequest, watcher: Watcher
) -> None:
    engine.generate(request_of(sampler="dpm++ 2m karras", batch_size=2), watcher, watcher)
    infotext = watcher.images[1].infotext
    assert "Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7.0, Seed: 6, Size: 64x64" in infotext
    assert "Model: starter, Version: easel-" in infotext


def test_the_last_checkpoint_stays_in_memory(engine: DiffusionEngine, watcher: Watcher) -> None:
    engine.preload("starter", Watcher())
    engine.preload("starter", watcher)
    (event,) = watcher.events
    assert isinstance(event, ModelReady)
    assert event.seconds == 0


def test_unknown_names_end_the_run_with_a_clear_error(
    engine: DiffusionEngine, request_of: MakeRequest, watcher: Watcher
) -> None:
    with pytest.raises(InvalidRequest, match="Sampling method: Eulr"):
        engine.generate(request_of(sampler="Eulr"), watcher, watcher)
    with pytest.raises(InvalidRequest, match="Schedule type: Nope"):
        engine.generate(request_of(scheduler="Nope"), watcher, watcher)
    with pytest.raises(ModelUnavailable, match="no checkpoint named 'none'"):
        engine.generate(request_of(checkpoint="none"), watcher, watcher)


@pytest.mark.parametrize(("text", "count"), [("", (0, 75)), ("a cat, a dog", (5, 75)), ("cat " * 80, (80, 150))])
def test_tokens_are_counted_as_clip_does(engine: DiffusionEngine, text: str, count: tuple[int, int]) -> None:
    assert engine.count_tokens(text) == count


def test_an_edited_prompt_is_the_first_text_up_to_the_step_and_the_second_from_there(
    engine: DiffusionEngine, request_of: MakeRequest
) -> None:
    pictures = {}
    for prompt in ("a cat", "a [cat:dog:2]", "a [cat:dog:99]", "a [cat|dog]", "a cat AND a dog :0.5", "a cat # a dog"):
        watcher = Watcher()
        engine.generate(request_of(prompt=prompt, steps=4), watcher, watcher)
        pictures[prompt] = watcher.images[0].pixels.tobytes()
    assert pictures["a [cat:dog:99]"] == pictures["a cat # a dog"] == pictures["a cat"]
    assert len(set(pictures.values())) == 4


def test_comments_do_not_stand_in_the_infotext(
    engine: DiffusionEngine, request_of: MakeRequest, watcher: Watcher
) -> None:
    engine.generate(request_of(prompt="a cat # a dog", negative_prompt="# nothing", steps=1), watcher, watcher)
    assert watcher.images[0].infotext.startswith("a cat\nSteps: 1,")

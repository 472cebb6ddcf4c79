"""Fraction and seconds left, with a clock that the test turns."""

import pytest

from modules.core.events import StepDone
from modules.jobs.progress import ProgressMeter
from tests.jobs.conftest import small


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def run(meter: ProgressMeter, clock: Clock, first_image: int, seconds: float, steps: int = 4, size: int = 1) -> None:
    for step in range(1, steps + 1):
        clock.now += seconds
        meter.step_done(StepDone(first_image, size, step, steps))


def test_the_fraction_counts_all_steps_of_all_batches() -> None:
    clock = Clock()
    meter = ProgressMeter([small(steps=4, batch_count=2)], frozenset(), clock)
    assert meter.fraction() == 0
    clock.now = 1
    meter.step_done(StepDone(0, 1, 1, 4))
    assert meter.fraction() == pytest.approx(1 / 8)
    run(meter, clock, 1, 1.0)
    assert meter.fraction() == 1


def test_a_job_that_goes_on_counts_its_earlier_pictures_as_done() -> None:
    meter = ProgressMeter([small(steps=4, batch_count=4)], frozenset({0, 1}), Clock())
    assert meter.fraction() == pytest.approx(0.5)
    meter.step_done(StepDone(2, 1, 2, 4))
    assert meter.fraction() == pytest.approx(0.625)


def test_seconds_left_are_unknown_until_two_steps_were_timed_and_the_first_step_does_not_count() -> None:
    clock = Clock()
    meter = ProgressMeter([small(steps=4, batch_count=3)], frozenset(), clock)
    clock.now = 30.0
    meter.step_done(StepDone(0, 1, 1, 4))
    assert meter.seconds_left() is None
    clock.now += 2.0
    meter.step_done(StepDone(0, 1, 2, 4))
    assert meter.seconds_left() == pytest.approx(2.0 * 10)


def test_seconds_left_include_the_time_that_finishing_a_batch_takes() -> None:
    clock = Clock()
    meter = ProgressMeter([small(steps=4, batch_count=3)], frozenset(), clock)
    run(meter, clock, 0, 1.0)
    clock.now += 5.0
    run(meter, clock, 1, 1.0)
    # One batch of four steps is left; this batch and the next must still be finished.
    assert meter.seconds_left() == pytest.approx(4.0 + 2 * 5.0)


def test_a_slower_machine_shows_within_a_few_steps() -> None:
    clock = Clock()
    meter = ProgressMeter([small(steps=100)], frozenset(), clock)
    run(meter, clock, 0, 1.0, steps=40)
    for step in range(41, 61):
        clock.now += 3.0
        meter.step_done(StepDone(0, 1, step, 100))
    assert meter.seconds_left() == pytest.approx(3.0 * 40, rel=0.05)


def test_a_skipped_batch_counts_as_done() -> None:
    clock = Clock()
    meter = ProgressMeter([small(steps=4, batch_count=4)], frozenset(), clock)
    clock.now = 1.0
    meter.step_done(StepDone(0, 1, 1, 4))
    clock.now = 2.0
    meter.step_done(StepDone(2, 1, 4, 4))
    assert meter.fraction() == pytest.approx(0.75)

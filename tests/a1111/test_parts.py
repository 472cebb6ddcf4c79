"""What extensions put into `p` in the place of its own parts: noise, and sampling."""

from __future__ import annotations

import torch

from modules.a1111 import rng
from modules.jobs.model import JobState
from modules.sampling.noise import BatchNoise, NoiseSeeds
from tests.a1111.conftest import Start
from tests.a1111.test_runs import pixels

NAME = "sample-parts"


def test_the_noise_of_a_batch_is_that_of_the_engine(start: Start) -> None:
    start()
    cpu = torch.device("cpu")
    ours = rng.ImageRNG((4, 8, 8), [5, 6], subseeds=[7, 8], subseed_strength=0.5)
    engines = BatchNoise(NoiseSeeds((5, 6), (7, 8), 0.5), (4, 8, 8), "GPU", cpu)
    assert all((ours.next() == engines.draw()).all() for _ in range(3))
    assert (rng.randn(5, (4, 8, 8)) == rng.randn_local(5, (4, 8, 8))).all()
    rng.manual_seed(9)
    first = rng.randn_without_seed((3,))
    assert not (first == rng.randn_like(first)).any()
    generator = rng.create_generator(5)
    assert (rng.randn(0, (4, 8, 8), generator) == rng.randn_local(5, (4, 8, 8))).all()


def test_scripts_find_the_noise_and_their_own_is_taken(start: Start) -> None:
    plain = start().run(batch_size=2)
    easel = start(NAME)
    module = easel.module("sample_parts")
    job = easel.run(batch_size=2)
    assert module.SEEN[0] == ("rng", "ImageRNG", (4, 8, 8), [5, 6])
    assert all((pixels(job, place) == pixels(plain, place)).all() for place in (0, 1))
    module.DO.add("rng")
    still = easel.run(batch_size=2)
    assert still.state is JobState.FINISHED, still.error
    assert (pixels(still, 0) == pixels(still, 1)).all()
    assert not (pixels(still) == pixels(plain)).all()
    assert not easel.reports.of(NAME).failures


def test_a_samplers_own_noise_is_the_extensions_too(start: Start) -> None:
    easel = start(NAME)
    easel.module("sample_parts").DO.add("rng")
    job = easel.run(batch_size=2, sampler="Euler a", steps=4)
    assert (pixels(job, 0) == pixels(job, 1)).all()


def test_a_replaced_sample_is_called_and_what_it_returns_is_the_picture(start: Start) -> None:
    plain = start().run()
    easel = start(NAME)
    module = easel.module("sample_parts")
    module.DO.add("sample")
    job = easel.run()
    assert job.state is JobState.FINISHED, job.error
    assert ("sample", [5], ["a red apple"]) in module.SEEN
    difference = abs(pixels(job)[:, ::-1] - pixels(plain)).mean()
    assert difference < abs(pixels(job) - pixels(plain)).mean()
    twice = easel.run(enable_hr=True, hr_scale=2, denoising_strength=0.5)
    assert [each[0] for each in module.SEEN].count("sample") == 2
    assert twice.state is JobState.FINISHED, twice.error


def test_a_sample_that_fails_is_reported_and_the_engine_goes_on(start: Start) -> None:
    plain = start().run()
    easel = start(NAME)
    easel.module("sample_parts").DO.add("broken")
    job = easel.run()
    assert (pixels(job) == pixels(plain)).all()
    assert "broken on purpose" in str(easel.reports.of(NAME).failures)

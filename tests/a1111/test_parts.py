"""What extensions put into `p` in the place of its own parts: noise, and sampling."""

from __future__ import annotations

import io

import pytest
import torch
from PIL import Image

from modules.a1111 import face_restoration, images, rng, script_callbacks, shared
from modules.a1111._lists import offer_restorers
from modules.jobs.model import JobState
from modules.sampling.noise import BatchNoise, NoiseSeeds
from tests.a1111.conftest import Easel, Start
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


def begun(start: Start) -> Easel:
    easel = start(NAME)
    script_callbacks.before_ui_callback()
    return easel


def test_an_extensions_upscaler_enlarges_the_first_pass(start: Start) -> None:
    easel = begun(start)
    module = easel.module("sample_parts")
    second = {"enable_hr": True, "hr_scale": 2, "denoising_strength": 0.3, "hr_second_pass_steps": 2}
    job = easel.run(hr_upscaler="Blocks 2x", **second)
    assert job.state is JobState.FINISHED, job.error
    assert ("upscale", (64, 64)) in module.SEEN
    corner = pixels(job)[:24, :24].reshape(-1, 3).mean(axis=0)
    plain = pixels(easel.run(hr_upscaler="Nearest", **second))[:24, :24].reshape(-1, 3).mean(axis=0)
    assert corner[1] - corner[0] > plain[1] - plain[0] + 30, "the corner is greener"
    assert "Hires upscaler: Blocks 2x" in job.images[0].infotext


def test_an_extensions_upscaler_enlarges_a_small_picture_that_a_run_works_over(start: Start) -> None:
    easel = begun(start)
    buffer = io.BytesIO()
    Image.new("RGB", (40, 40), "red").save(buffer, "PNG")
    over = {"init_image": easel.services.inputs.keep(buffer.getvalue()), "denoising_strength": 0.0}
    plain, green = (easel.run(img2img_upscaler=name, **over) for name in ("Nearest", "Blocks 2x"))
    assert green.state is JobState.FINISHED, green.error
    assert ("upscale", (40, 40)) in easel.module("sample_parts").SEEN
    assert pixels(green)[:16, :16, 1].mean() > pixels(plain)[:16, :16, 1].mean() + 30, "the corner is greener"
    refused = easel.run(img2img_upscaler="Nobody", **over)
    assert refused.state is JobState.FAILED
    assert "Upscaler for img2img: Nobody" in str(refused.error)


def test_images_resize_image_takes_it_too_and_that_of_the_settings(start: Start) -> None:
    easel = begun(start)
    picture = Image.new("RGB", (64, 64), "red")
    made = images.resize_image(0, picture, 100, 120, "Blocks 2x")
    assert made.size == (100, 120)
    assert made.getpixel((2, 2)) == (0, 255, 0)
    easel.services.settings.update({"upscaler_for_img2img": "Blocks 2x"})
    assert images.resize_image(0, picture, 100, 120).getpixel((2, 2)) == (0, 255, 0)
    assert images.resize_image(0, picture, 100, 120, "Lanczos").getpixel((2, 2)) == (255, 0, 0)
    assert made.getpixel((5, 5)) == (0, 255, 0)
    assert made.getpixel((80, 80)) == (255, 0, 0)


def test_a_face_restorer_works_over_every_picture_where_the_option_says_so(start: Start) -> None:
    easel = begun(start)
    offer_restorers()
    plain = easel.run()
    easel.services.settings.update({"face_restoration": True})
    job = easel.run()
    assert pixels(job)[:, :, 0].min() == 255
    assert (pixels(job)[:, :, 1] == pixels(plain)[:, :, 1]).all()
    assert "Face restoration: Blush" in job.images[0].infotext
    assert easel.services.settings.options()["face_restoration_model"].choices == ("Blush",)
    easel.services.settings.update({"face_restoration": False})
    assert "Face restoration" not in easel.run().images[0].infotext


def test_where_there_is_no_face_restorer_the_first_one_leaves_pictures_alone(start: Start) -> None:
    begun(start)
    shared.face_restorers.clear()
    first = shared.face_restorers[0]
    assert isinstance(first, face_restoration.FaceRestoration)
    assert (first.name(), first.restore("a picture")) == ("None", "a picture")
    with pytest.raises(IndexError):
        shared.face_restorers[1]


def test_a_kind_of_network_is_asked_for_every_batch_and_nobody_complains_of_its_tags(start: Start) -> None:
    easel = begun(start)
    module = easel.module("sample_parts")
    told: list[str] = []
    easel.services.jobs.subscribe(lambda message: told.append(str(message)), watches=False)
    job = easel.run(prompt="a red apple <shout:loud:0.5> <whisper:low>", batch_count=2)
    calls = [call for call in module.SEEN if call[0] in ("activate", "deactivate")]
    assert calls == [("activate", [["loud", "0.5"]]), ("deactivate",)] * 2
    assert any("<whisper:low> was left out" in text for text in told)
    assert not any("<shout:loud:0.5> was left out" in text for text in told)
    assert job.images[0].infotext.startswith("a red apple <shout:loud:0.5> <whisper:low>\n")
    easel.run(prompt="a red apple")
    assert [call for call in module.SEEN if call[0] == "activate"][-1] == ("activate", [])

"""Scripts and callbacks of extensions in real runs of the starter model."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from PIL import Image

from modules.core.extras import FrozenMapping
from modules.jobs.model import JobState
from tests.a1111.conftest import Start
from tests.hooks.plugins import Plugin


def pixels(job: Any, place: int = 0) -> np.ndarray:
    return np.asarray(Image.open(job.images[place].path).convert("RGB"), dtype=int)


def on(*args: Any, script: str = "") -> dict[str, str]:
    return {"args": json.dumps([0, *args]), "script": script}


def test_an_always_on_script_is_called_in_a1111s_order(start: Start) -> None:
    easel = start("sample-always-on")
    job = easel.run(on(False, ""), batch_count=2, batch_size=2)
    assert job.state is JobState.FINISHED, job.error
    names = [call if isinstance(call, str) else call[0] for call in easel.module("sample_always_on").CALLS]
    batch = [
        "before_process_batch", "process_batch", "postprocess_batch", "postprocess_batch_list", "postprocess_image",
        "postprocess_image",
    ]  # fmt: skip
    assert names == ["before_process", "process", *batch, *batch, "postprocess"]
    calls = easel.module("sample_always_on").CALLS
    assert calls[1] == ("process", False, "", [5, 6, 7, 8])
    assert ("process_batch", 1, [7, 8]) in calls
    assert ("postprocess_batch", (2, 3, 64, 64)) in calls
    assert calls[-1] == ("postprocess", 4)


def test_a_script_that_changes_nothing_changes_no_pixel(start: Start) -> None:
    plain = start().run(batch_size=2, batch_count=2)
    with_script = start("sample-always-on").run(on(False, ""), batch_size=2, batch_count=2)
    assert [image.seed for image in with_script.images] == [5, 6, 7, 8]
    for place in range(4):
        assert (pixels(plain, place) == pixels(with_script, place)).all()
        assert plain.images[place].infotext == with_script.images[place].infotext


def test_what_a_script_does_to_prompts_infotext_and_pictures_counts(start: Start) -> None:
    easel = start("sample-always-on")
    job = easel.run(on(True, "in snow"), batch_size=2)
    other = easel.run(on(False, ""), prompt="a red apple, in snow 1", seed=6)
    assert job.images[1].infotext.startswith("a red apple, in snow 1\n")
    assert ", Sample suffix: in snow, Sample number: 1, Version: " in job.images[1].infotext
    assert np.abs(255 - pixels(job, 1) - pixels(other)).max() <= 1


def test_arguments_that_a_request_does_not_give_are_those_of_the_controls(start: Start) -> None:
    easel = start("sample-always-on")
    easel.run()
    assert easel.module("sample_always_on").CALLS[1] == ("process", False, "at night", [5])


def test_callbacks_see_the_network_and_their_changes_count(start: Start) -> None:
    easel = start("sample-callbacks")
    module = easel.module("sample_callbacks")
    plain = easel.run(batch_size=2)
    assert module.SEEN["shapes"][0][0] == (4, 4, 8, 8)
    assert module.SEEN["shapes"][0][1][:2] == module.SEEN["shapes"][0][2][:2] == (2, 77)
    assert [step for step, _ in module.SEEN["steps"]] == [0, 0], "counted when a step is done, as in A1111"
    assert module.SEEN["guided"] == 2
    module.STRENGTH[0] = 1.0
    changed = easel.run(batch_size=2)
    assert not (pixels(plain) == pixels(changed)).all()


def test_pictures_pass_extensions_before_and_after_they_are_saved(start: Start) -> None:
    easel = start("sample-callbacks")
    job = easel.run(batch_count=2)
    module = easel.module("sample_callbacks")
    assert [image.infotext.endswith(", Sample: seen") for image in job.images] == [True, True]
    assert module.SEEN["saved"] == [str(image.path) for image in job.images]
    assert Image.open(job.images[0].path).text["parameters"].endswith(", Sample: seen")


def test_a_replaced_process_images_inner_takes_effect(start: Start) -> None:
    easel = start("sample-replaces-inner")
    job = easel.run()
    assert easel.module("sample_replaces_inner").SEEN["inner"] == [
        ("StableDiffusionProcessingTxt2Img", "a red apple", 2)
    ]
    assert ", Inner: replaced, Version: " in job.images[0].infotext


def test_a_chosen_script_makes_the_pictures_in_its_own_way(start: Start) -> None:
    easel = start("sample-replaces-inner")
    job = easel.run(on(script="Repeat with other seeds"))
    assert job.state is JobState.FINISHED, job.error
    assert [(image.index, image.seed) for image in job.images] == [(0, 5), (1, 105), (2, 205)]
    alone = easel.run(seed=105)
    assert (pixels(job, 1) == pixels(alone)).all()
    assert "Seed: 105" in job.images[1].infotext


def test_a_run_inside_a_run_works_over_the_picture(start: Start) -> None:
    easel = start("sample-replaces-inner")
    module = easel.module("sample_replaces_inner")
    plain = easel.run(batch_size=2)
    module.NESTED[0] = True
    job = easel.run(batch_size=2)
    assert job.state is JobState.FINISHED, job.error
    assert module.SEEN["nested"] == [1, 1]
    assert len(job.images) == 2
    assert [kind for kind, _, _ in module.SEEN["inner"][-2:]] == ["StableDiffusionProcessingImg2Img"] * 2
    assert not (pixels(plain) == pixels(job)).all()


def test_a_run_inside_a_run_has_the_options_of_the_outer_one(start: Start) -> None:
    watching = Plugin()
    easel = start("sample-replaces-inner", plugins=(watching,))
    easel.module("sample_replaces_inner").NESTED[0] = True
    plain, skipping = (easel.run(clip_skip=skip) for skip in (1, 2))
    seen = [run.request.clip_skip for run in watching.runs]
    assert seen == [1, 1, 2, 2]
    assert plain.state is skipping.state is JobState.FINISHED


def test_process_images_outside_of_any_run_is_a_job(start: Start) -> None:
    easel = start("sample-replaces-inner")
    made = easel.module("sample_replaces_inner").make_outside("a blue apple")
    assert [image.size for image in made.images] == [(128, 64), (64, 64), (64, 64)], "the grid comes first, as in A1111"
    assert made.index_of_first_image == 1
    assert made.all_seeds == [3, 4]
    assert "Seed: 4" in made.infotexts[2]
    job = easel.services.jobs.ended(1)[0]
    assert [image.infotext for image in job.images] == [*made.infotexts[1:], made.infotexts[0]]
    assert (pixels(job) == np.asarray(made.images[1])).all()
    easel.services.settings.update({"return_grid": False})
    assert len(easel.module("sample_replaces_inner").make_outside("a blue apple").images) == 2


def test_what_fails_in_an_extension_is_reported_and_the_pictures_are_made(start: Start) -> None:
    plain = start().run()
    easel = start("sample-always-on", "sample-broken")
    report = easel.reports.of("sample-broken")
    assert report.failed("import")
    assert report.failed("page")
    assert not easel.reports.of("sample-always-on").failures
    job = easel.run(on(False, ""))
    assert job.state is JobState.FINISHED, job.error
    assert (pixels(job) == pixels(plain)).all()
    told = " ".join(str(failure) for failure in easel.reports.of("sample-broken").failures)
    assert "broken on purpose" in told


def test_extras_of_the_adapter_survive_the_database(start: Start) -> None:
    easel = start("sample-always-on")
    job = easel.run(on(True, "x"))
    assert job.request.extras["a1111"] == FrozenMapping(on(True, "x"))

"""The sampler's inside as extensions read and replace it, in real runs of the starter model."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image

from modules.a1111 import script_callbacks, shared, shared_items
from modules.a1111._panels import AdapterPanels
from modules.jobs.model import JobState
from tests.a1111.conftest import Easel, Start
from tests.a1111.test_runs import pixels

SAMPLE = "sample-sampler"


def inside(easel: Easel) -> Any:
    return easel.module("sample_sampler")


def run(easel: Easel, **values: Any) -> Any:
    job = easel.run(**values)
    assert job.state is JobState.FINISHED, job.error
    assert not easel.reports.of(SAMPLE).failures, easel.reports.of(SAMPLE).failures
    return job


def test_replacements_that_only_look_change_no_pixel_and_see_every_step(start: Start) -> None:
    plain = start().run(batch_size=2)
    easel = start(SAMPLE)
    assert (pixels(run(easel, batch_size=2)) == pixels(plain)).all()
    seen = inside(easel).SEEN
    assert [(index, shape) for index, _, shape, _ in seen["steps"]] == [(0, (2, 4, 8, 8)), (1, (2, 4, 8, 8))]
    assert seen["steps"][0][1] > seen["steps"][1][1] > 0, "noise levels fall"
    assert [calls for *_, calls in seen["steps"]] == [1, 2], "the denoiser counts its calls"
    assert seen["samplers"] == [("Euler", "KDiffusionSampler")]
    assert seen["moments"] == [
        ("activate", []),
        ("activated", ["batch_number", "extra_network_data", "prompts", "seeds", "subseeds"], 0),
        "process_batch",
        ("every", False, True, (2, 4, 8, 8), "KDiffusionSampler"),
        "deactivate",
    ]


def test_the_second_pass_is_told_of_when_it_begins(start: Start) -> None:
    easel = start(SAMPLE)
    run(easel, enable_hr=True, hr_scale=2.0, denoising_strength=0.5, hr_sampler="DDIM", hr_second_pass_steps=2)
    assert [moment if isinstance(moment, str) else moment[0] for moment in inside(easel).SEEN["moments"]] == [
        "activate", "activated", "process_batch", "every", "activate", "activated", "before_hr", "every", "deactivate",
    ]  # fmt: skip
    assert inside(easel).SEEN["moments"][-2] == ("every", True, False, (1, 4, 16, 16), "CompVisSampler")


def test_latents_that_the_steps_callback_changes_in_place_are_gone_on_with(start: Start) -> None:
    easel = start(SAMPLE)
    plain = run(easel)
    inside(easel).ON.add("step")
    assert not (pixels(run(easel)) == pixels(plain)).all()


def test_noise_that_a_script_changes_in_place_is_begun_with(start: Start) -> None:
    easel = start(SAMPLE)
    inside(easel).ON.add("noise")
    assert (pixels(run(easel, seed=1)) == pixels(run(easel, seed=2))).all()


def test_replaced_joining_of_the_answers_acts(start: Start) -> None:
    easel = start(SAMPLE)
    inside(easel).ON.add("combine")
    joined = run(easel, batch_size=2, cfg_scale=3)
    shape, places, negative, scale = inside(easel).SEEN["combined"][0]
    assert (shape, places, negative, scale) == ((4, 4, 8, 8), [[(0, 1.0)], [(1, 1.0)]], 2, 3)
    inside(easel).ON.clear()
    doubled = run(easel, batch_size=2, cfg_scale=6)
    assert abs(pixels(joined) - pixels(doubled)).max() <= 1


def test_joining_sees_the_parts_of_a_prompt_picture_by_picture(start: Start) -> None:
    easel = start(SAMPLE)
    inside(easel).ON.add("combine")
    run(easel, prompt="a red apple AND a green pear :0.5", batch_size=2, steps=1)
    shape, places, *_ = inside(easel).SEEN["combined"][0]
    assert shape[0] == 6
    assert places == [[(0, 1.0), (1, 0.5)], [(2, 1.0), (3, 0.5)]]


def test_a_denoiser_derived_from_a1111s_and_a_sampler_made_of_ours_act(start: Start) -> None:
    easel = start(SAMPLE)
    plain = run(easel)
    inside(easel).ON.add("derived")
    derived = run(easel)
    assert [seen[:2] for seen in inside(easel).SEEN["combined"]] == [(0, 2), (1, 2)]
    assert inside(easel).SEEN["combined"][0][2] > 14
    assert not (pixels(derived) == pixels(plain)).all()
    assert "Sampler: Euler," in derived.images[0].infotext


def test_a_replaced_network_may_be_asked_in_tiles(start: Start) -> None:
    easel = start(SAMPLE)
    plain = run(easel)
    inside(easel).ON.add("tiles")
    tiled = run(easel)
    assert inside(easel).SEEN["networks"][0] == ((2, 4, 8, 8), ["c_concat", "c_crossattn"])
    assert not (pixels(tiled) == pixels(plain)).all()


def test_a_replaced_sample_method_chooses_where_to_begin(start: Start) -> None:
    easel = start(SAMPLE)
    inside(easel).ON.add("start")
    assert (pixels(run(easel, seed=1)) == pixels(run(easel, seed=2))).all()


def test_a_sampling_function_of_an_extensions_own_walks(start: Start) -> None:
    easel = start(SAMPLE)
    plain = run(easel)
    inside(easel).ON.add("own")
    own = run(easel)
    seen = inside(easel).SEEN
    assert seen["walks"] == [(3, (1, 4, 8, 8))]
    assert [index for index, *_ in seen["steps"][2:]] == [0, 1]
    assert abs(pixels(own) - pixels(plain)).max() <= 1, "it is Euler's method too"


def test_a_schedule_of_an_extensions_own_is_walked(start: Start) -> None:
    easel = start(SAMPLE)
    plain = run(easel, steps=3)
    inside(easel).ON.add("steep")
    steep = run(easel, steps=3)
    levels = [level for _, level, *_ in inside(easel).SEEN["steps"]]
    assert levels[0] == pytest.approx(levels[3])
    assert levels[1] != pytest.approx(levels[4], rel=0.1)
    assert not (pixels(steep) == pixels(plain)).all()


def test_extra_noise_passes_extensions(start: Start) -> None:
    easel = start(SAMPLE)
    file = io.BytesIO()
    Image.new("RGB", (64, 64), "green").save(file, "PNG")
    values = {"init_image": easel.services.inputs.keep(file.getvalue()), "denoising_strength": 0.5}
    assert (pixels(run(easel, extra_noise=0.5, **values)) == pixels(run(easel, **values))).all()




def test_replaced_reading_of_prompts_acts_and_the_infotext_keeps_what_was_written(start: Start) -> None:
    easel = start(SAMPLE)
    wanted = run(easel, prompt="a red apple AND a green pear", batch_size=2)
    inside(easel).ON.add("prompts")
    read = run(easel, prompt="a red apple INSTEAD a green pear", batch_size=2)
    assert inside(easel).SEEN["prompts"][-1] == ["a red apple INSTEAD a green pear"] * 2
    assert (pixels(read) == pixels(wanted)).all()
    assert read.images[0].infotext.startswith("a red apple INSTEAD a green pear\n")


def test_a_u_net_of_an_extensions_takes_the_place_of_the_checkpoints(start: Start) -> None:
    easel = start(SAMPLE)
    plain = run(easel)
    assert shared_items.sd_unet_items()[2:] == ["Sample U-Net"]
    shared.opts.sd_unet = "Sample U-Net"
    other = run(easel)
    shared.opts.sd_unet = "Automatic"
    again = run(easel)
    assert inside(easel).SEEN["networks"] == ["activate", *[((2, 4, 8, 8), (2,), (2, 77))] * 2, "deactivate"]
    assert not (pixels(other) == pixels(plain)).all()
    assert (pixels(again) == pixels(plain)).all()


def test_a_way_to_compute_attention_is_asked_for_and_told_not_to_be_used(start: Start) -> None:
    notes = start(SAMPLE).reports.of(SAMPLE).notes
    assert any("sample attention, is not used" in note for note in notes)


def test_tokens_are_counted_of_what_an_extension_makes_of_a_prompt(start: Start) -> None:
    start(SAMPLE)
    panels = AdapterPanels()
    assert panels.counted("a red apple", True, ()) == "a"
    assert panels.counted("a red apple", False, ()) == "many many many words"


@pytest.mark.parametrize(("name", "part"), [("cfg_denoiser", "x"), ("cfg_denoiser", "sigma"), ("cfg_denoised", "x")])
def test_a_callback_that_is_registered_only_in_a_run_is_called_in_it(start: Start, name: str, part: str) -> None:
    easel = start("sample-inside")
    module, plain = easel.module("sample_inside"), easel.run()

    def change(params: Any) -> None:
        values = getattr(params, part)
        values *= 0.5

    module.BATCH[:] = [lambda p: getattr(script_callbacks, f"on_{name}")(change)]
    changed = easel.run()
    module.BATCH.clear()
    script_callbacks.remove_callbacks_for_function(change)
    assert changed.state is JobState.FINISHED
    assert (pixels(changed) != pixels(plain)).any()
    assert (pixels(easel.run()) == pixels(plain)).all()

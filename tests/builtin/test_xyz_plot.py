"""X/Y/Z plot: which requests it makes in which order, and the grid of their pictures."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from modules.builtin.xyz_plot import XyzPlot
from modules.core.errors import InvalidRequest, PluginFailed
from modules.core.request import GenerationRequest
from modules.imaging.parsing import parse_infotext
from tests.builtin.scripts import cell_of, expanded, finished
from tests.fakes import paint

PLOT = XyzPlot()
TWO_AXES = {"x_type": "Steps", "x_values": "2-4", "y_type": "CFG Scale", "y_values": "5, 7.5"}
THREE_AXES = TWO_AXES | {"z_type": "Prompt S/R", "z_values": "cat, dog"}
TOO_LARGE = "allowed is less than 1 megapixels in one grid"


def steps_and_scale(requests: object) -> list[tuple[int, float]]:
    assert isinstance(requests, list)
    return [(each.steps, each.cfg_scale) for each in requests]


def test_every_cell_is_a_request_of_its_own_x_changing_first() -> None:
    made = expanded(PLOT, TWO_AXES)
    assert steps_and_scale(made) == [(2, 5), (3, 5), (4, 5), (2, 7.5), (3, 7.5), (4, 7.5)]
    assert {(each.seed, each.prompt, each.extras == {}) for each in made} == {(10, "a cat", True)}


def test_what_else_was_asked_for_stays() -> None:
    other = {"other": {"amount": 1}}
    plot = XyzPlot("img2img")
    request = GenerationRequest.checked(
        {"init_image": "0" * 64, "extras": {plot.description.name: {}, **other}, "batch_count": 2}
    )
    values = plot.description.checked({"x_type": "Image CFG Scale", "x_values": "1, 2"})
    made = plot.expand(request, values, object())  # type: ignore[arg-type]
    assert [(each.extras, each.image_cfg_scale, each.batch_count) for each in made] == [(other, 1, 2), (other, 2, 2)]


@pytest.mark.parametrize(("types", "order"), [
    (("VAE", "Steps", "Checkpoint name"), [("Automatic", 2), ("Automatic", 3), ("None", 2), ("None", 3)]),
    (("VAE", "Steps", "Nothing"), [("Automatic", 2), ("Automatic", 3), ("None", 2), ("None", 3)]),
    (("Steps", "VAE", "Nothing"), [("Automatic", 2), ("Automatic", 3), ("None", 2), ("None", 3)]),
    (("Clip skip", "Steps", "Nothing"), [(2, 2), (3, 2), (2, 3), (3, 3)]),
])  # fmt: skip
def test_the_costliest_axis_changes_least_often(types: tuple[str, str, str], order: list[object]) -> None:
    texts = {"VAE": "Automatic, None", "Steps": "2, 3", "Clip skip": "2, 3", "Checkpoint name": "one.safetensors"}
    values = {}
    for letter, label in zip("xyz", types, strict=True):
        values |= {f"{letter}_type": label, f"{letter}_values": texts.get(label, "")}
    made = expanded(PLOT, values)
    other = "clip_skip" if "Clip skip" in types else "vae"
    assert [(getattr(each, other), each.steps) for each in made] == order


def test_a_random_seed_is_the_same_for_all_cells_unless_it_is_to_stay_random() -> None:
    fixed = {each.seed for each in expanded(PLOT, TWO_AXES, seed=-1)}
    assert len(fixed) == 1
    assert fixed != {-1}
    assert {each.seed for each in expanded(PLOT, TWO_AXES | {"no_fixed_seeds": True}, seed=-1)} == {-1}


def test_random_seeds_of_an_axis_are_fixed_once_for_each_value() -> None:
    axes = {"x_type": "Seed", "x_values": "-1, 5, -1", "y_type": "Steps", "y_values": "2,3"}
    seeds = [each.seed for each in expanded(PLOT, axes)]
    assert seeds[:3] == seeds[3:]
    assert seeds[1] == 5
    assert len(set(seeds)) == 3
    assert -1 not in seeds
    kept = [each.seed for each in expanded(PLOT, axes | {"no_fixed_seeds": True})]
    assert kept == [-1, 5, -1] * 2


@pytest.mark.parametrize(("flags", "seeds"), [
    ("x", [10, 11, 12, 10, 11, 12] * 2),
    ("y", [10, 10, 10, 11, 11, 11] * 2),
    ("z", [10] * 6 + [11] * 6),
    ("xy", [10, 11, 12, 13, 14, 15] * 2),
    ("xyz", list(range(10, 22))),
    ("yz", [10] * 3 + [11] * 3 + [12] * 3 + [13] * 3),
])  # fmt: skip
def test_seeds_vary_along_the_axes_that_are_to_vary_them(flags: str, seeds: list[int]) -> None:
    made = expanded(PLOT, THREE_AXES | {f"vary_seeds_{letter}": True for letter in flags})
    assert [each.seed for each in made] == seeds


@pytest.mark.parametrize(("values", "words", "field"), [
    ({"x_type": "Steps", "x_values": "2, x"}, "X values (Steps): x is not possible; allowed is a whole", "x_values"),
    ({"y_type": "Sampler", "y_values": "Oiler"}, "Y values (Sampler): Oiler is not possible; allowed is one of Euler",
     "y_values"),
    ({"z_type": "Steps"}, "Z values (Steps): an empty value is not possible", "z_values"),
    ({"z_type": "Prompt S/R", "z_values": "cow"}, "Z values (Prompt S/R): cow is not possible", "z_values"),
    ({"y_type": "Seed", "y_values": "1-9999", "z_type": "Steps", "z_values": "1-5"}, "at most 20000", "x_values"),
])  # fmt: skip
def test_what_is_wrong_names_axis_value_and_what_is_allowed(values: dict[str, str], words: str, field: str) -> None:
    with pytest.raises(InvalidRequest, match=re.escape(words)) as caught:
        expanded(PLOT, {"x_values": "1"} | values)
    assert caught.value.problems[0].field == f"xyz_plot.{field}"


def test_a_grid_that_would_be_too_large_is_refused_before_the_first_picture() -> None:
    plot = XyzPlot(megapixels=lambda: 1)
    assert len(expanded(plot, {"x_type": "Seed", "x_values": "1-3"}, width=512, height=512)) == 3
    with pytest.raises(InvalidRequest, match=f"4 pictures of 512 x 512, which are 1 megapixels, .*{TOO_LARGE}"):
        expanded(plot, {"x_type": "Seed", "x_values": "1-4"}, width=512, height=512)
    with pytest.raises(InvalidRequest, match="1 pictures of 1024 x 1024"):
        expanded(plot, {"x_type": "Seed", "x_values": "1"}, width=512, height=512, enable_hr=True)
    with pytest.raises(InvalidRequest, match="2 pictures of 64 x 8192"):
        expanded(plot, {"x_type": "Size", "x_values": "64x64, 64x8192"})


def test_a_cell_whose_axes_contradict_each_other_is_refused() -> None:
    with pytest.raises(InvalidRequest, match=r"0.5 is not possible; allowed is 0, or more than 1 \(sigma min\)"):
        expanded(PLOT, {"x_type": "Schedule max sigma", "x_values": "2, 0.5", "y_type": "Schedule min sigma",
                        "y_values": "1"})  # fmt: skip


def test_the_grid_has_every_picture_in_its_place_and_tells_of_its_axes() -> None:
    job = finished(PLOT, TWO_AXES)
    assert job.hides_parts
    added, = job.added
    grid = added.draw()
    assert (added.series, added.seed, grid.size[0]) == ("xyz_grid", 10, 3 * 64 + 48)
    for number, part in enumerate(job.parts):
        assert cell_of(grid, paint(part.request, 0), number % 3, number // 3, 3, 2)
    told = parse_infotext(added.infotext)
    assert told.prompt == "a cat"
    assert {key: told.pairs[key] for key in list(told.pairs)[-5:]} == {
        "Script": "X/Y/Z plot", "X Type": "Steps", "X Values": "2-4", "Y Type": "CFG Scale", "Y Values": "5, 7.5",
    }  # fmt: skip


def test_pictures_stand_where_their_values_are_whatever_the_order_in_which_they_were_made() -> None:
    job = finished(PLOT, {"x_type": "VAE", "x_values": "Automatic, None", "y_type": "Steps", "y_values": "2, 3"})
    grid = job.added[0].draw()
    for part in job.parts:
        column, row = int(part.request.vae == "None"), part.request.steps - 2
        assert cell_of(grid, paint(part.request, 0), column, row, 2, 2)


def test_z_values_are_grids_beside_each_other_and_each_one_alone_if_wanted() -> None:
    whole, = finished(PLOT, THREE_AXES | {"draw_legend": False, "margin_size": 2}).added
    assert whole.draw().size == (2 * (3 * 64 + 4), 2 * 64 + 2)
    job = finished(PLOT, THREE_AXES | {"include_sub_grids": True, "include_lone_images": True, "draw_legend": False})
    assert not job.hides_parts
    assert [added.draw().size for added in job.added] == [(384, 128), (192, 128), (192, 128)]
    assert [parse_infotext(added.infotext).prompt for added in job.added] == ["a cat", "a cat", "a dog"]
    assert ["Z Type" in parse_infotext(added.infotext).pairs for added in job.added] == [True, False, False]
    assert cell_of(job.added[2].draw(), paint(job.parts[6].request, 0), 0, 0, 3, 2)


def test_missing_pictures_leave_their_place_empty_and_another_one_tells_the_infotext() -> None:
    job = finished(PLOT, TWO_AXES, missing=lambda number: number == 0)
    grid = job.added[0].draw()
    assert grid.getpixel((grid.width - 3 * 64 + 32, grid.height - 2 * 64 + 32)) == (0, 0, 0)
    assert cell_of(grid, paint(job.parts[1].request, 0), 1, 0, 3, 2)
    assert parse_infotext(job.added[0].infotext).pairs["Steps"] == "3"


def test_seeds_that_were_fixed_are_told() -> None:
    job = finished(PLOT, {"x_type": "Seed", "x_values": "-1, 7", "vary_seeds_x": True})
    pairs = parse_infotext(job.added[0].infotext).pairs
    assert pairs["X Values"] == "-1, 7"
    assert pairs["Fixed X Values"] == f"{job.parts[0].request.seed}, 7"
    assert job.parts[1].request.seed == 8
    kept = finished(PLOT, {"x_type": "Seed", "x_values": "3, 7", "no_fixed_seeds": True})
    assert "Fixed X Values" not in parse_infotext(kept.added[0].infotext).pairs


def test_pictures_that_came_out_larger_than_was_reckoned_give_no_grid_but_a_reason() -> None:
    plot = XyzPlot(megapixels=lambda: 0.05)
    job = finished(plot, TWO_AXES)
    large = [replace(part, pictures=tuple(replace(one, open=lambda: paint(GenerationRequest(), 0))
                                          for one in part.pictures)) for part in job.parts]  # fmt: skip
    with pytest.raises(PluginFailed, match=r"would have 2 megapixels; allowed are less than 0.05"):
        plot.after_job(replace(job, parts=large))

"""Axes that extensions add to X/Y/Z plot: offered by Easel's plot, and acting in its cells."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from modules.a1111 import script_callbacks
from modules.a1111._loader import LOADED
from modules.builtin.xyz_axes import all_axes
from modules.builtin.xyz_plot import XyzPlot
from modules.core.errors import InvalidRequest
from modules.core.request import GenerationRequest
from modules.jobs.model import ENDED_STATES, Job, JobState, Origin, Part
from tests.a1111.conftest import SMALL, Easel, Start
from tests.fakes import wait_until
from tests.lists import NoLists


def begun(start: Start) -> Easel:
    easel = start("sample-axes", plugins=(XyzPlot("txt2img"), XyzPlot("img2img")))
    script_callbacks.before_ui_callback()
    return easel


def parts_of(easel: Easel, plot: str = "xyz_plot", **values: Any) -> list[GenerationRequest]:
    fields: dict[str, Any] = {"checkpoint": "starter", **SMALL, "extras": {plot: values}}
    expansion = easel.hooks.expand(GenerationRequest.checked(fields), NoLists())
    assert expansion is not None
    return list(expansion.requests)


def plotted(easel: Easel, **values: Any) -> Job:
    extras = easel.hooks.plugins.checked({"xyz_plot": values})
    asked = GenerationRequest.checked({"checkpoint": "starter", **SMALL, "extras": extras})
    parts = [Part(each) for each in parts_of(easel, **values)]
    job = easel.services.jobs.submit_parts(parts, origins=[Origin("xyz_plot", asked, 0, len(parts))])
    wait_until(lambda: easel.services.jobs.get(job.id).state in ENDED_STATES, patience=100)
    return easel.services.jobs.get(job.id)


def test_the_plot_is_found_among_the_loaded_scripts_and_has_the_helpers_that_extensions_use(start: Start) -> None:
    easel = begun(start)
    module = easel.module("xyz_grid")
    assert [option.label for option in module.OWN_OPTIONS] == [axis.label for axis in all_axes()]
    assert module.csv_string_to_list_strip('a, "b, c" ,') == ["a", "b, c", ""]
    assert module.boolean_choice(reverse=True)() == ["False", "True"]
    p = type("P", (), {"prompt": "a cat and a dog", "negative_prompt": "", "override_settings": {}, "steps": 2})()
    module.apply_order(p, ("dog", "cat"), [])
    module.apply_override("sgm_noise_multiplier", boolean=True)(p, "True", [])
    module.apply_uni_pc_order(p, 3, [])
    assert p.prompt == "a dog and a cat"
    assert p.override_settings == {"sgm_noise_multiplier": True, "uni_pc_order": 1}
    with pytest.raises(RuntimeError, match="There is no sampler nonsense"):
        module.confirm_samplers(p, ["euler", "nonsense"])


def test_a_grid_is_drawn_of_what_an_extension_makes_for_each_cell(start: Start) -> None:
    module = begun(start).module("xyz_grid")
    p, asked = SimpleNamespace(n_iter=1), []

    def cell(x: int, y: int, z: str, *places: int) -> Any:
        asked.append((x, y, z, *places))
        image = Image.new("RGB", (64, 64), (x * 10, y * 10, 0))
        return SimpleNamespace(images=[image], infotexts=[f"{x} {y} {z}"], prompt=z, seed=x)

    values = [1, 2], [3, 4], ["a", "b"]
    labels = [list(map(str, each)) for each in values]
    made = module.draw_xyz_grid(p, *values, *labels, cell, True, True, True, "z", "x", 0)
    assert asked[:3] == [(1, 3, "a", 0, 0, 0), (1, 4, "a", 0, 1, 0), (2, 3, "a", 1, 0, 0)]
    assert made.index_of_first_image == 3
    assert made.infotexts[:5] == ["1 3 a", "1 3 a", "1 3 b", "1 3 a", "2 3 a"]
    assert [image.getpixel((5, 5))[:2] for image in made.images[3:7]] == [(10, 30), (20, 30), (10, 40), (20, 40)]
    assert made.images[0].width > 2 * made.images[1].width - 64
    plain = module.draw_xyz_grid(p, [1, 2], [3], ["a"], ["1", "2"], ["3"], [""], cell, False, False, False, "x", "y", 0)
    assert [image.size for image in plain.images] == [(128, 64)]


def test_each_tab_offers_the_axes_that_are_for_it(start: Start) -> None:
    easel = begun(start)
    offered = {}
    for name in ("xyz_plot", "xyz_plot_img2img"):
        plot = easel.hooks.plugin(name)
        assert plot is not None
        offered[name] = [x for x in plot.description.parameters[0].choices or () if x.startswith("[")]
    first, both = "[Own sample] Cached", ["[Sample] Option", "[Sample] Steps", "[Sample] Broken"]
    assert offered["xyz_plot"] == [first, "[Sample] Amount", "[Sample] Mode", "[Sample] Pairs", *both]
    assert offered["xyz_plot_img2img"] == [first, "[Sample] Amount", "[Sample] Mode", "[Sample] Picture", *both]
    assert "xyz_grid.axis_options" in easel.reports.of("sample-axes").hooks


def test_the_costliest_axis_changes_least_often_and_ranges_count(start: Start) -> None:
    easel = begun(start)
    made = parts_of(easel, x_type="[Sample] Mode", x_values="soft, hard", y_type="[Sample] Amount", y_values="1-2")
    assert [each.extras["a1111"]["axes"] for each in made] == [
        f'[["[Sample] Mode", "soft, hard", {mode}], ["[Sample] Amount", "1-2", {amount}]]'
        for mode in (0, 1) for amount in (0, 1)
    ]


def test_an_axis_acts_in_the_cells_of_the_plot_and_stands_in_its_legend_and_infotexts(start: Start) -> None:
    easel = begun(start)
    job = plotted(
        easel, x_type="[Sample] Amount", x_values="0.5, 2", y_type="[Sample] Pairs", y_values="a=b",
        z_type="[Sample] Steps", z_values="1",
    )  # fmt: skip
    assert job.state is JobState.FINISHED, job.error
    seen = easel.module("sample_axes").SEEN
    assert seen == [({"amount": amount, "pair": ("a", "b")}, None, 1) for amount in (0.5, 2.0)]
    texts = [image.infotext for image in job.images if not image.standing.added]
    assert [", Sample amount: 0.5, " in text for text in texts] == [True, False]
    assert all("Steps: 1, " in text for text in texts)
    grid = next(image for image in job.images if image.standing.added)
    assert 'X Type: [Sample] Amount, X Values: "0.5, 2", ' in grid.infotext


def test_the_legend_has_what_the_extension_makes_of_a_value(start: Start) -> None:
    easel = begun(start)
    plot = easel.hooks.plugin("xyz_plot")
    assert isinstance(plot, XyzPlot)
    axes = {axis.label: axis for axis in plot.more_axes()}
    amount, pairs = axes["[Sample] Amount"], axes["[Sample] Pairs"]
    assert [amount.show(value) for value in amount.read("0.1-0.3[3]")] == [
        "[Sample] Amount: 0.1", "[Sample] Amount: 0.2", "[Sample] Amount: 0.3",
    ]  # fmt: skip
    assert [pairs.show(value) for value in pairs.read("a=b;c=d")] == ["a+b", "c+d"]
    offered = {label: list(axis.offered(NoLists())) for label, axis in axes.items()}
    assert [values for values in offered.values() if values] == [["soft", "hard"]]


def test_an_axis_that_a_script_adds_for_itself_acts_on_the_script_that_is_at_work(start: Start) -> None:
    easel = begun(start)
    for is_img2img, runner in ((False, LOADED.txt2img), (True, LOADED.img2img)):
        runner.initialize_scripts(is_img2img)
    for plot in ("xyz_plot", "xyz_plot_img2img"):
        labels = easel.hooks.plugin(plot).description.parameters[0].choices
        assert labels.count("[Own sample] Cached") == 1
    job = plotted(easel, x_type="[Own sample] Cached", x_values="3, 4")
    assert job.state is JobState.FINISHED, job.error
    assert [values for values, _, _ in easel.module("sample_axes").SEEN] == [{"cached": 3}, {"cached": 4}]


def test_what_an_axis_sets_on_opts_ends_with_its_cell(start: Start) -> None:
    easel = begun(start)
    job = plotted(easel, x_type="[Sample] Option", x_values="3, 4")
    assert job.state is JobState.FINISHED, job.error
    easel.run()
    assert [option for _, option, _ in easel.module("sample_axes").SEEN] == [3, 4, None]


@pytest.mark.parametrize(("label", "text", "told"), [
    ("[Sample] Mode", "soft, loud", "it says: Unknown mode: loud \\(64 pixels wide\\)"),
    ("[Sample] Mode", "", "allowed is one or more of soft, hard"),
    ("[Sample] Amount", "much", "could not convert string to float: 'much'"),
])  # fmt: skip
def test_values_that_an_extension_refuses_are_refused_before_the_first_picture(
    start: Start, label: str, text: str, told: str
) -> None:
    easel = begun(start)
    with pytest.raises(InvalidRequest, match=told) as refused:
        parts_of(easel, x_type=label, x_values=text)
    assert refused.value.problems[0].field == "xyz_plot.x_values"


def test_an_axis_that_fails_ends_the_job_and_is_named(start: Start) -> None:
    easel = begun(start)
    job = plotted(easel, x_type="[Sample] Broken", x_values="a")
    assert job.state is JobState.FAILED
    assert job.error == (
        "X/Y/Z plot: the axis [Sample] Broken, which is the extension sample-axes's, failed: broken on purpose."
    )
    assert easel.reports.of("sample-axes").failed("hook")


def test_an_axis_whose_extension_is_gone_is_named(start: Start) -> None:
    easel = begun(start)
    made = parts_of(easel, x_type="[Sample] Amount", x_values="1")
    options = easel.module("xyz_grid").axis_options
    options[:] = [option for option in options if not option.label.startswith("[Sample]")]
    job = easel.services.jobs.submit(made[0])
    wait_until(lambda: easel.services.jobs.get(job.id).state in ENDED_STATES, patience=100)
    assert "there is no axis [Sample] Amount here any more" in str(easel.services.jobs.get(job.id).error)

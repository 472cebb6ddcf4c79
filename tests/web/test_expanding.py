"""Scripts that make several requests of one, from the form, the API and batches to a job and its grid."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient

from modules.imaging.metadata import read_infotext
from modules.imaging.parsing import parse_infotext
from modules.jobs.model import Job, JobState
from modules.web.checkpoints import CheckpointChooser
from modules.web.pages.generation import submit_form
from tests.fakes import wait_until
from tests.web.api import ask, make, refusal
from tests.web.site import Site
from tests.web.test_sdapi_img2img import ask_over

FORM = {"prompt": "a cat", "steps": 2, "width": 64, "height": 64, "seed": 5, "sampler": "Euler"}
PLOT = {
    "script": "X/Y/Z plot", "xyz_plot.x_type": "Steps", "xyz_plot.x_values": "2-3",
    "xyz_plot.y_type": "CFG Scale", "xyz_plot.y_values": "5,6,7",
}  # fmt: skip
ARGUMENTS = [4, "2-3", None, 6, "", ["5", "6", "7"]]


def submitted(site: Site, **values: object) -> dict[str, Any]:
    services = site.services
    chooser = CheckpointChooser(services.files.checkpoints, services.settings, lambda title: None)
    return submit_form(FORM | values, site.services, chooser, None)


def finished(site: Site, **values: object) -> Job:
    job = str(submitted(site, **values)["job"])
    wait_until(lambda: site.jobs.get(job).state not in (JobState.WAITING, JobState.RUNNING))
    return site.jobs.get(job)


def test_a_plot_of_the_form_is_one_job_and_its_gallery_shows_the_grid(site: Site) -> None:
    job = finished(site, **PLOT)
    assert (job.state, len(job.parts), len(job.own())) == (JobState.FINISHED, 6, 6)
    grid, = job.shown()
    assert grid.path.parent.parent.name == "txt2img-grids"
    assert grid.path.name.startswith("xyz_grid-0000-5")
    told = read_infotext(grid.path.read_bytes()).text
    pairs = parse_infotext(told or "").pairs
    assert {key: pairs[key] for key in ("Script", "X Type", "X Values", "Y Type", "Y Values")} == {
        "Script": "X/Y/Z plot", "X Type": "Steps", "X Values": "2-3", "Y Type": "CFG Scale", "Y Values": "5,6,7",
    }  # fmt: skip
    extras, notes = site.services.plugins.extras_of_pairs(pairs, "txt2img")
    assert (extras["xyz_plot"], notes) == (job.asked().extras["xyz_plot"], [])


def test_a_wrong_value_is_told_at_its_field_and_no_job_is_made(site: Site) -> None:
    before = len(site.jobs.ended(1000))
    told = submitted(site, **PLOT | {"xyz_plot.x_values": "2, many"})
    assert [problem["field"] for problem in told["problems"]] == ["xyz_plot.x_values"]
    assert "X values (Steps): many is not possible" in told["detail"]
    assert len(site.jobs.ended(1000)) == before
    assert not site.jobs.waiting()


def test_a_plugin_that_fails_refuses_the_job(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modules.builtin.xyz_plot.cells_in_order", lambda plan: 1 / 0)
    assert submitted(site, **PLOT) == {
        "detail": "X/Y/Z plot failed: ZeroDivisionError: division by zero.", "problems": [],
    }  # fmt: skip


@pytest.mark.parametrize(("option", "value", "shown", "ending"), [
    ("return_grid", False, 6, ".png"), ("grid_format", "jpg", 1, ".jpg"), ("grid_format", "webp", 1, ".webp"),
    ("outdir_grids", "all-grids", 1, ".png"),
])  # fmt: skip
def test_the_options_for_grids_act(option: str, value: object, shown: int, ending: str, site: Site) -> None:
    before = site.services.settings.get(option)
    site.services.settings.update({option: value})
    try:
        job = finished(site, **PLOT)
    finally:
        site.services.settings.update({option: before})
    grid, = (image for image in job.images if image.standing.added)
    assert (len(job.shown()), grid.path.suffix) == (shown, ending)
    assert parse_infotext(read_infotext(grid.path.read_bytes()).text or "").pairs["X Type"] == "Steps"
    assert ("all-grids" in grid.path.parts) == (option == "outdir_grids")


def test_the_largest_grid_is_an_option(site: Site) -> None:
    site.services.settings.update({"img_max_size_mp": 1})
    try:
        told = submitted(site, **PLOT | {"xyz_plot.y_values": "1-7(+0.01)"})
    finally:
        site.services.settings.update({"img_max_size_mp": 200})
    assert "allowed is less than 1 megapixels in one grid" in told["detail"]


def test_the_api_takes_arguments_by_position_and_answers_with_the_grid(client: TestClient) -> None:
    told = make(client, script_name="x/y/z plot", script_args=ARGUMENTS)
    grid, = told["pictures"]
    with Image.open(io.BytesIO(grid)) as picture:
        assert picture.size > (128, 192)
    assert told["info"]["index_of_first_image"] == 1
    assert told["info"]["extra_generation_params"]["Y Values"] == "5,6,7"


def test_the_api_answers_with_the_grid_and_the_pictures_if_wanted(client: TestClient, site: Site) -> None:
    arguments = [7, "cat, dog", None, 1, "5, 9", None, 0, "", None, True, True]
    told = make(client, script_name="x/y/z plot", script_args=arguments)
    info = told["info"]
    assert info["all_prompts"] == ["a cat", "a cat", "a dog", "a cat", "a dog"]
    assert info["all_seeds"] == [5, 5, 5, 9, 9]
    assert len(told["images"]) == len(info["infotexts"]) == 5
    assert not [*site.services.outputs.glob("unsaved/**/*.png")], "they were for the answer alone"


def test_the_api_refuses_wrong_values_before_it_changes_anything(client: TestClient, site: Site) -> None:
    answer = ask(client, script_name="x/y/z plot", script_args=[9, "Oiler"], override_settings={"samples_save": False},
                 override_settings_restore_afterwards=False)  # fmt: skip
    assert "X values (Sampler): Oiler is not possible" in refusal(answer, 422)
    assert site.services.settings.get("samples_save") is True
    assert not site.jobs.waiting()


def test_axes_of_img2img_are_those_that_have_an_effect_there(client: TestClient, site: Site) -> None:
    answer = ask_over(client, script_name="x/y/z plot", script_args=["Image CFG Scale", "1, 1.5", None])
    assert answer.status_code == 200, answer.text
    assert [request.image_cfg_scale for request, _ in site.engine.runs[-2:]] == [1.0, 1.5]


def test_a_matrix_and_lines_are_jobs_too(client: TestClient) -> None:
    matrix = make(client, prompt="a cat|red|big", script_name="prompt matrix")
    assert len(matrix["pictures"]) == 5
    lines = make(client, prompt="", script_name="prompts from file or textbox",
                 script_args=[True, False, "start", "a dog\n--prompt a cow --n_iter 2"])  # fmt: skip
    assert lines["info"]["all_prompts"] == ["a dog", "a cow", "a cow"]
    assert lines["info"]["all_seeds"] == [5, 6, 7]
    assert lines["info"]["index_of_first_image"] == 0


def test_each_picture_of_a_batch_has_a_grid_of_its_own(client: TestClient, site: Site) -> None:
    uploads = []
    for colour in ("red", "blue"):
        content = io.BytesIO()
        Image.new("RGB", (64, 64), colour).save(content, "PNG")
        uploads.append({"id": site.services.inputs.keep(content.getvalue()), "name": f"{colour}.png"})
    values = FORM | {"script": "X/Y/Z plot", "xyz_plot_img2img.x_type": "Steps", "xyz_plot_img2img.x_values": "2-4"}
    answer = client.post("/easel/batch", json={"values": values, "pictures": uploads})
    assert answer.status_code == 200, answer.text
    assert answer.json()["count"] == 2
    job_id = answer.json()["job"]
    wait_until(lambda: site.jobs.get(job_id).state not in (JobState.WAITING, JobState.RUNNING))
    job = site.jobs.get(job_id)
    assert [origin.count for origin in job.origins] == [3, 3]
    assert job.parts[4].name == "blue.png, X/Y/Z plot, 2 of 3"
    assert [image.path.parent.parent.name for image in job.shown()] == ["img2img-grids"] * 2

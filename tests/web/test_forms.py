"""The form follows from the parameters, and its values become a request or a message that names what is wrong."""

import json
from typing import Any

import pytest

from modules.core.errors import InvalidRequest
from modules.core.parameter import LARGEST_SEED
from modules.core.parameters import LONGEST_PROMPT, PARAMETERS
from modules.web.checkpoints import CheckpointChooser
from modules.web.forms import TXT2IMG_FIELDS, element_id, request_from_form
from modules.web.pages.txt2img import submit_form
from tests.web.site import Site

NOT_ON_THE_FORM = {
    "checkpoint": "the selector on top of the page",
    "clip_skip": "the Settings tab",
    "noise_source": "the Settings tab",
}
A1111_IDS = {
    "prompt": "txt2img_prompt", "negative_prompt": "txt2img_neg_prompt", "sampler": "txt2img_sampling",
    "scheduler": "txt2img_scheduler", "steps": "txt2img_steps", "width": "txt2img_width", "height": "txt2img_height",
    "batch_count": "txt2img_batch_count", "batch_size": "txt2img_batch_size", "cfg_scale": "txt2img_cfg_scale",
    "seed": "txt2img_seed",
}
GOOD = {"prompt": "a cat", "steps": 2, "width": 64, "height": 64}


def values(**changes: object) -> list[object]:
    """The form's values as Gradio sends them, in the form's order."""
    given = {**GOOD, **changes}
    return [given.get(name, PARAMETERS[name].default) for name in TXT2IMG_FIELDS]


@pytest.fixture
def chooser(site: Site) -> CheckpointChooser:
    return CheckpointChooser(site.services.files.checkpoints, site.services.settings, site.services.jobs.preload)


def test_every_parameter_has_a_place_on_the_page() -> None:
    assert set(TXT2IMG_FIELDS) | set(NOT_ON_THE_FORM) == set(PARAMETERS)


def test_the_elements_have_the_ids_that_users_and_extensions_know() -> None:
    assert {name: element_id("txt2img", name) for name in TXT2IMG_FIELDS} == A1111_IDS


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("steps", 0), ("steps", 10_000), ("steps", None), ("steps", 2.5), ("width", 7), ("width", 100_000),
        ("width", 100), ("batch_size", 1000), ("batch_count", 0), ("cfg_scale", 0.5), ("cfg_scale", float("nan")),
        ("seed", "abc"), ("seed", str(LARGEST_SEED + 1)), ("seed", ""), ("sampler", "Nonsense"), ("scheduler", 5),
        ("prompt", "x" * (LONGEST_PROMPT + 1)), ("prompt", ["a"]),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(
    site: Site, chooser: CheckpointChooser, field: str, value: object
) -> None:
    answer: dict[str, Any] = submit_form(values(**{field: value}), site.services, chooser, None)
    assert [problem["field"] for problem in answer["problems"]] == [field]
    assert answer["problems"][0]["label"] == PARAMETERS[field].label
    assert answer["problems"][0]["allowed"]
    json.dumps(answer)


def test_all_wrong_values_are_named_at_once(site: Site, chooser: CheckpointChooser) -> None:
    answer: dict[str, Any] = submit_form(values(steps=0, seed="x"), site.services, chooser, None)
    assert {problem["field"] for problem in answer["problems"]} == {"steps", "seed"}


def test_a_good_form_becomes_a_job_with_model_and_options(site: Site, chooser: CheckpointChooser) -> None:
    site.services.settings.update({"CLIP_stop_at_last_layers": 2, "randn_source": "NV"})
    answer = submit_form(values(seed=str(LARGEST_SEED)), site.services, chooser, "ada")
    job = site.jobs.get(str(answer["job"]))
    assert job.owner == "ada"
    assert job.request.seed == LARGEST_SEED
    assert job.request.clip_skip == 2
    assert job.request.noise_source == "NV"
    assert job.request.checkpoint.startswith("starter")


def test_an_empty_prompt_is_fine(site: Site) -> None:
    assert request_from_form(TXT2IMG_FIELDS, values(prompt=""), {}, site.services.lists).prompt == ""


def test_an_unknown_checkpoint_is_refused(site: Site) -> None:
    with pytest.raises(InvalidRequest, match="Stable Diffusion checkpoint"):
        request_from_form(TXT2IMG_FIELDS, values(), {"checkpoint": "gone"}, site.services.lists)

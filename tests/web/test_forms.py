"""The form follows from the parameters, and its values become a request or a message that names what is wrong."""

import json
from typing import Any

import pytest

from modules.core.parameter import LARGEST_SEED
from modules.core.parameters import LONGEST_PROMPT, PARAMETERS
from modules.prompts.styles import Style
from modules.web.checkpoints import CheckpointChooser
from modules.web.forms import (
    IMG2IMG,
    PAGE_FIELDS,
    PAGE_PARAMETERS,
    TEXT_LISTS,
    TXT2IMG,
    describe_field,
    describe_overrides,
    element_id,
)
from modules.web.pages.generation import submit_form
from tests.web.site import Site

NOT_ON_THE_FORM = {
    "checkpoint": "the selector on top of the page",
    "firstpass_image": "the button that runs the hires pass over a finished picture sets it",
    "disable_networks": "A1111 has it in the API alone",
    "init_image": "the canvas", "mask_image": "the canvas", "depth_image": "the canvas",
    "mask_round": "A1111 has it in the API alone", "latent_mask": "A1111 has it in the API alone",
    **{name: "the Settings tab" for name, parameter in PARAMETERS.items() if parameter.option is not None},
}
A1111_IMG2IMG_IDS = {
    "prompt": "img2img_prompt", "denoising_strength": "img2img_denoising_strength", "resize_mode": "resize_mode",
    "image_cfg_scale": "img2img_image_cfg_scale", "mask_blur_x": "img2img_mask_blur",
    "mask_alpha": "img2img_mask_alpha", "mask_mode": "img2img_mask_mode", "masked_content": "img2img_inpainting_fill",
    "inpaint_area": "img2img_inpaint_full_res", "masked_padding": "img2img_inpaint_full_res_padding",
    "scale_by": "img2img_scale", "width": "img2img_width", "refiner_checkpoint": "img2img_checkpoint",
}
A1111_IDS = {
    "prompt": "txt2img_prompt", "negative_prompt": "txt2img_neg_prompt", "sampler": "txt2img_sampling",
    "scheduler": "txt2img_scheduler", "steps": "txt2img_steps", "width": "txt2img_width", "height": "txt2img_height",
    "batch_count": "txt2img_batch_count", "batch_size": "txt2img_batch_size", "cfg_scale": "txt2img_cfg_scale",
    "seed": "txt2img_seed", "subseed": "txt2img_subseed", "subseed_strength": "txt2img_subseed_strength",
    "seed_resize_from_w": "txt2img_seed_resize_from_w", "seed_resize_from_h": "txt2img_seed_resize_from_h",
    "enable_hr": "txt2img_hr-checkbox", "hr_upscaler": "txt2img_hr_upscaler",
    "hr_second_pass_steps": "txt2img_hires_steps", "denoising_strength": "txt2img_denoising_strength",
    "hr_scale": "txt2img_hr_scale", "hr_resize_x": "txt2img_hr_resize_x", "hr_resize_y": "txt2img_hr_resize_y",
    "hr_checkpoint": "hr_checkpoint", "hr_sampler": "hr_sampler", "hr_scheduler": "hr_scheduler",
    "hr_prompt": "hires_prompt", "hr_negative_prompt": "hires_neg_prompt",
    "refiner_checkpoint": "txt2img_checkpoint", "refiner_switch_at": "txt2img_switch_at",
    "styles": "txt2img_styles", "override_settings": "txt2img_override_settings",
}
GOOD = {"prompt": "a cat", "steps": 2, "width": 64, "height": 64}


def values(**changes: object) -> dict[str, object]:
    """The form's values as the page sends them."""
    given = {"styles": [], "override_settings": [], **GOOD, **changes}
    usual = {name: PARAMETERS[name].default for name in PAGE_FIELDS[TXT2IMG] if name in PARAMETERS}
    return {**usual, **given}


@pytest.fixture
def chooser(site: Site) -> CheckpointChooser:
    return CheckpointChooser(site.services.files.checkpoints, site.services.settings, site.services.jobs.preload)


def test_every_parameter_has_a_place_on_the_page() -> None:
    fields = {*PAGE_FIELDS[TXT2IMG], *PAGE_FIELDS[IMG2IMG]}
    assert fields - set(TEXT_LISTS) - set(PAGE_PARAMETERS) | set(NOT_ON_THE_FORM) == set(PARAMETERS)
    assert not fields & set(NOT_ON_THE_FORM)


def test_the_elements_have_the_ids_that_users_and_extensions_know() -> None:
    assert {name: element_id(TXT2IMG, name) for name in PAGE_FIELDS[TXT2IMG]} == A1111_IDS
    assert {name: element_id(IMG2IMG, name) for name in A1111_IMG2IMG_IDS} == A1111_IMG2IMG_IDS


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("steps", 0), ("steps", 10_000), ("steps", None), ("steps", 2.5), ("width", 7), ("width", 100_000),
        ("width", 100), ("batch_size", 1000), ("batch_count", 0), ("cfg_scale", -0.5), ("cfg_scale", float("nan")),
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


def test_an_empty_prompt_is_fine(site: Site, chooser: CheckpointChooser) -> None:
    answer = submit_form(values(prompt=""), site.services, chooser, None)
    assert site.jobs.get(str(answer["job"])).request.prompt == ""


def test_every_field_of_the_form_reaches_the_request(site: Site, chooser: CheckpointChooser) -> None:
    given = {
        "subseed": "7", "subseed_strength": 0.25, "seed_resize_from_w": 128, "seed_resize_from_h": 64,
        "enable_hr": True, "hr_upscaler": "Latent (nearest)", "hr_second_pass_steps": 3, "denoising_strength": 0.5,
        "hr_scale": 1.5, "hr_resize_x": 96, "hr_resize_y": 128, "hr_sampler": "Euler a", "hr_scheduler": "Karras",
        "hr_prompt": "a dog", "hr_negative_prompt": "a bird", "refiner_switch_at": 0.6,
    }  # fmt: skip
    answer = submit_form(values(**given), site.services, chooser, None)
    request = site.jobs.get(str(answer["job"])).request.model_dump()
    assert {name: request[name] for name in given} == {**given, "subseed": 7}


def test_styles_and_override_settings_take_effect(site: Site, chooser: CheckpointChooser) -> None:
    site.services.styles.save(Style("form test", "{prompt}, in ink", "colours"))
    chosen = {"styles": ["form test"], "override_settings": ["Clip skip: 3", "ENSD: 31337"]}
    request = site.jobs.get(str(submit_form(values(**chosen), site.services, chooser, None)["job"])).request
    assert (request.prompt, request.negative_prompt) == ("a cat, in ink", "colours")
    assert (request.clip_skip, request.ensd) == (3, 31337)


def test_the_page_knows_every_field_and_how_each_option_is_overridden() -> None:
    described = {field["name"]: field for field in (describe_field(TXT2IMG, name) for name in PAGE_FIELDS[TXT2IMG])}
    assert list(described) == list(PAGE_FIELDS[TXT2IMG])
    assert described["subseed"]["default"] == "-1"
    assert described["styles"]["default"] == []
    assert all(field["label"] and field["help"] for field in described.values())
    assert {"name": "clip_skip", "label": "Clip skip", "option": "CLIP_stop_at_last_layers", "key": "Clip skip"} in (
        describe_overrides()
    )


def test_an_unknown_checkpoint_is_refused(site: Site, chooser: CheckpointChooser) -> None:
    answer: dict[str, Any] = submit_form(values(refiner_checkpoint="gone"), site.services, chooser, None)
    assert [problem["label"] for problem in answer["problems"]] == ["Refiner checkpoint"]

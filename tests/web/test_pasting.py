"""A pasted infotext becomes the form, override settings and styles that make the same picture again."""

from collections.abc import Iterator

import pytest

from modules.core.errors import InvalidRequest
from modules.core.parameters import PARAMETERS
from modules.core.request import GenerationRequest
from modules.imaging.infotext import RunFacts, write_infotext
from modules.imaging.parsing import parse_infotext
from modules.jobs.model import Purpose
from modules.prompts.styles import Style
from modules.web.checkpoints import CheckpointChooser
from modules.web.forms import PASTED_FIELDS
from modules.web.pasting import Pasted, Paster
from modules.web.requests import RequestMaker, override_pair, read_overrides
from tests.web.site import Site

FIELDS = tuple(name for name in PARAMETERS if PARAMETERS[name].option is None)
LINE = "Steps: 31, Sampler: Euler a, Schedule type: Karras, CFG scale: 4.5, Seed: 9223372036854775807, Size: 128x64"


@pytest.fixture
def paster(site: Site) -> Iterator[Paster]:
    before = site.services.settings.all()
    yield Paster(site.services)
    site.services.settings.update(before)


@pytest.fixture
def maker(site: Site) -> RequestMaker:
    services = site.services
    return RequestMaker(services, CheckpointChooser(services.files.checkpoints, services.settings, lambda title: None))


def paste(paster: Paster, line: str = LINE, prompt: str = "a cat") -> Pasted:
    return paster.paste(f"{prompt}\n{line}", FIELDS)


def test_the_fields_of_the_form_take_what_the_text_names(paster: Paster) -> None:
    fields = paste(paster).fields
    wanted = {"prompt": "a cat", "negative_prompt": "", "steps": 31, "sampler": "Euler a", "scheduler": "Karras",
              "cfg_scale": 4.5, "width": 128, "height": 64}  # fmt: skip
    assert {name: fields[name] for name in wanted} == wanted
    assert paste(paster).message()["fields"]["seed"] == "9223372036854775807"


def test_what_the_text_does_not_name_goes_back_to_its_usual_value_but_batches(paster: Paster) -> None:
    fields = paste(paster).fields
    assert fields["enable_hr"] is False
    assert fields["subseed_strength"] == 0.0
    assert fields["refiner_checkpoint"] == "None"
    assert not {"batch_count", "batch_size"} & set(fields)


def test_a_text_without_parameters_is_a_prompt(paster: Paster) -> None:
    assert paster.paste("a cat\nNegative prompt: a dog", FIELDS).fields == {
        "prompt": "a cat", "negative_prompt": "a dog",
    }  # fmt: skip
    assert paster.paste("", FIELDS).fields == {"prompt": ""}


def test_old_sampler_names_are_split(paster: Paster) -> None:
    fields = paste(paster, "Steps: 20, Sampler: DPM++ 2M SDE Karras, Seed: 1, Size: 64x64").fields
    assert (fields["sampler"], fields["scheduler"]) == ("DPM++ 2M SDE", "Karras")
    assert paste(paster, "Steps: 20, Sampler: DPM++ 2M Karras, Seed: 1").fields["scheduler"] == "Automatic"


def test_options_become_override_settings_unless_they_are_so_already(site: Site, paster: Paster) -> None:
    line = f"{LINE}, Clip skip: 2, ENSD: 31337, RNG: CPU, Sigma churn: 2.0"
    assert set(paste(paster, line).override_settings) == {"Clip skip: 2", "ENSD: 31337", "RNG: CPU", "Sigma churn: 2.0"}
    site.services.settings.update({"CLIP_stop_at_last_layers": 2})
    assert "Clip skip: 2" not in paste(paster, line).override_settings


def test_an_option_that_the_text_does_not_name_is_set_back_to_its_default(site: Site, paster: Paster) -> None:
    site.services.settings.update({"s_noise": 1.05, "randn_source": "NV"})
    assert set(paste(paster).override_settings) == {"Sigma noise: 1.0", "RNG: GPU"}


def test_override_settings_act_for_one_request(paster: Paster, maker: RequestMaker) -> None:
    pairs = paste(paster, f"{LINE}, Clip skip: 2, UniPC lower order final: False").override_settings
    request = maker.from_values({"override_settings": pairs})
    assert (request.clip_skip, request.unipc_lower_order_final) == (2, False)
    assert maker.from_values({}).clip_skip == 1


@pytest.mark.parametrize("pair", ["Tomato: 2", "Steps: 20", ""])
def test_an_override_of_what_is_no_option_is_refused(maker: RequestMaker, pair: str) -> None:
    with pytest.raises(InvalidRequest, match="Override settings"):
        maker.from_values({"override_settings": [pair]})


def test_every_option_of_a_picture_survives_as_an_override_setting() -> None:
    for name, parameter in PARAMETERS.items():
        if parameter.option is not None and parameter.infotext is not None:
            assert read_overrides([override_pair(name, parameter.default)]) == {name: str(parameter.default)}


def test_styles_are_taken_out_of_the_prompt_and_chosen(site: Site, paster: Paster, maker: RequestMaker) -> None:
    site.services.styles.save(Style("oil", "{prompt}, oil on canvas", "photo"))
    try:
        pasted = paster.paste(f"a cat, oil on canvas\nNegative prompt: blurry, photo\n{LINE}", FIELDS)
        texts = [pasted.fields[name] for name in ("prompt", "negative_prompt")]
        assert (pasted.styles, texts) == (["oil"], ["a cat", "blurry"])
        request = maker.from_values({**pasted.fields, "styles": pasted.styles})
        assert (request.prompt, request.negative_prompt) == ("a cat, oil on canvas", "blurry, photo")
        site.services.settings.update({"infotext_styles": "Ignore"})
        assert paster.paste(f"a cat, oil on canvas\n{LINE}", FIELDS).styles is None
    finally:
        site.services.styles.delete("oil")


def test_without_any_style_in_it_a_text_leaves_the_chosen_ones(paster: Paster) -> None:
    assert paste(paster).styles is None


def test_the_model_is_left_alone_unless_the_option_says_otherwise(site: Site, paster: Paster) -> None:
    line = f"{LINE}, Model hash: 0000000000, Model: starter"
    assert paste(paster, line).checkpoint is None
    site.services.settings.update({"disable_weights_auto_swap": False})
    pasted = paste(paster, line)
    assert pasted.checkpoint is not None
    assert pasted.checkpoint.startswith("starter")
    assert [pair.partition(":")[0] for pair in pasted.override_settings] == ["Model hash"]


def test_what_is_unknown_here_is_said_and_the_rest_is_taken(paster: Paster) -> None:
    line = (
        "Steps: 999, Sampler: Sorcery, Seed: 3, Size: 64x64, VAE: gone.safetensors, Tomato: red, Hires upscaler: Magic,"
        " Hires upscale: 2, Denoising strength: 0.5"
    )
    pasted = paste(paster, line)
    assert pasted.fields["seed"] == 3
    assert not {"steps", "sampler"} & set(pasted.fields)
    told = " ".join(pasted.notes)
    for word in ("999", "Sorcery", "gone.safetensors", "Tomato: red", "Magic"):
        assert word in told


def test_the_old_ways_of_an_old_version_are_turned_on(site: Site, paster: Paster) -> None:
    line = "Steps: 20, Sampler: DDIM, Seed: 1, Size: 64x64, Version: v1.5.2"
    wanted = {"Old prompt editing timelines: True", "Pad conds v0: True", "Downcast alphas_cumprod: True"}
    assert wanted <= set(paste(paster, line, "a [cat:dog:0.5]").override_settings)
    site.services.settings.update({"auto_backcompat": False})
    assert not wanted & set(paste(paster, line, "a [cat:dog:0.5]").override_settings)


def test_seed_and_size_of_the_form_stay_where_the_options_say_so(site: Site, paster: Paster) -> None:
    site.services.settings.update({"send_seed": False, "send_size": False})
    assert not {"seed", "width", "height"} & set(paste(paster).fields)


def test_a_picture_of_our_own_comes_back_as_the_request_that_made_it(
    site: Site, paster: Paster, maker: RequestMaker
) -> None:
    request = GenerationRequest(
        prompt="a cat", negative_prompt="b", seed=5, sampler="Euler a", enable_hr=True, hr_second_pass_steps=4,
        hr_prompt="more: of it", subseed=9, subseed_strength=0.5, tiling=True, ngms=3.0, width=128, eta=0.5,
    )  # fmt: skip
    facts = RunFacts("Euler a", "Automatic", 5, "starter", None, "easel-0.1.0", subseed=9)
    pasted = paster.paste(write_infotext(request, facts), FIELDS)
    made = maker.from_values({**pasted.fields, "override_settings": pasted.override_settings})
    assert made.model_copy(update={"checkpoint": ""}) == request


def test_pictures_of_the_page_are_kept_unless_the_option_says_otherwise(
    site: Site, paster: Paster, maker: RequestMaker
) -> None:
    assert maker.purpose() is Purpose.KEEP
    site.services.settings.update({"samples_save": False})
    assert maker.purpose() is Purpose.UNSAVED


def test_every_field_of_the_page_can_be_pasted() -> None:
    assert set(PASTED_FIELDS) & set(PARAMETERS) <= set(FIELDS) | {"batch_count", "batch_size"}


def test_nothing_breaks_a_paste(paster: Paster) -> None:
    for text in ("\n\n\n", "Steps: , Sampler: , Seed: , Size: x", "Negative prompt:", 'a\nSteps: "20, Seed: 1, X: 2'):
        assert paster.paste(text, FIELDS).fields is not None
    assert parse_infotext("").pairs == {}


def test_styles_reach_the_prompts_of_the_second_pass_unless_these_are_the_first_ones(
    site: Site, maker: RequestMaker
) -> None:
    site.services.styles.save(Style("oil", "{prompt} in oil", "photo"))
    try:
        values = {"prompt": "a cat", "hr_prompt": "a dog", "styles": ["oil"]}
        request = maker.from_values(values)
        assert (request.prompt, request.negative_prompt) == ("a cat in oil", "photo")
        assert (request.hr_prompt, request.hr_negative_prompt) == ("a dog in oil", "")
        assert maker.from_values({**values, "hr_prompt": ""}).hr_prompt == ""
    finally:
        site.services.styles.delete("oil")


@pytest.mark.parametrize("second", ["a dog in oil", "a dog"])
def test_styles_are_taken_out_of_the_second_passs_prompt_where_they_are(
    second: str, site: Site, paster: Paster, maker: RequestMaker
) -> None:
    site.services.styles.save(Style("oil", "{prompt} in oil", "photo"))
    try:
        line = f"{LINE}, Denoising strength: 0.5, Hires upscale: 2, Hires upscaler: Latent, Hires prompt: {second}"
        pasted = paster.paste(f"a cat in oil\nNegative prompt: photo\n{line}", FIELDS)
        assert (pasted.styles, pasted.fields["hr_prompt"]) == (["oil"], "a dog")
        request = maker.from_values({**pasted.fields, "styles": pasted.styles})
        assert (request.hr_prompt, request.hr_negative_prompt) == ("a dog in oil", "")
    finally:
        site.services.styles.delete("oil")

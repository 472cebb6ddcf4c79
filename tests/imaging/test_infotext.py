"""Infotexts are written as A1111 writes them, and a request comes back from its infotext unchanged."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modules.core.parameter import Parameter
from modules.core.parameters import NO_REFINER, PARAMETERS, SAME_CHECKPOINT
from modules.core.request import GenerationRequest
from modules.imaging.infotext import RunFacts, infotext_values, unread_pairs, write_infotext
from modules.imaging.parsing import parse_infotext

FACTS = RunFacts("DPM++ 2M", "Karras", 42, "starter", "0123456789", "easel-0.1.0")
UNWRITTEN = {
    "batch_count", "batch_size", "firstpass_image", "hires_first_networks", "comma_backtrack", "comments",
    "old_karras_sigmas", "shared_brownian", "quantize", "disable_networks", "enable_hr", "sdxl_crop_top",
    "sdxl_crop_left", "aesthetic_low", "aesthetic_high", "init_image", "mask_image", "resize_mode", "mask_round",
    "fix_steps", "background_color", "overlay_inpaint", "lora_hashes", "embedding_hashes", "bundled_hashes",
    "color_correction", "img2img_upscaler", "latent_mask", "depth_image",
}  # fmt: skip
"""Parameters that A1111's infotexts have no key for; enabling hires fix shows in its other keys."""


def test_an_infotext_has_a1111_s_order_and_keys() -> None:
    request = GenerationRequest(
        prompt="a cat", negative_prompt="blurry", seed=42, width=128, height=64, clip_skip=2, noise_source="NV"
    )
    assert write_infotext(request, FACTS) == (
        "a cat\n"
        "Negative prompt: blurry\n"
        "Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7.0, Seed: 42, Size: 128x64, "
        "Model hash: 0123456789, Model: starter, Clip skip: 2, RNG: NV, Version: easel-0.1.0"
    )


def test_second_passes_variations_and_networks_have_a1111_s_keys() -> None:
    request = GenerationRequest(
        prompt="a <lora:fine:0.8>", seed=42, subseed_strength=0.3, seed_resize_from_w=128, seed_resize_from_h=64,
        enable_hr=True, hr_second_pass_steps=5, hr_prompt="more", hr_sampler="Euler", tiling=True, s_churn=2.0,
        refiner_checkpoint="other", emphasis="No norm",
    )  # fmt: skip
    facts = RunFacts(
        "DPM++ 2M", "Karras", 42, "starter", "0123456789", "v", subseed=77, vae=("fine.safetensors", "abcdefabcd"),
        hires_schedule="Automatic", refiner="other [1234567890]", extra={"Lora hashes": "fine: 68de7d16d7fb"},
    )  # fmt: skip
    assert write_infotext(request, facts) == (
        "a <lora:fine:0.8>\n"
        "Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7.0, Seed: 42, Size: 512x512, "
        "Model hash: 0123456789, Model: starter, VAE hash: abcdefabcd, VAE: fine.safetensors, Variation seed: 77, "
        "Variation seed strength: 0.3, Seed resize from: 128x64, Denoising strength: 0.7, Tiling: True, "
        "Hires upscale: 2.0, Hires steps: 5, Hires upscaler: Latent, Hires schedule type: Automatic, "
        "Refiner: other [1234567890], Refiner switch at: 0.8, Hires sampler: Euler, Hires prompt: more, "
        'Emphasis: No norm, Sigma churn: 2.0, Lora hashes: "fine: 68de7d16d7fb", Version: v'
    )


def test_what_has_its_usual_value_is_left_out() -> None:
    text = write_infotext(GenerationRequest(prompt="a cat"), FACTS)
    assert "Negative prompt" not in text
    assert text.endswith("Model hash: 0123456789, Model: starter, Version: easel-0.1.0")


def test_what_did_not_act_or_came_silently_through_the_api_is_left_out() -> None:
    request = GenerationRequest(s_churn=2.0, s_noise=1.01, eta=0.5, unwritten=("s_noise",))
    facts = RunFacts("Euler", "Automatic", 1, "m", None, "v", idle=frozenset({"eta"}), spoken=frozenset({"beta_beta"}))
    text = write_infotext(request, facts)
    assert "Sigma churn: 2.0, Beta schedule beta: 0.6, Version: v" in text
    assert "Sigma noise" not in text
    assert "Eta" not in text


def test_an_empty_prompt_leaves_only_the_line_of_pairs() -> None:
    assert write_infotext(GenerationRequest(), FACTS).startswith("Steps: 20, ")


def test_an_old_infotext_gives_what_it_names_and_leaves_the_rest_open() -> None:
    text = "a cat\nSteps: 20, Sampler: DPM++ 2M Karras, CFG scale: 7, Seed: 1, Size: 512x768, Model hash: abcdef12"
    values = infotext_values(parse_infotext(text))
    assert values["checkpoint"] == "abcdef12"
    assert (values["width"], values["height"]) == (512, 768)
    assert "scheduler" not in values
    assert "enable_hr" not in values


@pytest.mark.parametrize("key", ["Hires upscale: 1.5", "Hires resize: 640x0"])
def test_hires_keys_switch_hires_fix_on(key: str) -> None:
    line = f"Steps: 20, Sampler: Euler, Size: 64x64, Denoising strength: 0.5, {key}, Hires upscaler: Lanczos"
    assert infotext_values(parse_infotext(f"a\n{line}"))["enable_hr"] is True


def test_inpainting_is_written_as_a1111_writes_it_and_read_back() -> None:
    painting = {"mask_mode": "Inpaint not masked", "mask_blur_x": 7, "mask_blur_y": 7, "masked_content": "fill",
                "inpaint_area": "Only masked", "masked_padding": 32, "denoising_strength": 0.4}  # fmt: skip
    request = GenerationRequest(init_image="a" * 64, mask_image="b" * 64, **painting)
    text = write_infotext(request, FACTS)
    order = ("Denoising strength: 0.4", "Mask mode: Inpaint not masked", "Mask blur: 7", "Inpaint area: Only masked",
             "Masked area padding: 32", "Masked content: fill")  # fmt: skip
    assert [text.index(pair) for pair in order] == sorted(text.index(pair) for pair in order)
    values = infotext_values(parse_infotext(text))
    assert {name: GenerationRequest.checked({name: values[name]}).model_dump()[name] for name in painting} == painting


def test_what_is_for_inpainting_alone_is_left_out_elsewhere() -> None:
    request = GenerationRequest(init_image="a" * 64, masked_content="fill", mask_blur_x=9, enable_hr=True, hr_scale=3.0)
    text = write_infotext(request, FACTS)
    assert "Denoising strength: 0.7" in text
    assert not any(word in text for word in ("Mask", "Inpaint", "Hires"))


def test_a_denoising_strength_alone_is_that_of_another_picture() -> None:
    line = "Steps: 20, Sampler: Euler, Size: 64x64, Denoising strength: 0.5"
    assert "enable_hr" not in infotext_values(parse_infotext(f"a\n{line}"))


def test_pairs_for_no_parameter_are_told() -> None:
    infotext = parse_infotext("a\nSteps: 2, Sampler: Euler, Seed: 1, Tomato: red, Version: v1.10.1")
    assert unread_pairs(infotext) == {"Tomato": "red", "Version": "v1.10.1"}


def test_every_parameter_has_a_key_or_a_reason_why_not() -> None:
    without = {name for name, parameter in PARAMETERS.items() if parameter.infotext is None}
    assert without == UNWRITTEN | {"prompt", "negative_prompt"}


TEXTS = st.text(st.characters(blacklist_categories=("Cs",)), max_size=40)
NAMES = st.text("abcABC123 -_.", min_size=1, max_size=12).map(lambda text: f"x{text}x")


def value_of(parameter: Parameter) -> st.SearchStrategy[Any]:
    if parameter.kind == "flag":
        return st.booleans()
    if parameter.kind == "choice":
        return st.sampled_from(parameter.choices) if isinstance(parameter.choices, tuple) else NAMES
    if parameter.kind == "number":
        return st.floats(parameter.minimum, parameter.maximum, allow_nan=False).map(lambda value: value + 0.0)
    if parameter.kind in ("integer", "seed"):
        step = int(parameter.step)
        low, high = max(int(parameter.minimum), 0), int(parameter.maximum)
        return st.integers(-(-low // step), high // step).map(lambda number: number * step)
    return TEXTS


@st.composite
def requests(draw: st.DrawFn) -> GenerationRequest:
    values = {
        name: draw(value_of(parameter))
        for name, parameter in PARAMETERS.items()
        if name not in UNWRITTEN - {"enable_hr"}
    }
    # What cannot be told apart in a text: spaces at the ends, and a prompt that looks like one with parameters.
    for name in ("prompt", "negative_prompt"):
        values[name] = " ".join(values[name].replace("Negative prompt:", "").split())
    return GenerationRequest.model_validate(values).effective()


@given(requests())
@settings(max_examples=60)
def test_a_request_comes_back_from_its_infotext(request: GenerationRequest) -> None:
    refiner = request.refiner_checkpoint if request.refiner_checkpoint != NO_REFINER else None
    facts = RunFacts(
        sampler=request.sampler, schedule=request.scheduler, seed=request.seed, subseed=request.subseed,
        model_name=request.checkpoint, model_hash=None, version="easel", vae=(request.vae, "0123456789"),
        hires_schedule=request.hr_scheduler if request.enable_hr else None,
        hires_model=request.hr_checkpoint if request.hr_checkpoint != SAME_CHECKPOINT else None, refiner=refiner,
    )  # fmt: skip
    values = infotext_values(parse_infotext(write_infotext(request, facts)))
    assert GenerationRequest.model_validate(values) == request

from modules.core.request import GenerationRequest
from modules.imaging.infotext import RunFacts, quoted, write_infotext

FACTS = RunFacts("DPM++ 2M", "Karras", 42, "starter", "0123456789", "easel-0.1.0")


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


def test_what_has_its_usual_value_is_left_out() -> None:
    text = write_infotext(GenerationRequest(prompt="a cat"), FACTS)
    assert "Negative prompt" not in text
    assert "Clip skip" not in text
    assert "RNG" not in text


def test_an_empty_prompt_leaves_only_the_line_of_pairs() -> None:
    assert write_infotext(GenerationRequest(), FACTS).startswith("Steps: 20, ")


def test_values_with_commas_colons_or_line_breaks_are_json_strings() -> None:
    assert quoted("plain") == "plain"
    assert quoted('a, "b": ü') == '"a, \\"b\\": ü"'

"""The axes of the X/Y/Z plot: every parameter has one, and values are read as A1111 reads them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.builtin.xyz_axes import A1111_AXES, WITHOUT_AXIS, Axis, all_axes
from modules.builtin.xyz_values import MOST_VALUES, AxisError, split_values, with_ranges
from modules.core.parameters import PARAMETERS
from modules.core.request import GenerationRequest
from modules.hooks.plugins import joined_values
from modules.prompts.styles import Style, StyleBook
from tests.lists import NoLists

AXES = {axis.label: axis for axis in all_axes()}


def changed(label: str, text: str, place: int = 0, **request: object) -> GenerationRequest:
    axis = AXES[label]
    values = axis.read(text)
    asked = GenerationRequest.checked(request)
    return asked.model_copy(update=dict(axis.apply(asked, values[place], values)))


def test_every_parameter_has_an_axis_or_a_stated_reason_why_not() -> None:
    with_axis = {name for axis in all_axes() for name in axis.parameters}
    assert with_axis | set(WITHOUT_AXIS) == set(PARAMETERS)
    assert not with_axis & set(WITHOUT_AXIS)
    assert all(WITHOUT_AXIS.values())


def test_axes_have_different_names_and_begin_with_a1111s() -> None:
    labels = [axis.label for axis in all_axes()]
    assert len({label.casefold() for label in labels}) == len(labels)
    assert labels[: len(A1111_AXES) + 1] == ["Nothing", *(label for label, _ in A1111_AXES)]


@pytest.mark.parametrize("axis", [axis for axis in AXES.values() if axis.parameters], ids=lambda axis: axis.label)
def test_every_parameters_axis_takes_its_default_and_sets_it(axis: Axis) -> None:
    parameter = PARAMETERS[axis.parameters[0]]
    usual = "Euler" if parameter.default == "" else parameter.default
    text = "512x512" if axis.label == "Size" else joined_values([usual])
    values = axis.read(text)
    changes = axis.apply(GenerationRequest(), values[0], values)
    assert set(changes) == set(axis.parameters)
    assert GenerationRequest.checked(changes)
    assert axis.show(values[0])


def test_axes_that_can_have_no_effect_on_a_tab_are_not_offered_there() -> None:
    def only(tab: str) -> set[str]:
        other = {"txt2img": "img2img", "img2img": "txt2img"}[tab]
        return {label for label, axis in AXES.items() if axis.suits(tab) and not axis.suits(other)}

    assert {"Hires steps", "Hires sampler", "Hires upscaler"} <= only("txt2img")
    assert {"Image CFG Scale", "Cond. Image Mask Weight"} <= only("img2img")
    for label in ("Denoising", "Initial noise multiplier", "Extra noise", "Nothing", "Prompt S/R"):
        assert AXES[label].suits("txt2img")
        assert AXES[label].suits("img2img")


@pytest.mark.parametrize(("label", "text", "values"), [
    ("Steps", "1-5", [1, 2, 3, 4, 5]),
    ("Steps", "1-10(+2)", [1, 3, 5, 7, 9]),
    ("Steps", "1-10[5]", [1, 3, 5, 7, 10]),
    ("Steps", "10-1(-3)", [10, 7, 4, 1]),
    ("Steps", " 7 ,  9,12-13 ,", [7, 9, 12, 13]),
    ("Steps", "5-9[1]", [5]),
    ("CFG Scale", "1-2(+0.5)", [1.0, 1.5, 2.0]),
    ("CFG Scale", "0-1[3], 7.3", [0.0, 0.5, 1.0, 7.3]),
    ("Denoising", "0-1(+0.3)", [0.0, 0.3, 0.6, 0.9]),
    ("Seed", "-1, 9223372036854775807", [-1, 2**63 - 1]),
    ("Sampler", 'Euler, "DPM++ 2M"', ["Euler", "DPM++ 2M"]),
    ("SGM noise multiplier", "True, False", [True, False]),
    ("Prompt S/R", 'cat, , "a, b"', ["cat", "", "a, b"]),
    ("Prompt order", "a, b", [("a", "b"), ("b", "a")]),
    ("Nothing", "anything", [""]),
])  # fmt: skip
def test_values_are_read(label: str, text: str, values: list[object]) -> None:
    assert AXES[label].read(text) == values


@pytest.mark.parametrize(("label", "text", "words"), [
    ("Steps", "0", "0 is not possible; allowed is a whole number from 1 to 150"),
    ("Steps", "1-151", "151"),
    ("Steps", "1.5", "1.5 is not possible"),
    ("Steps", "5-1", "a step that leads"),
    ("Steps", "1-5(+0)", "a step that leads"),
    ("Seed", "1-1000000000", f"at most {MOST_VALUES}"),
    ("Seed", "1-5[999999999]", f"at most {MOST_VALUES}"),
    ("RNG source", "TPU", "TPU is not possible; allowed is one of GPU, CPU, NV"),
    ("SGM noise multiplier", "perhaps", "true or false"),
    ("Size", "512", "a width and a height such as 512x768"),
    ("Size", "512x513", "513 is not possible"),
    ("Prompt order", "a,b,c,d,e,f,g,h", "8 words is not possible"),
])  # fmt: skip
def test_a_wrong_value_is_named_with_what_is_allowed(label: str, text: str, words: str) -> None:
    with pytest.raises(AxisError, match=words.replace("+", r"\+")):
        AXES[label].read(text)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=1), min_size=1, max_size=5))
def test_a_list_of_values_comes_back_from_its_text(values: list[str]) -> None:
    assert split_values(joined_values(values)) == values


@given(start=st.integers(0, 50), more=st.integers(0, 50), step=st.integers(1, 9))
def test_a_range_begins_at_its_start_and_never_goes_beyond_its_end(start: int, more: int, step: int) -> None:
    numbers = with_ranges([f"{start}-{start + more}(+{step})"], whole=True)
    assert numbers == list(range(start, start + more + 1, step))


def test_names_are_held_against_those_that_there_are() -> None:
    lists = NoLists()
    AXES["Checkpoint name"].check("one.safetensors", lists)
    AXES["Refiner checkpoint"].check("None", lists)
    AXES["Steps"].check(7, lists)
    with pytest.raises(AxisError, match=r"two is not possible; allowed is one of None, one.safetensors"):
        AXES["Refiner checkpoint"].check("two", lists)


def test_search_and_replace_changes_both_prompts() -> None:
    request = changed("Prompt S/R", "cat, dog", 1, prompt="a cat, cat", negative_prompt="no cat")
    assert (request.prompt, request.negative_prompt) == ("a dog, dog", "no dog")
    with pytest.raises(AxisError, match="cow is not possible; allowed is a first value that stands in the prompt"):
        changed("Prompt S/R", "cow, dog", prompt="a cat")


@pytest.mark.parametrize(("place", "prompt"), [
    (0, "1 cat 2 dog 3 cow 4"), (1, "1 cat 2 cow 3 dog 4"), (5, "1 cow 2 dog 3 cat 4"),
])  # fmt: skip
def test_an_order_puts_words_into_each_others_places(place: int, prompt: str) -> None:
    assert changed("Prompt order", "cat, dog, cow", place, prompt="1 cat 2 dog 3 cow 4").prompt == prompt


def test_a_word_of_an_order_that_the_prompt_has_not_is_named() -> None:
    with pytest.raises(AxisError, match="cow is not possible; allowed is words that stand in the prompt"):
        changed("Prompt order", "cat, cow", prompt="a cat")


def test_eta_is_that_of_whichever_sampler_there_is() -> None:
    request = changed("Eta", "0.25")
    assert (request.eta, request.eta_ddim) == (0.25, 0.25)


def test_styles_are_put_into_the_prompts_and_unknown_ones_are_named(tmp_path: Path) -> None:
    book = StyleBook([tmp_path / "styles.csv"])
    book.save(Style("ink", "{prompt}, ink", "photo"))
    axis = next(axis for axis in all_axes(book) if axis.label == "Styles")
    values = axis.read("None, ink, charcoal")
    request = GenerationRequest(prompt="a cat")
    assert axis.apply(request, values[0], values) == {"prompt": "a cat", "negative_prompt": ""}
    assert axis.apply(request, values[1], values) == {"prompt": "a cat, ink", "negative_prompt": "photo"}
    with pytest.raises(AxisError, match="charcoal is not possible; allowed is None, or one of ink"):
        axis.apply(request, values[2], values)


def test_files_are_shown_without_folder_and_hash() -> None:
    assert AXES["Checkpoint name"].show("sub/one.safetensors [0123abcdef]") == "one.safetensors"
    assert AXES["CFG Scale"].show(7.0) == "7"


def test_what_an_axis_offers_is_read_back_by_it_and_accepted(tmp_path: Path) -> None:
    lists, book = NoLists(), StyleBook([tmp_path / "styles.csv"])
    book.save(Style("oil, old", "oil painting", ""))
    axes = all_axes(book)
    offered = {axis.label: list(axis.offered(lists)) for axis in axes}
    assert offered["Sampler"] == ["Euler", "DPM++ 2M"]
    assert offered["RNG source"] == ["GPU", "CPU", "NV"]
    assert offered["Tiling"] == ["True", "False"]
    assert offered["Styles"] == ["None", '"oil, old"']
    assert offered["Steps"] == offered["Prompt S/R"] == []
    for axis in axes:
        values = axis.read(joined_values(offered[axis.label])) if offered[axis.label] else []
        assert len(values) == len(offered[axis.label])
        for value in values:
            axis.check(value, lists)
            assert axis.apply(GenerationRequest(), value, values) is not None

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.core.errors import InvalidRequest
from modules.prompts.tags import Tag, hypernetwork_strength, lora_strengths, read_tags


def only(prompt: str) -> Tag:
    (tag,) = read_tags(prompt)[1]
    return tag


def test_tags_are_taken_out_and_the_rest_stays_as_it_stood() -> None:
    text, tags = read_tags("a <lora:x:0.5>, cat <hypernet:y:2> <magic:1:2>")
    assert text == "a , cat  "
    assert tags == (Tag("lora", "x", ("0.5",)), Tag("hypernet", "y", ("2",)), Tag("magic", "1", ("2",)))


@pytest.mark.parametrize(
    "text", ["I <3 you", "a <b c> d", "<lora>", "<lora:>", "<:a>", "a < b: c >", "<lo-ra:x>", "<lora:x"]
)
def test_other_angle_brackets_are_text(text: str) -> None:
    assert read_tags(text) == (text, ())


def test_arguments_have_places_or_names() -> None:
    assert only("<lora:my lora:0.5:unet=1:dyn=8>") == Tag("lora", "my lora", ("0.5",), {"unet": "1", "dyn": "8"})


def test_two_signs_of_equality_make_no_name() -> None:
    assert only("<lora:x:a=b=c>").positional == ("a=b=c",)


def test_a_name_may_hold_a_sign_of_equality_and_line_breaks() -> None:
    assert only("<lora:a=b:0.5>").name == "a=b"
    assert only("<lora:a\nb>").name == "a\nb"


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("<lora:x>", (1.0, 1.0, None)),
        ("<lora:x:0.5>", (0.5, 0.5, None)),
        ("<lora:x:0.5:0.7>", (0.5, 0.7, None)),
        ("<lora:x:0.5:0.7:4>", (0.5, 0.7, 4)),
        ("<lora:x:te=0.5>", (0.5, 0.5, None)),
        ("<lora:x:unet=0.5>", (1.0, 0.5, None)),
        ("<lora:x:0.5:unet=-2:dyn=16>", (0.5, -2.0, 16)),
        ("<lora:x:0.5:te=0.25>", (0.25, 0.25, None)),
        ("<lora:x: .5 >", (0.5, 0.5, None)),
        ("<lora:x:lbw=OUTALL>", (1.0, 1.0, None)),
    ],
)
def test_a_lora_acts_alike_on_both_models_unless_told_otherwise(tag: str, expected: tuple[float, ...]) -> None:
    assert lora_strengths(only(tag)) == expected


@pytest.mark.parametrize("arguments", ["", "strong", "nan", "inf", "1:x", "dyn=0", "dyn=1.5"])
def test_a_strength_that_is_no_number_is_refused_with_the_tag(arguments: str) -> None:
    tag = f"<lora:x:{arguments}>"
    with pytest.raises(InvalidRequest) as caught:
        lora_strengths(only(tag))
    assert tag in str(caught.value)
    assert caught.value.problems[0].field == "prompt"


def test_a_hypernetwork_has_one_strength() -> None:
    assert hypernetwork_strength(only("<hypernet:x>")) == 1.0
    assert hypernetwork_strength(only("<hypernet:x:0.25>")) == 0.25
    with pytest.raises(InvalidRequest):
        hypernetwork_strength(only("<hypernet:x:y>"))


def test_a_tag_is_written_as_it_was() -> None:
    assert str(only("<lora:x:0.5:unet=1>")) == "<lora:x:0.5:unet=1>"


@given(st.text("<>:=a1 \n"))
def test_tags_are_what_one_regular_expression_finds(text: str) -> None:
    pattern = re.compile(r"<(\w+):([^>]+)>")
    assert read_tags(text)[0] == pattern.sub("", text)
    assert [tag.kind for tag in read_tags(text)[1]] == [match[1] for match in pattern.finditer(text)]


@given(st.text() | st.text("<>:=ab1 \n"))
def test_any_text_can_hold_tags(text: str) -> None:
    rest, tags = read_tags(text)
    assert len(rest) <= len(text) - 4 * len(tags)


@pytest.mark.parametrize("text", ["<" * 100_000, "<a:" * 50_000, "<" + "a" * 100_000])
def test_no_text_is_too_long(text: str) -> None:
    assert read_tags(text) == (text, ())

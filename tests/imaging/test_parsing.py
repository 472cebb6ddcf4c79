import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.imaging.parsing import Infotext, join_infotext, parse_infotext, quoted, read_pairs, unquoted
from modules.imaging.versions import compatibility, read_version, version_below

USUAL = """girl with an artist's beret, ((eyeshadow)),
by a window
Negative prompt: ugly, [blurry]
bad anatomy
Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 965400086, Size: 512x768, Model hash: 45dee52b"""


def test_an_infotext_has_a_prompt_a_negative_prompt_and_pairs() -> None:
    infotext = parse_infotext(USUAL)
    assert infotext.prompt == "girl with an artist's beret, ((eyeshadow)),\nby a window"
    assert infotext.negative_prompt == "ugly, [blurry]\nbad anatomy"
    assert infotext.pairs == {
        "Steps": "20",
        "Sampler": "Euler a",
        "CFG scale": "7",
        "Seed": "965400086",
        "Size": "512x768",
        "Model hash": "45dee52b",
    }


def test_a_last_line_with_fewer_than_three_pairs_is_prompt() -> None:
    assert parse_infotext("a cat\nSteps: 20, Seed: 1") == Infotext("a cat\nSteps: 20, Seed: 1")
    assert parse_infotext("a cat\nSteps: 20, Seed: 1, Size: 8x8").prompt == "a cat"


def test_a_key_that_comes_again_counts_each_time_and_its_last_value_stays() -> None:
    assert parse_infotext("Note: 1, Note: 2, Note: 3").pairs == {"Note": "3"}


def test_pairs_alone_are_an_infotext_without_a_prompt() -> None:
    assert parse_infotext("Steps: 20, Seed: 1, Size: 8x8").prompt == ""


def test_negative_prompt_must_begin_a_line() -> None:
    infotext = parse_infotext("a cat, Negative prompt: dog\n  Negative prompt:bird")
    assert infotext == Infotext("a cat, Negative prompt: dog", "bird")


def test_empty_lines_inside_a_prompt_stay() -> None:
    assert parse_infotext("a\n\nb\nNegative prompt: \n\nc\n\nd") == Infotext("a\n\nb", "c\n\nd")


def test_quoted_values_keep_their_commas_colons_and_line_breaks() -> None:
    line = 'Steps: 1, Seed: 2, Lora hashes: "a: 0123, b: 4567", Hires prompt: "one\\ntwo \\"three\\"", Version: v1.10.1'
    pairs = parse_infotext(line).pairs
    assert pairs["Lora hashes"] == "a: 0123, b: 4567"
    assert pairs["Hires prompt"] == 'one\ntwo "three"'
    assert pairs["Version"] == "v1.10.1"


def test_a_quotation_mark_that_never_closes_is_text_up_to_the_comma() -> None:
    assert read_pairs('Model: "odd, Seed: 2') == {"Model": '"odd', "Seed": "2"}


def test_a_key_without_a_value_is_its_own_value() -> None:
    infotext = parse_infotext("Steps: 1, Tiling, Seed: 2, Size: 8x8, Hidden - thing")
    assert infotext.pairs["Tiling"] == "Tiling"
    assert infotext.pairs["Hidden - thing"] == "Hidden - thing"


def test_keys_without_values_do_not_make_a_line_of_pairs() -> None:
    assert parse_infotext("a cat, on a mat, in a hat, time 12:30").pairs == {}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", {}),
        ("a: 1", {}),
        ("ab: 1", {"ab": "1"}),
        ("-/ab/c-d e_f: 1", {"ab/c-d e_f": "1"}),
        ("(x)y z: 1", {"y z": "1"}),
        ("Foo: , Bar: 1", {"Foo": "", "Bar": "1"}),
        ("Foo:1:2,Bar:x", {"Foo": "1:2", "Bar": "x"}),
        ("Größe: 1", {"Größe": "1"}),
        ("12:30", {"12": "30"}),
        ("::: ab::", {"ab": ":"}),
    ],
)
def test_keys_have_two_characters_or_more_and_begin_with_a_word(line: str, expected: dict[str, str]) -> None:
    assert read_pairs(line) == expected


def test_lines_after_the_pairs_are_pairs_too() -> None:
    text = "a cat\nNegative prompt: dog\nSteps: 20, Sampler: Euler, Seed: 1\nTemplate: {a|b}, (cc:1.2), (dd:1.3)\nmore"
    infotext = parse_infotext(text)
    assert (infotext.prompt, infotext.negative_prompt) == ("a cat", "dog")
    assert infotext.pairs["Template"] == "{a|b}, (cc:1.2), (dd:1.3)\nmore"
    assert infotext.pairs["Seed"] == "1"


def test_a_last_line_of_pairs_that_names_the_steps_wins() -> None:
    infotext = parse_infotext("Steps: 1, Seed: 2, Size: 3x4\nSteps: 5, Seed: 6, Size: 7x8")
    assert infotext.prompt == "Steps: 1, Seed: 2, Size: 3x4"
    assert infotext.pairs["Steps"] == "5"


def test_civitai_s_unquoted_json_is_one_value() -> None:
    resources = json.dumps([{"type": "checkpoint", "modelName": "Pony, Size: 1x1"}])
    line = f"Steps: 2, Seed: 3, Size: 4x5, Civitai resources: {resources}, Civitai metadata: {{}}"
    pairs = parse_infotext(line).pairs
    assert pairs["Civitai resources"] == resources
    assert pairs["Civitai metadata"] == "{}"
    assert pairs["Size"] == "4x5"


def test_an_old_hypernetwork_becomes_a_tag() -> None:
    line = "a cat\nSteps: 1, Seed: 2, Hypernet: anime(0123abcd), Hypernet strength: 0.5"
    assert parse_infotext(line) == Infotext("a cat<hypernet:anime:0.5>", "", {"Steps": "1", "Seed": "2"})
    assert parse_infotext("Steps: 1, Seed: 2, Hypernet: anime").prompt == "<hypernet:anime:1.0>"


@pytest.mark.parametrize(("first", "expected"), [("512x384", "512x384"), ("0x0", "640x448")])
def test_an_old_first_pass_size_becomes_the_size_of_the_first_pass(first: str, expected: str) -> None:
    pairs = parse_infotext(f"Steps: 1, Size: 1024x768, First pass size: {first}").pairs
    assert pairs == {"Steps": "1", "Size": expected, "Hires resize": "1024x768"}


@given(st.text())
def test_any_text_is_an_infotext(text: str) -> None:
    infotext = parse_infotext(text)
    assert infotext.pairs or len(infotext.prompt) + len(infotext.negative_prompt) <= len(text)


PIECES = ["Steps: 2, ", "Negative prompt:", '"', "\\", ",", ":", "\n", "a", " ", "{", "[", "]}", "Hypernet: x,", "Ab:"]


@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
def test_any_text_of_an_infotext_s_pieces_is_read(text: str) -> None:
    infotext = parse_infotext(text)
    assert all(isinstance(value, str) for value in infotext.pairs.values())


@pytest.mark.parametrize("text", ["a" * 200_000, "a b:" * 50_000, '"' * 200_000, 'ab: "\\",' * 20_000, "[" * 100_000])
def test_no_text_is_too_long(text: str) -> None:
    assert parse_infotext(text + "\nxy: " + text) is not None


values = st.text(st.characters(blacklist_categories=["Cs"])).map(str.strip).filter(lambda text: text != "")


@given(st.lists(values, min_size=3, max_size=6))
def test_what_is_written_is_read_again(written: list[str]) -> None:
    # A value that begins and ends with quotation marks, or holds other line breaks than \n, cannot be told apart.
    plain = [value for value in written if quoted(value) != value or not set(value) & set('"[]{}\r\x0b\x0c')]
    pairs = {"Steps": "1", "Seed": "2", "Size": "8x8", **{f"Key {place}": value for place, value in enumerate(plain)}}
    assert parse_infotext(join_infotext(Infotext("a cat", "dog", pairs))) == Infotext("a cat", "dog", pairs)


@given(st.text())
def test_quoting_is_undone(text: str) -> None:
    assert quoted(text) == text or unquoted(quoted(text)) == text


def test_half_a_character_pair_does_not_get_through() -> None:
    assert unquoted('"\\ud800, x"') == "?, x"


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("v1.6.0", (1, 6, 0, 0)),
        ("1.10.1", (1, 10, 1, 0)),
        ("v1.7.0-225-gabcdef", (1, 7, 0, 225)),
        ("v1.8.0-RC", (1, 8, 0, -1)),
        ("f2.0.1v1.10.1-previous-592-g4bb56139", (1, 10, 1, 0)),
        ("f0.0.17v1.8.0rc-latest-276-g29be1da7", (1, 8, 0, -1)),
        ("easel-0.1.0", None),
        ("Fooocus v2.5.5", None),
        ("1a2b3c4", None),
        ("ComfyUI", None),
        ("", None),
        (None, None),
    ],
)
def test_versions_of_a1111_and_forge_are_understood(text: str | None, version: tuple[int, ...] | None) -> None:
    assert read_version(text) == version


def test_a_version_below_another_is_told_by_numbers_and_not_by_letters() -> None:
    assert version_below("v1.6.1", (1, 10, 0, 0))
    assert not version_below("v1.10.0", (1, 6, 0, 0))
    assert version_below("v1.7.0-224-gabc", (1, 7, 0, 225))
    assert not version_below(None, (1, 6, 0, 0))


@pytest.mark.parametrize(
    ("pairs", "prompt", "expected"),
    [
        ({"Version": "v1.5.2"}, "a [b:c:3]", {"Old prompt editing timelines", "Downcast alphas_cumprod"}),
        ({"Version": "v1.5.2", "Sampler": "DDIM"}, "a", {"Pad conds v0", "Downcast alphas_cumprod"}),
        ({"Version": "v1.6.0", "Sampler": "PLMS"}, "[a:b:3]", {"Downcast alphas_cumprod"}),
        ({"Version": "v1.7.0-225-gabcdef", "Refiner": "x"}, "a", {"Refiner switch by sampling steps"}),
        ({"Version": "v1.8.0", "Refiner": "x", "Sampler": "DDIM"}, "[a:b:3]", set()),
        ({"Version": "easel-0.1.0", "Refiner": "x"}, "[a:b:3]", set()),
        ({"Refiner": "x", "Sampler": "DDIM"}, "[a:b:3]", set()),
    ],
)
def test_older_versions_need_older_rules(pairs: dict[str, str], prompt: str, expected: set[str]) -> None:
    assert compatibility(pairs, prompt) == dict.fromkeys(expected, "True")

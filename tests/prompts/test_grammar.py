import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.core.parameters import EMPHASIS_MODES
from modules.prompts.grammar import Fragment, parse_emphasis, uses_emphasis, without_comments


def weights(prompt: str) -> list[tuple[str, float]]:
    return [(fragment.text, round(fragment.weight, 4)) for fragment in parse_emphasis(prompt)]


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("", [("", 1.0)]),
        ("a cat", [("a cat", 1.0)]),
        ("a (red) cat", [("a ", 1.0), ("red", 1.1), (" cat", 1.0)]),
        ("a ((red)) cat", [("a ", 1.0), ("red", 1.21), (" cat", 1.0)]),
        ("a [red] cat", [("a ", 1.0), ("red", 0.9091), (" cat", 1.0)]),
        ("(red:1.3)", [("red", 1.3)]),
        ("(red: +0.5 )", [("red", 0.5)]),
        ("(red (hot:2):1.5)", [("red ", 1.5), ("hot", 3.0)]),
        ("(never closed", [("never closed", 1.1)]),
        ("closed) twice]", [("closed) twice]", 1.0)]),
        (r"smile \(face\)", [("smile (face)", 1.0)]),
        (r"a \lone backslash", [("a lone backslash", 1.0)]),
        ("(a [b) c]", [("a ", 1.1), ("b", 1.0), (" c", 0.9091)]),
        ("(a:1.2.3)", [("a:1.2.3", 1.1)]),
        ("time 12:30", [("time 12:30", 1.0)]),
    ],
)
def test_emphasis_multiplies_inside_brackets(prompt: str, expected: list[tuple[str, float]]) -> None:
    assert weights(prompt) == expected


def test_break_is_a_fragment_of_its_own_and_takes_the_spaces_around_it() -> None:
    fragments = parse_emphasis("a cat BREAK on a mat")
    assert [(fragment.text, fragment.is_break) for fragment in fragments] == [
        ("a cat", False),
        ("BREAK", True),
        ("on a mat", False),
    ]


def test_break_inside_a_weighted_bracket_is_the_word_as_a1111_has_it() -> None:
    assert not any(fragment.is_break for fragment in parse_emphasis("(a BREAK b:1.2)"))


def test_words_that_only_contain_break_are_text() -> None:
    assert weights("BREAKFAST and OUTBREAK") == [("BREAKFAST and OUTBREAK", 1.0)]


@pytest.mark.parametrize("prompt", ["(" * 5000, "[" * 5000 + "]" * 5000, ":1)" * 5000, "\\" * 5000])
def test_no_prompt_is_too_wild(prompt: str) -> None:
    assert parse_emphasis(prompt)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a cat # not a dog", "a cat"), ("a\n# whole line\nb", "a\nb"), ("# all", ""), ("no comment\n", "no comment\n")],
)
def test_comments_are_left_out(text: str, expected: str) -> None:
    assert without_comments(text) == expected


def test_without_emphasis_all_is_text_even_break() -> None:
    prompt = "a (red:1.3) [cat] BREAK b"
    assert parse_emphasis(prompt, "None") == [Fragment(prompt)]


def test_ignored_emphasis_loses_its_brackets_and_weights_but_not_its_breaks() -> None:
    fragments = parse_emphasis("a (red:1.3) cat BREAK [b]", "Ignore")
    assert [(fragment.text, fragment.weight, fragment.is_break) for fragment in fragments] == [
        ("a ", 1.0, False),
        ("red", 1.0, False),
        (" cat", 1.0, False),
        ("BREAK", -1.0, True),
        ("", 1.0, False),
        ("b", 1.0, False),
    ]


def test_a_break_in_weighted_brackets_is_a_word_when_emphasis_is_ignored() -> None:
    assert not any(fragment.is_break for fragment in parse_emphasis("(a BREAK b:1.2)", "Ignore"))


@pytest.mark.parametrize("mode", ["Original", "No norm", "of a later version"])
def test_every_other_mode_reads_alike(mode: str) -> None:
    assert parse_emphasis("a (red:1.3)", mode) == [Fragment("a "), Fragment("red", 1.3)]


@pytest.mark.parametrize(("text", "expected"), [("a cat", False), ("a (cat)", True), ("a [cat", True), ("\\(", True)])
def test_brackets_are_what_emphasis_needs(text: str, expected: bool) -> None:
    assert uses_emphasis(text) is expected


@given(st.text() | st.text("()[]:\\1. BREAK\n"), st.sampled_from(EMPHASIS_MODES))
def test_any_text_has_fragments_in_every_mode(text: str, mode: str) -> None:
    fragments = parse_emphasis(text, mode)
    assert fragments
    if not uses_emphasis(text):
        assert all(fragment.weight in (1.0, -1.0) for fragment in fragments)


@given(st.text() | st.text("#\na "))
def test_a_text_without_comments_has_none(text: str) -> None:
    assert "#" not in without_comments(text)

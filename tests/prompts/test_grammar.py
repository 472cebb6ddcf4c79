import pytest

from modules.prompts.grammar import parse_emphasis, without_comments


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

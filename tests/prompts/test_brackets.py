import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.prompts.brackets import unbalanced


@pytest.mark.parametrize("text", ["", "a cat", "(a [b] {c})", r"smile \( and \] and \}", "(a [b) c]", r"\\(a\\)"])
def test_brackets_with_partners_are_fine(text: str) -> None:
    assert unbalanced(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(a", "( without )"),
        ("a))", "2 × ) without ("),
        ("[a {b", "[ without ]; { without }"),
        (")(", "( without ) and ) without ("),
        (r"(a\)", "( without )"),
        (r"\\(a", "( without )"),
    ],
)
def test_brackets_without_partners_are_named(text: str, expected: str) -> None:
    assert unbalanced(text) == expected


@given(st.text("()[]{}\\a"))
def test_a_text_in_itself_balanced_is_so_in_brackets_too(text: str) -> None:
    if unbalanced(text) is None and not text.endswith("\\"):
        assert unbalanced(f"({text})") is None


@given(st.text())
def test_any_text_has_an_answer(text: str) -> None:
    escaped = "".join(f"\\{mark}" for mark in text)
    assert unbalanced(escaped) is None

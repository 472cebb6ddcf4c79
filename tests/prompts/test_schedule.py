import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.prompts.schedule import PromptAt, Timeline, WeightedPrompt, prompt_schedule, split_parts


def stages(prompt: str, steps: int = 10) -> list[tuple[int, str]]:
    return [(stage.until, stage.text) for stage in prompt_schedule(prompt, Timeline(steps))]


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("a cat", [(10, "a cat")]),
        ("a [cat:dog:3]", [(3, "a cat"), (10, "a dog")]),
        ("a [cat:dog:0.5]", [(5, "a cat"), (10, "a dog")]),
        ("a [big:4] cat", [(4, "a  cat"), (10, "a big cat")]),
        ("a [big::4] cat", [(4, "a big cat"), (10, "a  cat")]),
        ("[a:[b:c:6]:3]", [(3, "a"), (6, "b"), (10, "c")]),
        ("(a [b:c:2]:1.2)", [(2, "(a b:1.2)"), (10, "(a c:1.2)")]),
        ("[cat:dog:0]", [(10, "dog")]),
        ("[cat:dog:99]", [(10, "cat")]),
        ("a ] stray [cat:dog:3", [(10, "a ] stray [cat:dog:3")]),
        ("a | b [c:d:3]", [(10, "a | b [c:d:3]")]),
        ("ends in a backslash \\", [(10, "ends in a backslash \\")]),
    ],
)
def test_a_prompt_changes_when_it_says(prompt: str, expected: list[tuple[int, str]]) -> None:
    assert stages(prompt) == expected


def test_an_alternation_takes_turns_at_every_step() -> None:
    assert stages("[a|b|]c", steps=4) == [(1, "ac"), (2, "bc"), (3, "c"), (4, "ac")]


def test_in_a_second_pass_fractions_go_from_one_to_two_and_whole_numbers_count_on() -> None:
    second = Timeline(steps=10, first_pass=20)
    assert prompt_schedule("[a:b:1.5]", second) == [PromptAt(5, "a"), PromptAt(10, "b")]
    assert prompt_schedule("[a:b:24]", second) == [PromptAt(4, "a"), PromptAt(10, "b")]
    assert prompt_schedule("[a:b:10]", second) == [PromptAt(10, "b")]


@pytest.mark.parametrize("prompt", ["(" * 20_000, "[" * 20_000, "[a:" * 5_000 + ":3]" * 5_000, "[|" * 10_000])
def test_no_prompt_is_too_deep(prompt: str) -> None:
    assert prompt_schedule(prompt, Timeline(10)) == [PromptAt(10, prompt)]


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("a cat", [WeightedPrompt("a cat")]),
        ("a cat AND a dog :0.5", [WeightedPrompt("a cat"), WeightedPrompt(" a dog", 0.5)]),
        ("a AND b:-1", [WeightedPrompt("a"), WeightedPrompt(" b", -1.0)]),
        ("SAND and ANDROID", [WeightedPrompt("SAND and ANDROID")]),
    ],
)
def test_and_divides_a_prompt_into_weighted_parts(prompt: str, expected: list[WeightedPrompt]) -> None:
    assert split_parts(prompt) == expected


@given(st.text() | st.text("[]():|\\a1. "), st.integers(1, 40), st.booleans())
def test_any_text_has_a_schedule_to_the_last_step(text: str, steps: int, old_rule: bool) -> None:
    schedule = prompt_schedule(text, Timeline(steps, old_rule=old_rule))
    ends = [stage.until for stage in schedule]
    assert ends == sorted(set(ends))
    assert ends[-1] == steps


@given(st.text() | st.text("AND :.0123456789-+ \n"))
def test_any_text_has_parts(text: str) -> None:
    assert len(split_parts(text)) >= 1

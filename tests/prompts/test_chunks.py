import pytest

from modules.prompts.chunks import Vocabulary, count_tokens, split_chunks
from modules.prompts.grammar import parse_emphasis
from modules.prompts.schedule import Timeline

START, END, COMMA, PADDING = 1000, 1001, 7, 1001


def vocabulary(padding: int = PADDING) -> Vocabulary:
    """One token per word, numbered by its length; a comma is a word of its own."""

    def tokenize(text: str) -> list[int]:
        return [COMMA if word == "," else 100 + len(word) for word in text.replace(",", " , ").split()]

    return Vocabulary(tokenize, START, END, COMMA, padding)


def test_a_short_prompt_is_one_chunk_of_77_tokens_padded_at_the_end() -> None:
    (chunk,) = split_chunks(parse_emphasis("a bb"), vocabulary(padding=0))
    assert chunk.tokens == (START, 101, 102, END, *[0] * 73)
    assert chunk.weights == (1.0,) * 77


def test_an_empty_prompt_is_one_chunk() -> None:
    (chunk,) = split_chunks(parse_emphasis(""), vocabulary())
    assert chunk.tokens == (START, *[END] * 76)


def test_the_76th_token_starts_the_next_chunk() -> None:
    first, second = split_chunks(parse_emphasis("a " * 76), vocabulary())
    assert first.tokens == (START, *[101] * 75, END)
    assert second.tokens[:3] == (START, 101, END)


def test_a_chunk_ends_at_the_last_comma_when_that_is_near() -> None:
    first, second = split_chunks(parse_emphasis("a " * 69 + "," + "bb " * 10), vocabulary())
    assert first.tokens[:72] == (START, *[101] * 69, COMMA, END)
    assert second.tokens[:12] == (START, *[102] * 10, END)


@pytest.mark.parametrize(("words_after", "moves"), [(20, True), (21, False)])
def test_a_comma_is_near_up_to_20_tokens_before_the_end(words_after: int, moves: bool) -> None:
    # The distance counts from the comma itself to the 75th token.
    before = 75 - words_after
    first, _ = split_chunks(parse_emphasis("a " * before + "," + "bb " * words_after), vocabulary())
    assert (END in first.tokens[1:76]) is moves


def test_break_ends_the_chunk() -> None:
    first, second = split_chunks(parse_emphasis("a BREAK bb"), vocabulary())
    assert first.tokens[:3] == (START, 101, END)
    assert second.tokens[:3] == (START, 102, END)


def test_weights_stand_beside_their_tokens_also_in_the_next_chunk() -> None:
    chunks = split_chunks(parse_emphasis("a " * 75 + "(bb:1.5) a"), vocabulary())
    assert chunks[1].weights[:4] == (1.0, 1.5, 1.0, 1.0)


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("", (0, 75)),
        ("a bb", (2, 75)),
        ("a " * 75, (75, 75)),
        ("a " * 76, (76, 150)),
        ("a BREAK bb", (76, 150)),
        ("(a:1.3)", (1, 75)),
        ("a bb # a comment", (2, 75)),
        ("[a:a a a:10] bb", (4, 75)),
        ("a AND a bb ccc", (3, 75)),
    ],
)
def test_the_counter_counts_what_the_chunks_hold(prompt: str, expected: tuple[int, int]) -> None:
    assert count_tokens(prompt, vocabulary(), Timeline(20)) == expected

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.prompts.chunks import Chunk, EmbeddingName, Fix, Vocabulary, count_tokens, split_chunks
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
        ("[a:a a a:10] bb", (4, 75)),
        ("a AND a bb ccc", (3, 75)),
    ],
)
def test_the_counter_counts_what_the_chunks_hold(prompt: str, expected: tuple[int, int]) -> None:
    assert count_tokens(prompt, vocabulary(), Timeline(20)) == expected


NAMED = {"xxx": 3, "yyyyy zz": 2, "yyyyy zz xxx": 5, "huge": 75, "too-much": 76, "": 1}
"""Embeddings of the tests, by the words of their names, and how many vectors they have."""


def knowing(**others: int) -> Vocabulary:
    plain = vocabulary()
    names = [EmbeddingName(name, count, tuple(plain.tokenize(name))) for name, count in (NAMED | others).items()]
    return replace(plain, embeddings=lambda: names)


def chunks_of(prompt: str, **others: int) -> list[Chunk]:
    return split_chunks(parse_emphasis(prompt), knowing(**others))


def test_an_embedding_takes_the_place_of_its_name_with_as_many_placeholders_as_it_has_vectors() -> None:
    (chunk,) = chunks_of("a (bb xxx:1.5) a")
    assert chunk.tokens[:8] == (START, 101, 102, 0, 0, 0, 101, END)
    assert chunk.weights[:8] == (1.0, 1.0, 1.5, 1.5, 1.5, 1.5, 1.0, 1.0)
    assert chunk.fixes == (Fix(2, "xxx", 3),)
    assert chunk.used == 6
    assert len(chunk.tokens) == len(chunk.weights) == 77


def test_the_longest_name_that_begins_at_a_token_counts() -> None:
    (chunk,) = chunks_of("yyyyy zz xxx yyyyy zz yyyyy")
    assert chunk.fixes == (Fix(0, "yyyyy zz xxx", 5), Fix(5, "yyyyy zz", 2))
    assert chunk.tokens[8:10] == (105, END)


def test_the_same_embedding_may_come_often() -> None:
    (chunk,) = chunks_of("xxx xxx")
    assert chunk.fixes == (Fix(0, "xxx", 3), Fix(3, "xxx", 3))


def test_a_name_across_two_fragments_is_none() -> None:
    (chunk,) = chunks_of("yyyyy (zz:1.2)")
    assert chunk.fixes == ()


@pytest.mark.parametrize(("words_before", "stays"), [(72, True), (73, False), (75, False)])
def test_an_embedding_that_does_not_fit_begins_the_next_chunk(words_before: int, stays: bool) -> None:
    chunks = chunks_of("a " * words_before + "xxx")
    first = chunks[0]
    assert first.used == min(words_before + (3 if stays else 0), 75)
    assert first.tokens[first.used + 1 :] == (END,) * (76 - first.used)
    if stays:
        assert len(chunks) == 1
        assert first.fixes == (Fix(72, "xxx", 3),)
    else:
        assert first.fixes == ()
        assert chunks[1].fixes == (Fix(0, "xxx", 3),)
        assert chunks[1].tokens[:5] == (START, 0, 0, 0, END)


def test_an_embedding_that_does_not_fit_looks_for_no_comma_unless_the_chunk_is_full() -> None:
    first, second = chunks_of("a " * 70 + ", bb bb xxx")
    assert (first.used, second.used) == (73, 3)
    first, second = chunks_of("a " * 70 + ", bb bb bb bb xxx")
    assert (first.used, second.used) == (71, 7)
    assert second.fixes == (Fix(4, "xxx", 3),)


def test_vectors_stay_in_their_chunk_when_a_comma_moves_the_placeholders_to_the_next_one() -> None:
    # A1111 does so, and pictures made with it depend on it.
    first, second = chunks_of("a " * 70 + ", xxx bb bb")
    assert first.fixes == (Fix(71, "xxx", 3),)
    assert (first.used, first.tokens[72:]) == (71, (END,) * 5)
    assert second.fixes == ()
    assert second.tokens[:7] == (START, 0, 0, 0, 102, 102, END)


def test_an_embedding_may_fill_a_chunk_but_not_be_larger() -> None:
    assert [chunk.used for chunk in chunks_of("huge a")] == [75, 1]
    assert [chunk.used for chunk in chunks_of("a huge")] == [1, 75]
    (chunk,) = chunks_of("too-much")
    assert chunk.fixes == ()


def test_of_equal_names_the_last_one_counts() -> None:
    (chunk,) = chunks_of("www", vvv=2, www=4)
    assert chunk.fixes == (Fix(0, "www", 4),)


def test_embeddings_are_asked_for_anew_with_each_prompt() -> None:
    names: list[EmbeddingName] = []
    words = replace(vocabulary(), embeddings=lambda: names)
    assert count_tokens("xxx", words, Timeline(20)) == (1, 75)
    names.append(EmbeddingName("xxx", 9, (103,)))
    assert count_tokens("xxx", words, Timeline(20)) == (9, 75)


@pytest.mark.parametrize(
    ("prompt", "expected"), [("a xxx", (4, 75)), ("a " * 73 + "xxx", (78, 150)), ("huge", (75, 75))]
)
def test_the_counter_counts_vectors(prompt: str, expected: tuple[int, int]) -> None:
    assert count_tokens(prompt, knowing(), Timeline(20)) == expected


@given(
    words=st.lists(st.sampled_from(["a", "bb", ",", "xxx", "yyyyy zz a", "huge", "BREAK", "(bb:1.2)"]), max_size=120),
    backtrack=st.integers(0, 74),
)
def test_no_embedding_is_cut_and_all_chunks_are_of_one_length(words: list[str], backtrack: int) -> None:
    chunks = split_chunks(parse_emphasis(" ".join(words)), knowing(), backtrack)
    for chunk in chunks:
        assert len(chunk.tokens) == len(chunk.weights) == 77
        assert all(0 <= fix.offset <= 75 - fix.vector_count for fix in chunk.fixes)
    fixes = [fix.name for chunk in chunks for fix in chunk.fixes]
    assert len(fixes) == sum(word in ("xxx", "yyyyy zz a", "huge") for word in words)

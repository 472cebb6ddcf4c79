"""Prompt matrix, and prompts from a file or textbox."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from modules.builtin.prompt_matrix import PromptMatrix
from modules.builtin.prompts_from_file import PromptsFromFile, read_line
from modules.core.errors import InvalidRequest, PluginFailed
from modules.prompts.styles import Style, StyleBook
from tests.builtin.scripts import cell_of, expanded, finished
from tests.fakes import paint

MATRIX, LINES = PromptMatrix(), PromptsFromFile()


@pytest.mark.parametrize(("values", "prompts"), [
    ({}, ["a cat", "a cat, red", "a cat, big", "a cat, red, big"]),
    ({"put_at_start": True}, ["a cat", "red, a cat", "big, a cat", "red, big, a cat"]),
    ({"variations_delimiter": "space"}, ["a cat", "a cat red", "a cat big", "a cat red big"]),
])  # fmt: skip
def test_every_combination_of_the_parts_is_made(values: dict[str, object], prompts: list[str]) -> None:
    made = expanded(MATRIX, values, prompt="a cat| red,|big ", batch_count=3, batch_size=2)
    assert [each.prompt for each in made] == prompts
    assert {(each.seed, each.image_count()) for each in made} == {(10, 1)}


def test_the_negative_prompt_can_have_the_parts_and_seeds_can_differ() -> None:
    made = expanded(MATRIX, {"prompt_type": "negative", "different_seeds": True}, negative_prompt="ugly|dark", seed=-1)
    assert [each.negative_prompt for each in made] == ["ugly", "ugly, dark"]
    assert made[1].seed == made[0].seed + 1 > 0


def test_too_many_parts_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="13 parts is not possible; allowed is at most 12 parts"):
        expanded(MATRIX, {}, prompt="|a" * 13)


def test_a_matrix_has_half_of_its_parts_across_and_shows_its_pictures_too() -> None:
    job = finished(MATRIX, {"margin_size": 0}, prompt="a cat|red|big|wild")
    assert not job.hides_parts
    grid = job.added[0].draw()
    assert job.added[0].series == "prompt_matrix"
    assert grid.width == 4 * 64 + 48
    for number, part in enumerate(job.parts):
        assert cell_of(grid, paint(part.request, 0), number % 4, number // 4, 4, 2)


def test_a_matrix_without_parts_is_one_picture() -> None:
    assert finished(MATRIX, {}).added[0].draw().size == (64, 64)


def test_a_matrix_that_is_too_large_has_no_grid() -> None:
    with pytest.raises(PluginFailed, match="Prompt matrix: the grid would have"):
        finished(PromptMatrix(lambda: 0.01), {}, prompt="a|b|c")


def test_every_line_is_a_request_and_empty_ones_are_none() -> None:
    text = '  a dog \n\n--prompt a big cat --steps 4 --n_iter 2 --width "128" --tiling true\n\n--seed 3\nlong -- dash'
    made = expanded(LINES, {"prompt_txt": text}, prompt="")
    assert [each.prompt for each in made] == ["a dog", "a big cat", "", "long -- dash"]
    assert [(each.steps, each.batch_count, each.width, each.tiling) for each in made[:2]] == [
        (2, 1, 64, False), (4, 2, 128, True),
    ]  # fmt: skip
    assert [each.seed for each in made] == [10, 10, 3, 10]
    assert all(each.extras == {} for each in made)


@pytest.mark.parametrize(("position", "prompt"), [("start", "a dog a cat"), ("end", "a cat a dog")])
def test_a_lines_prompt_is_joined_to_that_of_the_form(position: str, prompt: str) -> None:
    made = expanded(LINES, {"prompt_txt": "a dog\n--negative_prompt x", "prompt_position": position})
    assert [each.prompt for each in made] == [prompt, "a cat"]
    assert made[1].negative_prompt == "x"


def test_seeds_are_random_for_each_line_or_one_for_all_or_run_on() -> None:
    lines = {"prompt_txt": "a\nb\nc"}
    assert [each.seed for each in expanded(LINES, lines, seed=-1)] == [-1, -1, -1]
    same = {each.seed for each in expanded(LINES, lines | {"checkbox_iterate_batch": True}, seed=-1)}
    assert len(same) == 1
    assert same != {-1}
    on = [each.seed for each in expanded(LINES, lines | {"checkbox_iterate": True}, batch_count=2, batch_size=3)]
    assert on == [10, 16, 22]


@pytest.mark.parametrize(("line", "words"), [
    ("", "an empty text is not possible; allowed is at least one line"),
    ("a\n--stepps 3", "line 2: --stepps is not possible; allowed is one of --batch_size"),
    ("--steps", "line 1: --steps is not possible; allowed is a value behind it"),
    ("--steps 4 5", "line 1: 5 is not possible"),
    ("--steps 0", "line 1: Sampling steps 0 is not possible; allowed is a whole number from 1 to 150"),
    ('--prompt "a', "quotation marks in pairs"),
    ("--sampler_name Oiler", "line 1: Sampling method Oiler is not possible; allowed is one of Euler"),
    ("--sd_model two", "line 1: Stable Diffusion checkpoint two"),
    ("--restore_faces true", "faces cannot be restored yet"),
    ("--outpath_samples /etc", "line 1: --outpath_samples is not possible"),
    ("--styles ink", "line 1: --styles ink is not possible"),
])  # fmt: skip
def test_a_wrong_line_is_named_with_what_is_allowed(line: str, words: str) -> None:
    with pytest.raises(InvalidRequest, match=re.escape(words)):
        expanded(LINES, {"prompt_txt": line})


def test_what_changes_no_picture_is_taken_and_has_no_effect() -> None:
    assert read_line("--prompt_for_display x --do_not_save_grid true --restore_faces false", 1) == {
        "prompt_for_display": "x", "do_not_save_grid": "true", "restore_faces": "false",
    }  # fmt: skip
    assert len(expanded(LINES, {"prompt_txt": "--do_not_save_grid true --sampler_index 3"})) == 1


def test_styles_of_a_line_are_put_into_its_prompts(tmp_path: Path) -> None:
    book = StyleBook([tmp_path / "styles.csv"])
    book.save(Style("ink", "{prompt}, ink", "photo"))
    made, = expanded(PromptsFromFile(book), {"prompt_txt": "--prompt a dog --styles ink"}, prompt="")
    assert (made.prompt, made.negative_prompt) == ("a dog, ink", "photo")

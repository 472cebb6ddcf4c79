"""Grids: where each picture stands, how much room the labels take, and that any text fits."""

from __future__ import annotations

import pytest
from PIL import Image

from modules.imaging.grids import GridLayout, Label, draw_grid, grid_size, switched_labels

COLOURS = {(0, 0): (255, 0, 0), (1, 0): (0, 255, 0), (0, 1): (0, 0, 255)}
Place = tuple[int, int]


def coloured(column: int, row: int) -> Image.Image | None:
    colour = COLOURS.get((column, row))
    return None if colour is None else Image.new("RGB", (40, 20), colour)


def labels(*texts: str) -> tuple[tuple[Label, ...], ...]:
    return tuple((Label(text),) for text in texts)


def test_every_picture_stands_in_its_place_and_a_missing_one_is_black() -> None:
    grid = draw_grid(GridLayout((40, 20), 2, 2, margin=10), coloured)
    assert grid.size == (90, 50)
    middles = {(column, row): grid.getpixel((20 + 50 * column, 10 + 30 * row)) for column in (0, 1) for row in (0, 1)}
    assert middles == COLOURS | {(1, 1): (0, 0, 0)}
    assert grid.getpixel((45, 25)) == (255, 255, 255), "between the pictures"


def test_a_smaller_picture_stands_in_the_middle_of_its_place() -> None:
    grid = draw_grid(GridLayout((60, 60), 1, 1), coloured)
    assert [grid.getpixel(at) for at in ((30, 30), (5, 30), (30, 5))] == [(255, 0, 0), (0, 0, 0), (0, 0, 0)]


def test_labels_stand_above_and_at_the_left_and_take_no_room_from_the_pictures() -> None:
    layout = GridLayout((40, 20), 2, 2, labels("a", "b"), labels("c", "d"))
    grid = draw_grid(layout, coloured)
    left, top = grid.width - 80, grid.height - 40
    assert grid.size == grid_size(layout)
    assert left == 30
    assert top > 8
    assert grid.getpixel((left + 20, top + 10)) == (255, 0, 0)
    for box in ((left, 0, left + 40, top), (0, top, left, top + 20), (0, top + 20, left, top + 40)):
        assert grid.crop(box).convert("L").getextrema()[0] < 128, "something is written there"
    assert grid.crop((0, 0, left, top)).convert("L").getextrema() == (255, 255), "nothing is in the corner"


@pytest.mark.parametrize("text", ["", " ", "x" * 5000, "красный кот " * 20, "猫が好き" * 40, "a\nb\tc", "🙂" * 30])
def test_any_text_fits_beside_a_row_and_above_a_column(text: str) -> None:
    layout = GridLayout((64, 64), 1, 1, labels(text), labels(text))
    grid = draw_grid(layout, coloured)
    assert grid.size == grid_size(layout)
    assert grid.getpixel((grid.width - 32, grid.height - 32)) == (255, 0, 0)


def test_labels_without_any_text_take_no_room() -> None:
    assert grid_size(GridLayout((64, 64), 2, 1, labels("", " "), labels(""))) == (128, 64)


def test_labels_of_combinations_are_active_where_their_bit_is_set() -> None:
    active = [[label.active for label in one] for one in switched_labels(["a", "b"])]
    assert active == [[False, False], [True, False], [False, True], [True, True]]
    assert switched_labels([]) == ()


def test_what_is_not_active_is_grey() -> None:
    grey, black = (
        draw_grid(GridLayout((64, 64), 1, 1, ((Label("word", active),),)), coloured)
        .crop((0, 0, 64, 8)).convert("L").getextrema()[0]
        for active in (False, True)
    )  # fmt: skip
    assert 100 < grey < 255
    assert black < 100


def test_megapixels_are_those_of_the_pictures() -> None:
    assert GridLayout((1000, 500), 4, 2, labels("a" * 100)).megapixels() == 4.0

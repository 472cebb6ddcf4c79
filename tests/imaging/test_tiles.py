"""Pictures cut into tiles and joined again."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from modules.imaging.tiles import TileGrid


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(3).integers(0, 256, (height, width, 3), dtype=np.uint8), "RGB")


@example(70, 40, 9, 9, 0)
@example(72, 71, 9, 8, 4)
@given(st.integers(8, 200), st.integers(8, 200), st.integers(8, 64), st.integers(8, 64), st.integers(0, 7))
def test_tiles_cover_the_picture_and_share_at_least_the_overlap(
    width: int, height: int, tile_width: int, tile_height: int, overlap: int
) -> None:
    grid = TileGrid(width, height, min(tile_width, width), min(tile_height, height), overlap)
    for axis, length, tile in ((0, width, grid.tile_width), (1, height, grid.tile_height)):
        starts = sorted({place[axis] for place in grid.places()})
        assert starts[0] == 0
        assert starts[-1] + tile == length
        assert all(start + tile - after >= overlap for start, after in pairwise(starts))


@pytest.mark.parametrize("size", [(100, 70), (64, 64), (64, 200), (129, 65)])
def test_untouched_tiles_give_the_same_picture(size: tuple[int, int]) -> None:
    picture = noise(*size)
    grid = TileGrid(*size, 64, 64, 16)
    joined = grid.joined({place: grid.cut(picture, place) for place in grid.places()})
    assert np.abs(np.asarray(joined, dtype=int) - np.asarray(picture, dtype=int)).max() <= 1


def test_a_tile_is_faded_in_over_the_overlap() -> None:
    grid = TileGrid(96, 64, 64, 64, 32)
    joined = np.asarray(grid.joined({(0, 0): Image.new("RGB", (64, 64)), (32, 0): Image.new("RGB", (64, 64), "white")}))
    row = joined[0, :, 0].astype(int)
    assert (row[:33] == 0).all()
    assert (np.diff(row[32:64]) >= 7).all()
    assert (row[64:] == 255).all()


def test_rows_are_faded_in_too() -> None:
    grid = TileGrid(64, 96, 64, 64, 32)
    joined = np.asarray(grid.joined({(0, 0): Image.new("RGB", (64, 64)), (0, 32): Image.new("RGB", (64, 64), "white")}))
    column = joined[:, 0, 0].astype(int)
    assert column[32] == 0
    assert column[63] > 200
    assert (column[64:] == 255).all()

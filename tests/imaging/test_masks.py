"""Masks: what they mean, blur, the region around them, and what they are filled with."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from modules.imaging.masks import blurred, doubled, filled, mask_of, region_around, with_aspect
from modules.imaging.overlays import overlay_of


def square(size: tuple[int, int], box: tuple[int, int, int, int]) -> Image.Image:
    mask = Image.new("L", size)
    mask.paste(255, box)
    return mask


def test_brightness_or_transparency_is_the_mask() -> None:
    grey = Image.fromarray(np.array([[0, 128, 129, 255]], dtype=np.uint8), "L")
    assert list(mask_of(grey).get_flattened_data()) == [0, 128, 129, 255]
    see_through = Image.merge("LA", (Image.new("L", (4, 1), 255), grey))
    assert list(mask_of(see_through).get_flattened_data()) == [0, 0, 255, 255]
    assert list(mask_of(see_through, rounded=False).get_flattened_data()) == [0, 128, 129, 255]
    opaque = Image.merge("LA", (grey, Image.new("L", (4, 1), 255)))
    assert list(mask_of(opaque).get_flattened_data()) == [0, 128, 129, 255]


@pytest.mark.parametrize(("across", "down"), [(2.0, 0.0), (0.0, 2.0), (3.0, 3.0)])
def test_blur_spreads_along_its_axes_alone_and_keeps_the_sum(across: float, down: float) -> None:
    mask = square((41, 41), (20, 20, 21, 21))
    found = np.asarray(blurred(mask, across, down), dtype=float)
    rows, columns = np.nonzero(found)
    reach = [int(2.5 * deviation + 0.5) for deviation in (down, across)]
    assert rows.max() - 20 <= reach[0]
    assert columns.max() - 20 <= reach[1]
    assert (rows.max() > 20, columns.max() > 20) == (down > 0, across > 0)
    assert abs(found.sum() - 255) < 40
    whole = Image.new("L", (9, 9), 255)
    assert np.asarray(blurred(whole, across, down)).min() == 255


def test_no_blur_changes_nothing() -> None:
    mask = square((20, 10), (3, 2, 7, 9))
    assert blurred(mask, 0, 0).tobytes() == mask.tobytes()


def test_the_region_is_the_smallest_with_padding_inside_the_picture() -> None:
    assert region_around(square((100, 50), (10, 5, 20, 15)), 0) == (10, 5, 20, 15)
    assert region_around(square((100, 50), (10, 5, 20, 15)), 8) == (2, 0, 28, 23)
    assert region_around(square((100, 50), (90, 40, 100, 50)), 32) == (58, 8, 100, 50)
    assert region_around(Image.new("L", (100, 50)), 32) is None


@pytest.mark.parametrize(("box", "size", "picture", "wanted"), [
    ((0, 0, 128, 32), (512, 512), (512, 512), (0, 0, 128, 128)),
    ((100, 100, 228, 132), (512, 512), (512, 512), (100, 52, 228, 180)),
    ((100, 480, 228, 512), (512, 512), (512, 512), (100, 384, 228, 512)),
    ((10, 10, 20, 60), (100, 50), (200, 100), (0, 10, 100, 60)),
    ((0, 0, 100, 10), (64, 64), (100, 20), (0, 0, 100, 20)),
])  # fmt: skip
def test_a_region_grows_to_the_aspect_that_is_worked_in(
    box: tuple[int, int, int, int], size: tuple[int, int], picture: tuple[int, int], wanted: tuple[int, int, int, int]
) -> None:
    assert with_aspect(box, *size, picture) == wanted


@given(st.data())
def test_a_grown_region_holds_the_old_one_and_stays_inside(data: st.DataObject) -> None:
    picture = data.draw(st.tuples(st.integers(8, 300), st.integers(8, 300)))
    left, top = data.draw(st.integers(0, picture[0] - 1)), data.draw(st.integers(0, picture[1] - 1))
    right, bottom = data.draw(st.integers(left + 1, picture[0])), data.draw(st.integers(top + 1, picture[1]))
    width, height = data.draw(st.integers(1, 64)) * 8, data.draw(st.integers(1, 64)) * 8
    grown = with_aspect((left, top, right, bottom), width, height, picture)
    assert 0 <= grown[0] <= left < right <= grown[2] <= picture[0]
    assert 0 <= grown[1] <= top < bottom <= grown[3] <= picture[1]


def test_a_mask_is_filled_with_the_colours_around_it_and_nothing_else_changes() -> None:
    picture = Image.new("RGB", (64, 64), (200, 30, 30))
    picture.paste((0, 0, 255), (24, 24, 40, 40))
    mask = square((64, 64), (24, 24, 40, 40))
    found = np.asarray(filled(picture, mask), dtype=int)
    assert np.abs(found[32, 32] - (200, 30, 30)).max() <= 3
    outside = np.asarray(mask) == 0
    assert (found[outside] == np.asarray(picture)[outside]).all()


def test_the_overlay_keeps_the_original_where_nothing_is_painted() -> None:
    picture = Image.fromarray(np.random.default_rng(1).integers(0, 256, (16, 16, 3), dtype=np.uint8), "RGB")
    mask = square((16, 16), (4, 4, 12, 12))
    painted = Image.new("RGBA", (16, 16), "#00ff00")
    painted.alpha_composite(overlay_of(picture, mask))
    found, outside = np.asarray(painted.convert("RGB")), np.asarray(mask) == 0
    assert (found[outside] == np.asarray(picture)[outside]).all()
    assert (found[~outside] == (0, 255, 0)).all()


def test_a_doubled_mask_counts_what_is_half_masked_wholly() -> None:
    mask = Image.fromarray(np.array([[0, 60, 128, 255]], dtype=np.uint8), "L")
    assert list(doubled(mask).get_flattened_data()) == [0, 120, 255, 255]

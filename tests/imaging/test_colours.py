"""Colour correction: the original's hues, the result's brightness; figures from OpenCV and scikit-image."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from PIL import Image

from modules.imaging import colours
from modules.imaging.colours import matching_levels, with_colours_of

BRIGHTNESS = np.array([0.299, 0.587, 0.114])


def soft(seed: int, low: int = 0, high: int = 255, size: tuple[int, int] = (64, 48)) -> Image.Image:
    values = np.random.default_rng(seed).integers(low, high, (8, 8, 3), dtype=np.uint8)
    return Image.fromarray(values, "RGB").resize(size, Image.Resampling.BICUBIC)


# cv2.cvtColor(…, cv2.COLOR_RGB2LAB) of these pixels.
LAB = {
    (0, 0, 0): (0, 128, 128),
    (255, 255, 255): (255, 128, 128),
    (255, 0, 0): (136, 208, 195),
    (0, 255, 0): (224, 42, 211),
    (0, 0, 255): (82, 207, 20),
    (128, 128, 128): (137, 128, 128),
}


@pytest.mark.parametrize("pixel", LAB)
def test_colours_are_those_of_opencv_within_two_levels(pixel: tuple[int, int, int]) -> None:
    lab = colours._lab(np.array([[pixel]], dtype=np.uint8))
    assert np.abs(lab[0, 0].astype(int) - LAB[pixel]).max() <= 2
    back = colours._rgb(np.array([[LAB[pixel]]], dtype=np.uint8))
    assert np.abs(back[0, 0].astype(int) - pixel).max() <= 8


def test_levels_are_matched_as_scikit_image_does() -> None:
    levels = np.array([0, 1, 1, 2, 3, 3, 3, 9], dtype=np.uint8)
    wanted = np.array([[10, 10], [20, 40]], dtype=np.uint8)
    table = matching_levels(levels, wanted)
    # skimage.exposure.match_histograms(levels, wanted) gives these.
    assert table[levels].tolist() == [10, 10, 10, 10, 30, 30, 30, 40]


def test_a_picture_matched_to_itself_hardly_changes() -> None:
    picture = soft(1, 60, 190)
    assert np.abs(np.asarray(with_colours_of(picture, picture), dtype=int) - np.asarray(picture)).max() <= 4


def test_a_colour_cast_goes_and_the_brightness_stays() -> None:
    original = soft(2, 60, 190)
    warmer = np.asarray(original, dtype=int) + np.array([45, 0, -45])
    cast = Image.fromarray(np.clip(warmer, 0, 255).astype(np.uint8), "RGB")
    found = np.asarray(with_colours_of(cast, original), dtype=float)
    before, wanted = np.asarray(cast, dtype=float), np.asarray(original, dtype=float)
    assert np.abs((found - before) @ BRIGHTNESS).max() <= 1.5
    after, cast_warmth, warmth = (float((each[..., 0] - each[..., 2]).mean()) for each in (found, before, wanted))
    assert abs(after - warmth) < 0.15 * abs(cast_warmth - warmth)


def test_the_original_may_have_any_size_and_mode() -> None:
    picture = soft(3)
    assert with_colours_of(picture, soft(4, size=(7, 300)).convert("L")).size == picture.size


@settings(deadline=None, max_examples=25)
@given(some.integers(0, 10_000), some.integers(0, 10_000))
def test_strips_change_nothing(one: int, other: int) -> None:
    picture, original = soft(one, size=(16, 24)), soft(other, size=(16, 24))
    whole = with_colours_of(picture, original)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(colours, "_STRIP_ROWS", 5)
        assert with_colours_of(picture, original).tobytes() == whole.tobytes()

"""Noise that looks like the rest of a picture."""

import numpy as np
from PIL import Image

from modules.imaging.matched_noise import matched_histograms, with_matched_noise


def half_new(size: int = 64) -> tuple[Image.Image, Image.Image]:
    """A picture of which the right half is empty, and the mask of that half."""
    rng = np.random.default_rng(1)
    pixels = np.zeros((size, size, 3), dtype=np.uint8)
    pixels[:, : size // 2] = rng.integers((100, 0, 0), (200, 50, 20), (size, size // 2, 3))
    mask = Image.new("L", (size, size))
    mask.paste(255, (size // 2, 0, size, size))
    return Image.fromarray(pixels, "RGB"), mask


def test_what_is_not_masked_stays_to_the_byte() -> None:
    picture, mask = half_new()
    found = np.asarray(with_matched_noise(picture, mask, 1.0, 0.05))
    assert (found[:, :32] == np.asarray(picture)[:, :32]).all()


def test_the_noise_has_the_colours_of_the_rest() -> None:
    picture, mask = half_new()
    found = np.asarray(with_matched_noise(picture, mask, 1.0, 0.05), dtype=float)
    for channel in range(3):
        old, new = found[:, :32, channel], found[:, 32:, channel]
        assert abs(old.mean() - new.mean()) < 2
        assert abs(old.std() - new.std()) < 2


def test_the_noise_is_always_the_same_and_depends_on_its_settings() -> None:
    picture, mask = half_new()
    first = with_matched_noise(picture, mask, 1.0, 0.05)
    assert with_matched_noise(picture, mask, 1.0, 0.05).tobytes() == first.tobytes()
    assert with_matched_noise(picture, mask, 3.0, 0.05).tobytes() != first.tobytes()
    assert with_matched_noise(picture, mask, 1.0, 1.0).tobytes() != first.tobytes()


def test_black_pictures_and_whole_masks_are_borne() -> None:
    black, mask = Image.new("RGB", (64, 64)), half_new()[1]
    assert np.asarray(with_matched_noise(black, mask, 1.0, 0.05)).max() == 0
    everything = Image.new("L", (64, 64), 255)
    assert with_matched_noise(half_new()[0], everything, 0.0, 0.0).size == (64, 64)
    nothing = Image.new("L", (64, 64))
    assert with_matched_noise(half_new()[0], nothing, 1.0, 0.05).tobytes() == half_new()[0].tobytes()


def test_matched_values_keep_their_order_and_take_the_examples_distribution() -> None:
    rng = np.random.default_rng(5)
    values, example = rng.normal(size=(4000, 3)), rng.uniform(2, 3, size=(1000, 3))
    matched = matched_histograms(values, example)
    assert (np.diff(matched[np.argsort(values[:, 0]), 0]) >= 0).all()
    assert abs(np.quantile(matched[:, 1], 0.25) - 2.25) < 0.05

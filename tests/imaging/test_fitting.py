"""The resize modes, and what becomes of transparent pixels."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from PIL import Image

from modules.imaging.fitting import (
    CROP_AND_RESIZE,
    JUST_RESIZE,
    LATENT_UPSCALE,
    RESIZE_AND_FILL,
    RESIZE_MODES,
    fitted,
    flattened,
)
from modules.imaging.resize import PIXEL_UPSCALERS, upscaled


def halves(width: int, height: int) -> Image.Image:
    """A picture whose left half is red and whose right half is blue."""
    picture = Image.new("RGB", (width, height), "red")
    picture.paste("blue", (width // 2, 0, width, height))
    return picture


@pytest.mark.parametrize("mode", range(len(RESIZE_MODES)))
@pytest.mark.parametrize("size", [(64, 64), (128, 64), (64, 128), (40, 200), (1, 1), (3, 500)])
def test_every_mode_gives_exactly_the_size_that_was_asked_for(mode: int, size: tuple[int, int]) -> None:
    assert fitted(halves(*size), 96, 64, mode).size == (96, 64)


@pytest.mark.parametrize("mode", [JUST_RESIZE, LATENT_UPSCALE])
def test_just_resize_stretches(mode: int) -> None:
    found = np.asarray(fitted(halves(64, 64), 128, 64, mode))
    assert tuple(found[32, 0]) == (255, 0, 0)
    assert tuple(found[32, 127]) == (0, 0, 255)


def test_crop_and_resize_cuts_off_both_sides() -> None:
    picture = halves(128, 64)
    picture.paste("lime", (0, 0, 16, 64))
    picture.paste("lime", (112, 0, 128, 64))
    found = np.asarray(fitted(picture, 64, 64, CROP_AND_RESIZE))
    assert tuple(found[32, 0]) == (255, 0, 0)
    assert tuple(found[32, 63]) == (0, 0, 255)


def test_resize_and_fill_keeps_everything_and_continues_the_edges() -> None:
    rows = np.zeros((64, 64, 3), dtype=np.uint8)
    rows[:, :, 0] = np.arange(64)[:, None] * 4
    found = np.asarray(fitted(Image.fromarray(rows, "RGB"), 64, 128, RESIZE_AND_FILL))
    assert (found[32:96] == rows).all()
    assert (found[:32] == rows[0]).all()
    assert (found[96:] == rows[-1]).all()
    across = np.asarray(fitted(halves(64, 64), 128, 64, RESIZE_AND_FILL))
    assert (across[:, :32] == (255, 0, 0)).all()
    assert (across[:, 96:] == (0, 0, 255)).all()


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_pixels_take_the_background_s_colour(mode: str) -> None:
    picture = Image.new("RGBA", (2, 1), (0, 0, 0, 0))
    picture.putpixel((1, 0), (0, 0, 0, 255))
    if mode == "P":
        palette = Image.new("P", (2, 1), 1)
        palette.putpalette([255, 0, 0, 0, 0, 0])
        palette.putpixel((0, 0), 0)
        palette.info["transparency"] = 0
    found = flattened(picture.convert(mode) if mode != "P" else palette, "#00ff00")
    assert [found.getpixel((place, 0)) for place in (0, 1)] == [(0, 255, 0), (0, 0, 0)]


def test_a_picture_without_transparency_is_only_converted() -> None:
    assert flattened(Image.new("CMYK", (2, 2), (0, 0, 0, 0)), "#000000").getpixel((0, 0)) == (255, 255, 255)
    assert flattened(Image.new("L", (2, 2), 7), "#ffffff").getpixel((0, 0)) == (7, 7, 7)


@pytest.mark.parametrize("mode", range(len(RESIZE_MODES)))
@pytest.mark.parametrize("upscaler", PIXEL_UPSCALERS)
@pytest.mark.parametrize("size", [(40_000, 1), (1, 40_000), (1, 1)])
def test_a_line_of_40000_pixels_takes_no_gigabytes(mode: int, upscaler: str, size: tuple[int, int]) -> None:
    picture = Image.new("RGB", size, "red")
    picture.putpixel((size[0] // 2, size[1] // 2), (0, 0, 255))
    assert fitted(picture, 512, 512, mode, partial(upscaled, upscaler=upscaler)).size == (512, 512)


def test_only_extreme_pictures_are_cut_before_they_are_enlarged() -> None:
    picture = halves(300, 40)
    assert fitted(picture, 512, 512, CROP_AND_RESIZE).tobytes() == fitted(
        picture.resize((3840, 512), Image.Resampling.LANCZOS).crop((1664, 0, 2176, 512)), 512, 512, JUST_RESIZE
    ).tobytes()

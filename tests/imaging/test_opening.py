"""Picture files of every kind become 8 bits, the right way up; what is cut off is found out."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from modules.imaging import opening
from modules.imaging.opening import BROKEN, check_whole, eight_bits, open_file, upright


def file_of(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def opened(content: bytes) -> Image.Image:
    return upright(open_file(content))


def noise(width: int = 48, height: int = 32) -> Image.Image:
    values = np.random.default_rng(1).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values, "RGB")


def ramp16() -> np.ndarray[Any, Any]:
    return np.linspace(0, 65_535, 256).round().astype(np.uint16).reshape(1, 256)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_of_grey_are_scaled_and_not_cut_off(kind: str) -> None:
    picture = opened(file_of(Image.fromarray(ramp16()), kind))
    assert picture.mode == "L"
    assert np.asarray(picture).ravel().tolist() == list(range(256))


def test_whole_numbers_and_floating_ones_are_scaled() -> None:
    whole = eight_bits(Image.fromarray(ramp16().astype(np.int32)))
    assert np.asarray(whole).ravel().tolist() == list(range(256))
    floating = np.array([[-1, 0, 0.5, 1, 2, np.nan, np.inf]], dtype=np.float32)
    assert np.asarray(eight_bits(Image.fromarray(floating))).ravel().tolist() == [0, 0, 128, 255, 255, 0, 255]


@pytest.mark.parametrize(
    ("mode", "expected"), [("1", "L"), ("L", "L"), ("LA", "LA"), ("P", "RGB"), ("RGB", "RGB"), ("RGBA", "RGBA")]
)
def test_every_mode_of_a_png_becomes_one_of_four(mode: str, expected: str) -> None:
    assert opened(file_of(Image.new(mode, (3, 2)))).mode == expected


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "LAB", "HSV", "PA", "RGBX"])
def test_other_colour_spaces_become_rgb(mode: str) -> None:
    assert eight_bits(Image.new(mode, (3, 2))).mode == ("RGBA" if mode == "PA" else "RGB")


def test_cmyk_keeps_its_colours() -> None:
    picture = opened(file_of(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=100))
    red, green, blue = picture.getpixel((4, 4))
    assert (picture.mode, red > 240, green < 15, blue < 15) == ("RGB", True, True, True)


def test_a_palette_and_a_colour_that_are_transparent_become_alpha() -> None:
    palette = Image.new("P", (2, 1), 0)
    palette.putpalette([255, 0, 0, 0, 0, 255])
    palette.putpixel((1, 0), 1)
    picture = opened(file_of(palette, transparency=0))
    assert [picture.getpixel((x, 0)) for x in (0, 1)] == [(255, 0, 0, 0), (0, 0, 255, 255)]
    keyed = opened(file_of(Image.new("RGB", (1, 1), (1, 2, 3)), transparency=(1, 2, 3)))
    assert keyed.getpixel((0, 0)) == (1, 2, 3, 0)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_first_picture_counts(kind: str) -> None:
    first, second = Image.new("RGB", (4, 4), "red"), Image.new("RGB", (4, 4), "blue")
    exact = {"lossless": True} if kind == "WEBP" else {}
    content = file_of(first, kind, save_all=True, append_images=[second], duration=50, **exact)
    check_whole(content)
    picture = opened(content).convert("RGB")
    assert (picture.size, picture.getpixel((0, 0))) == ((4, 4), (255, 0, 0))


@pytest.mark.parametrize(("orientation", "corner"), [(1, (0, 0)), (3, (7, 5)), (6, (5, 0)), (8, (0, 7))])
def test_a_picture_is_turned_as_its_metadata_says(orientation: int, corner: tuple[int, int]) -> None:
    picture = Image.new("L", (8, 6))
    picture.putpixel((0, 0), 255)
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert opened(file_of(picture, exif=exif)).getpixel(corner) == 255


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_metadata_that_is_made_up_does_no_harm() -> None:
    assert opened(file_of(noise(), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\xff\xff")).size == (48, 32)


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "AVIF", "GIF", "BMP", "TIFF"])
def test_a_file_that_is_cut_off_is_found_out(kind: str, large: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if large:
        monkeypatch.setattr(opening, "_QUICKLY_DECODED", 0)
    content = file_of(noise(200, 200), kind)
    check_whole(content)
    for share in (0.5, 0.9, 0.99):
        with pytest.raises(BROKEN):
            check_whole(content[: int(len(content) * share)])


def test_a_single_pixel_and_a_very_long_line_are_pictures() -> None:
    for size in ((1, 1), (40_000, 1), (1, 40_000)):
        content = file_of(Image.new("RGB", size))
        check_whole(content)
        assert opened(content).size == size


def test_formats_that_run_programs_or_are_rare_are_not_opened() -> None:
    for kind in ("EPS", "PCX", "ICO"):
        with pytest.raises(BROKEN):
            open_file(file_of(noise(), kind))

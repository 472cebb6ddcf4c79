"""Pictures that are handed in are kept once, by their content, and anything else is refused by name."""

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from modules.core.errors import InvalidRequest
from modules.gallery.inputs import LARGEST_MEGAPIXELS, MOST_MEGAPIXELS, InputStore
from modules.settings.schema import OPTIONS


def png(colour: str = "red", size: tuple[int, int] = (8, 6), mode: str = "RGB") -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size, colour).save(buffer, "PNG")
    return buffer.getvalue()


def test_the_same_picture_is_kept_once_and_comes_back(tmp_path: Path) -> None:
    store = InputStore(tmp_path / "inputs")
    digest = store.keep(png())
    assert store.keep(png()) == digest != store.keep(png("blue"))
    assert len(list((tmp_path / "inputs").iterdir())) == 2
    picture = store.load(digest)
    assert (picture.mode, picture.size, picture.getpixel((0, 0))) == ("RGB", (8, 6), (255, 0, 0))


def test_a_picture_is_turned_as_its_metadata_says(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    Image.new("RGB", (8, 6)).save(buffer, "JPEG", exif=exif)
    store = InputStore(tmp_path)
    assert store.load(store.keep(buffer.getvalue())).size == (6, 8)


@pytest.mark.parametrize("content", [b"", b"no picture", png()[:20]])
def test_what_is_no_picture_is_refused_by_its_field(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"firstpass_image: .* is not possible; allowed is a PNG"):
        InputStore(tmp_path).keep(content, "firstpass_image")
    assert list(tmp_path.iterdir()) == []


def test_too_large_a_picture_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    limit = [2]
    store = InputStore(tmp_path, lambda: limit[0])
    bomb = declared(1500, 1500)
    with pytest.raises(InvalidRequest, match=r"a picture of 1500 x 1500 pixels .* at most 2 megapixels"):
        store.keep(bomb)
    limit[0] = 3
    with pytest.raises(InvalidRequest, match="PNG picture that is cut off"):
        store.keep(bomb)
    with pytest.raises(InvalidRequest, match="a picture of more than 170 megapixels"):
        InputStore(tmp_path).keep(declared(60_000, 60_000))
    assert list(tmp_path.iterdir()) == []


def test_a_picture_that_is_cut_off_is_found_out_when_it_is_handed_in_and_named(tmp_path: Path) -> None:
    content = png(size=(300, 300))
    with pytest.raises(InvalidRequest) as raised:
        InputStore(tmp_path).keep(content[: len(content) // 2], "init_images", "cut.png")
    assert str(raised.value) == (
        "init_images: cut.png, a PNG picture that is cut off or damaged, is not possible; allowed is a PNG, JPEG,"
        " WebP, AVIF, GIF, BMP or TIFF picture of at most 64 megapixels."
    )


def test_a_picture_that_was_damaged_on_disk_is_a_clear_refusal(tmp_path: Path) -> None:
    store = InputStore(tmp_path)
    content = png(size=(300, 300))
    digest = store.keep(content)
    (tmp_path / digest).write_bytes(content[: len(content) // 2])
    with pytest.raises(InvalidRequest, match="a PNG picture that is damaged"):
        store.load(digest)


@pytest.mark.parametrize(("orientation", "size"), [(0, (8, 6)), (3, (8, 6)), (6, (6, 8))])
def test_the_size_of_a_kept_picture_is_that_of_the_upright_one(
    orientation: int, size: tuple[int, int], tmp_path: Path
) -> None:
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    buffer = io.BytesIO()
    Image.new("RGB", (8, 6)).save(buffer, "JPEG", exif=exif)
    store = InputStore(tmp_path)
    digest = store.keep(buffer.getvalue())
    assert store.size(digest) == store.load(digest).size == size


def test_sixteen_bits_come_back_as_eight(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.full((2, 2), 0x8080, dtype=np.uint16)).save(buffer, "PNG")
    store = InputStore(tmp_path)
    picture = store.load(store.keep(buffer.getvalue()))
    assert (picture.mode, picture.getpixel((0, 0))) == ("L", 0x80)


def declared(width: int, height: int) -> bytes:
    """A small PNG file that says it is of this size."""
    header = b"IHDR" + struct.pack(">II", width, height) + bytes([8, 2, 0, 0, 0])
    small = png()
    return small[:12] + header + struct.pack(">I", zlib.crc32(header)) + small[33:]


@pytest.mark.parametrize("digest", ["", "0" * 64, "../secret", "0" * 63 + "G"])
def test_an_unknown_hash_is_refused(digest: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="hash of a picture"):
        InputStore(tmp_path).load(digest)


def test_the_option_allows_what_pillow_can_open() -> None:
    option = OPTIONS["largest_input_megapixels"]
    assert (option.default, option.maximum) == (LARGEST_MEGAPIXELS, MOST_MEGAPIXELS)
    assert Image.MAX_IMAGE_PIXELS is not None
    assert MOST_MEGAPIXELS * 1_000_000 < 2 * Image.MAX_IMAGE_PIXELS


def test_pictures_that_nobody_needs_go_after_a_while(tmp_path: Path) -> None:
    store = InputStore(tmp_path)
    old, needed, new = (store.keep(png(colour)) for colour in ("red", "green", "blue"))
    for digest in (old, needed):
        os.utime(tmp_path / digest, (0, 0))
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    assert store.forget_old({needed}, 3600) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([needed, new, "notes.txt"])


def test_a_picture_that_is_handed_in_again_is_not_old(tmp_path: Path) -> None:
    store = InputStore(tmp_path)
    digest = store.keep(png())
    os.utime(tmp_path / digest, (0, 0))
    assert store.keep(png()) == digest
    assert store.forget_old((), 3600) == 0

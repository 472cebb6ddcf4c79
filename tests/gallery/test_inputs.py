"""Pictures that are handed in are kept once, by their content, and anything else is refused by name."""

import io
from pathlib import Path

import pytest
from PIL import Image

from modules.core.errors import InvalidRequest
from modules.gallery import inputs
from modules.gallery.inputs import InputStore


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


def test_too_large_a_picture_is_refused_before_it_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "LARGEST_PIXELS", 47)
    with pytest.raises(InvalidRequest, match="a picture of 8 x 6 pixels"):
        InputStore(tmp_path).keep(png())


@pytest.mark.parametrize("digest", ["", "0" * 64, "../secret", "0" * 63 + "G"])
def test_an_unknown_hash_is_refused(digest: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="hash of a picture"):
        InputStore(tmp_path).load(digest)

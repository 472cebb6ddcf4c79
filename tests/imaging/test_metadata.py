import io
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from modules.core.errors import InvalidRequest, StorageFailed
from modules.imaging.metadata import embed, read_infotext, user_comment_exif

TEXT = "ein Kätzchen, 猫 🐈\nNegative prompt: blurry\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 16x8"
FORMATS = ["png", "jpg", "jpeg", "webp", "avif", "gif"]


def picture(mode: str = "RGB") -> Image.Image:
    return Image.new(mode, (16, 8), 128 if mode == "L" else None)


def png(**texts: str) -> bytes:
    chunks, out = PngImagePlugin.PngInfo(), io.BytesIO()
    for key, text in texts.items():
        chunks.add_text(key, text)
    picture().save(out, "PNG", pnginfo=chunks)
    return out.getvalue()


def jpeg(exif: bytes) -> bytes:
    out = io.BytesIO()
    picture().save(out, "JPEG", exif=b"Exif\0\0" + exif)
    return out.getvalue()


@pytest.mark.parametrize("file_format", FORMATS)
def test_what_is_written_into_a_picture_is_read_from_it(file_format: str) -> None:
    found = read_infotext(embed(picture(), TEXT, file_format))
    assert found.text == TEXT
    assert (found.source, found.width, found.height) == ("A1111", 16, 8)
    assert found.infotext is not None
    assert found.infotext.pairs["Seed"] == "1"


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_picture_without_a_text_has_none(file_format: str) -> None:
    found = read_infotext(embed(picture(), None, file_format))
    assert (found.text, found.source, found.infotext) == (None, None, None)


@pytest.mark.parametrize("mode", ["RGBA", "L", "P"])
def test_pictures_of_other_modes_are_saved_too(mode: str) -> None:
    assert read_infotext(embed(picture(mode), TEXT, "jpg")).text == TEXT


def test_latin_text_is_a_text_chunk_and_other_text_an_international_one() -> None:
    assert b"tEXtparameters\0" in embed(picture(), "Steps: ä", "png")
    assert b"iTXtparameters\0" in embed(picture(), "Steps: 猫", "png")


def test_webp_without_loss_keeps_its_pixels() -> None:
    original = Image.linear_gradient("L").convert("RGB")
    data = embed(original, TEXT, "webp", lossless=True)
    with Image.open(io.BytesIO(data)) as again:
        assert again.convert("RGB").tobytes() == original.tobytes()


def test_exif_is_what_piexif_writes() -> None:
    assert user_comment_exif("ä") == bytes.fromhex(
        "4d4d 002a 00000008"  # big-endian, first directory at 8
        "0001 8769 0004 00000001 0000001a 00000000"  # one entry: the Exif directory is at 26
        "0001 9286 0007 0000000a 0000002c 00000000"  # one entry: a UserComment of 10 bytes at 44
        "554e49434f444500 00e4"
    )


def test_a_text_too_long_for_jpeg_is_refused_in_words() -> None:
    with pytest.raises(StorageFailed, match="too long for a JPEG"):
        embed(picture(), "x" * 40_000, "jpg")
    assert read_infotext(embed(picture(), "x" * 40_000, "webp")).text == "x" * 40_000


def test_an_unknown_format_is_refused_with_those_that_are_possible() -> None:
    with pytest.raises(StorageFailed, match=r"'tiff'.*png"):
        embed(picture(), TEXT, "tiff")


def exif_block(comment: bytes, order: str = ">") -> bytes:
    mark = b"MM" if order == ">" else b"II"
    return (
        struct.pack(order + "2sHI", mark, 42, 8)
        + struct.pack(order + "HHHIII", 1, 0x8769, 4, 1, 26, 0)
        + struct.pack(order + "HHHIII", 1, 0x9286, 7, len(comment), 44, 0)
        + comment
    )


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    "comment",
    [
        b"UNICODE\0" + TEXT.encode("utf-16-be"),
        b"UNICODE\0" + TEXT.encode("utf-16-le"),
        b"UNICODE\0" + TEXT.encode("utf-16"),
        b"UNICODE\0" + TEXT.encode("utf-8"),
        b"ASCII\0\0\0" + TEXT.encode("utf-8"),
        bytes(8) + TEXT.encode("utf-8"),
        TEXT.encode("utf-8"),
    ],
)
def test_comments_in_every_encoding_and_byte_order_are_read(order: str, comment: bytes) -> None:
    assert read_infotext(jpeg(exif_block(comment, order))).text == TEXT


def test_the_comment_in_exif_wins_over_the_text_chunk() -> None:
    chunks, out = PngImagePlugin.PngInfo(), io.BytesIO()
    chunks.add_text("parameters", "from the chunk")
    picture().save(out, "PNG", pnginfo=chunks, exif=user_comment_exif("from EXIF"))
    assert read_infotext(out.getvalue()).text == "from EXIF"


def test_all_texts_of_a_picture_are_told() -> None:
    found = read_infotext(png(parameters=TEXT, postprocessing="Upscale: 2", Title="mine"))
    assert found.items == {"parameters": TEXT, "postprocessing": "Upscale: 2", "Title": "mine"}
    assert found.format == "PNG"


def test_a_text_that_is_only_a_prompt_has_no_known_source() -> None:
    found = read_infotext(png(parameters="a cat"))
    assert (found.text, found.source) == ("a cat", None)


def test_a_comment_of_another_program_in_the_file_is_no_picture() -> None:
    for data in (b"", b"GIF89a", b"not a picture", b"%!PS-Adobe-3.0 EPSF-3.0\n", TEXT.encode(), bytes(1000)):
        with pytest.raises(InvalidRequest) as caught:
            read_infotext(data)
        (problem,) = caught.value.problems
        assert problem.field == "image"
        assert "PNG, JPEG, WebP, AVIF or GIF" in problem.allowed


def test_too_many_pixels_are_refused_before_they_are_made() -> None:
    header = struct.pack(">II5B", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", len(header)) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    empty = struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    with pytest.raises(InvalidRequest, match="too many pixels"):
        read_infotext(b"\x89PNG\r\n\x1a\n" + chunk + empty)


def test_a_compressed_text_that_would_fill_the_memory_is_refused_or_left_out() -> None:
    chunks, out = PngImagePlugin.PngInfo(), io.BytesIO()
    chunks.add_text("parameters", "x" * 50_000_000, zip=True)
    picture().save(out, "PNG", pnginfo=chunks)
    with pytest.raises(InvalidRequest):
        read_infotext(out.getvalue())


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_broken_exif_is_no_text() -> None:
    assert read_infotext(jpeg(b"nonsense")).text is None
    assert read_infotext(jpeg(exif_block(b"UNICODE\0")[:30])).text is None


@given(st.sampled_from(FORMATS), st.data())
def test_a_file_that_is_cut_off_or_changed_is_read_or_refused(file_format: str, data: st.DataObject) -> None:
    whole = bytearray(embed(picture(), TEXT, file_format))
    cut = data.draw(st.integers(0, len(whole)))
    place, value = data.draw(st.integers(0, len(whole) - 1)), data.draw(st.integers(0, 255))
    whole[place] = value
    try:
        answer = read_infotext(bytes(whole[:cut])).format
    except InvalidRequest as refusal:
        answer = refusal.problems[0].field
    assert answer in ("PNG", "JPEG", "WEBP", "AVIF", "GIF", "MPO", "image")


@given(st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0\ufeff"), min_size=1))
def test_any_text_comes_through_exif(text: str) -> None:
    assert read_infotext(embed(picture(), f"Steps: 1\n{text}", "webp")).text == f"Steps: 1\n{text}"


def test_a_comfyui_picture_saved_as_webp_is_recognised() -> None:
    graph = '{"1": {"class_type": "KSampler", "inputs": {"seed": 5, "steps": 4, "sampler_name": "euler"}}}'
    exif, out = Image.Exif(), io.BytesIO()
    exif[0x0110] = f"prompt:{graph}"
    picture().save(out, "WEBP", exif=exif)
    found = read_infotext(out.getvalue())
    assert found.source == "ComfyUI"
    assert found.text is not None
    assert "Seed: 5" in found.text


def test_a_fooocus_picture_saved_as_jpeg_is_recognised() -> None:
    exif, out = Image.Exif(), io.BytesIO()
    exif[0x9286] = '{"prompt": "a cat", "base_model": "x.safetensors", "seed": "3"}'
    exif[0x927C] = "fooocus"
    picture().save(out, "JPEG", exif=exif)
    found = read_infotext(out.getvalue())
    assert (found.source, found.text) == ("Fooocus", "a cat\nSeed: 3, Model: x")


def test_a_picture_of_our_own_is_said_to_be_one() -> None:
    text = "a cat\nSteps: 2, Sampler: Euler, Seed: 1, Version: easel-0.1.0"
    assert read_infotext(embed(picture(), text, "png")).source == "Easel"
    assert read_infotext(embed(picture(), text.replace("easel-0.1.0", "v1.10.1"), "png")).source == "A1111"

"""The text in a picture file: read from PNG, JPEG, WebP, AVIF and GIF, and written as A1111 writes it.

Reading never decodes pixels. EXIF is built by hand, since it is one entry: the UserComment in UTF-16 (Exif 2.3, 4.6.5).
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from PIL import Image, PngImagePlugin

from modules.core.errors import FieldProblem, InvalidRequest, StorageFailed
from modules.core.version import VERSION_PREFIX
from modules.imaging.foreign import FOOOCUS_KEY, read_foreign
from modules.imaging.infotext import PNG_CHUNK
from modules.imaging.parsing import Infotext, join_infotext, parse_infotext

FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "GIF")
JPEG_QUALITY = 80

_SAVED_AS = {"png": "PNG", "jpg": "JPEG", "jpeg": "JPEG", "webp": "WEBP", "avif": "AVIF", "gif": "GIF"}
_JPEG_MARK = b"Exif\0\0"
_LARGEST_EXIF = 65_533
"""Bytes that fit into one segment of a JPEG file."""
_EXIF_POINTER, _USER_COMMENT, _MAKER_NOTE = 0x8769, 0x9286, 0x927C
_MAKE, _MODEL = 0x010F, 0x0110
_CODES = {b"UNICODE\0": "", b"ASCII\0\0\0": "utf-8", b"JIS\0\0\0\0\0": "iso2022_jp", bytes(8): "utf-8"}
"""How a UserComment names its encoding, in its first eight bytes; for UTF-16 the byte order is to be found out."""
_NO_TEXTS = frozenset({
    "jfif", "jfif_version", "jfif_unit", "jfif_density", "dpi", "exif", "loop", "background", "timestamp", "duration",
    "progressive", "progression", "icc_profile", "chromaticity", "photoshop", "comment", "version", "extension",
    "gamma", "srgb", "transparency", "adobe", "adobe_transform", "mp", "mpoffset", "interlace", "aspect", "xmp",
})  # fmt: skip
_BROKEN = (
    OSError, ValueError, SyntaxError, EOFError, struct.error, zlib.error, KeyError, IndexError, TypeError,
    RuntimeError, OverflowError,
)  # fmt: skip
"""What Pillow raises for files that are cut off or made up."""


@dataclass(frozen=True, slots=True)
class PictureText:
    """What a picture says about how it was made.

    `text`: an infotext, that of another program already in A1111's form; None when there is none. `source`: the
    program, None when unknown. `items`: all texts of the file as they stand. `unmapped`: what of another program's
    data has no counterpart, in words. Sizes in pixels.
    """

    text: str | None
    source: str | None
    format: str
    width: int
    height: int
    items: Mapping[str, str] = field(default_factory=dict)
    unmapped: tuple[str, ...] = ()
    infotext: Infotext | None = None


def read_infotext(data: bytes) -> PictureText:
    """Return the texts of a picture file. Raises InvalidRequest for what is none, or too large to be opened."""
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
            kind, size, info = picture.format or "", picture.size, dict(picture.info)
    except Image.DecompressionBombError:
        limit = f"up to {2 * (Image.MAX_IMAGE_PIXELS or 0) // 1_000_000} million pixels"
        _refuse("a picture with too many pixels", limit)
    except _BROKEN as error:
        _refuse(f"{_described(data)} ({type(error).__name__})", "a whole picture as PNG, JPEG, WebP, AVIF or GIF")
    texts = _texts(info)
    foreign = read_foreign(texts, size)
    if foreign is not None:
        text = join_infotext(foreign.infotext)
        return PictureText(text, foreign.source, kind, *size, texts, foreign.unmapped, foreign.infotext)
    written = texts.get(PNG_CHUNK)
    if written is None:
        return PictureText(None, None, kind, *size, texts)
    infotext = parse_infotext(written)
    return PictureText(written, _writer_of(infotext), kind, *size, texts, (), infotext)


def _writer_of(infotext: Infotext) -> str | None:
    """Return which program wrote an infotext of A1111's form; None for a text without parameters."""
    if not infotext.pairs:
        return None
    return "Easel" if infotext.pairs.get("Version", "").startswith(VERSION_PREFIX) else "A1111"


def embed(
    picture: Image.Image, text: str | None, file_format: str, quality: int = JPEG_QUALITY, lossless: bool = False
) -> bytes:
    """Return the picture as a file with `text` where A1111 puts it.

    `quality`: 1 to 100, for JPEG, WebP and AVIF. `lossless`: for WebP, whatever the quality.
    Raises StorageFailed when the format is unknown or, for JPEG, the text too long.
    """
    kind = _SAVED_AS.get(file_format.lower())
    if kind is None:
        raise StorageFailed(f"Pictures cannot be saved as {file_format!r}; possible are {', '.join(_SAVED_AS)}.")
    out = io.BytesIO()
    if kind == "PNG":
        chunks = PngImagePlugin.PngInfo()
        if text is not None:
            chunks.add_text(PNG_CHUNK, text)
        picture.save(out, kind, pnginfo=chunks)
    elif kind == "GIF":
        picture.save(out, kind, **({} if text is None else {"comment": text.encode()}))
    else:
        exif = b"" if text is None else (_JPEG_MARK if kind == "JPEG" else b"") + user_comment_exif(text)
        if kind == "JPEG" and len(exif) > _LARGEST_EXIF:
            raise StorageFailed(f"A text of {len(text or '')} characters is too long for a JPEG file; PNG can hold it.")
        ready = picture.convert("RGB") if kind == "JPEG" and picture.mode not in ("RGB", "L") else picture
        ready.save(out, kind, quality=quality, exif=exif, **({"lossless": lossless} if kind == "WEBP" else {}))
    return out.getvalue()


def user_comment_exif(text: str) -> bytes:
    """Return an EXIF block, big-endian, whose only entry is a UserComment in UTF-16."""
    comment = b"UNICODE\0" + text.encode("utf-16-be", "replace")
    header = struct.pack(">2sHI", b"MM", 42, 8)
    first = struct.pack(">HHHIII", 1, _EXIF_POINTER, 4, 1, 26, 0)
    second = struct.pack(">HHHIII", 1, _USER_COMMENT, 7, len(comment), 44, 0)
    return header + first + second + comment


def _texts(info: Mapping[Any, Any]) -> dict[str, str]:
    """Return the texts of a file; that in EXIF, or else a comment, takes the place of the PNG's, as in A1111."""
    texts = {}
    for key, value in info.items():
        if str(key) not in _NO_TEXTS and isinstance(value, str | bytes):
            texts[str(key)] = value if isinstance(value, str) else value.decode("utf-8", "replace")
    comment = info.get("comment")
    if isinstance(info.get("exif"), bytes):
        texts |= _exif_texts(info["exif"])
    elif isinstance(comment, bytes | str) and comment:
        texts[PNG_CHUNK] = comment if isinstance(comment, str) else comment.decode("utf-8", "replace")
    return texts


def _exif_texts(block: bytes) -> dict[str, str]:
    """Return the texts of an EXIF block: A1111's and Fooocus's UserComment, ComfyUI's Make and Model."""
    exif = Image.Exif()
    try:
        exif.load(block)
        entries = {**exif, **exif.get_ifd(_EXIF_POINTER)}
    except _BROKEN:
        return {}
    texts = {}
    comment = _comment_text(entries.get(_USER_COMMENT))
    if comment:
        texts[PNG_CHUNK] = comment
    scheme = entries.get(_MAKER_NOTE)
    if scheme in ("fooocus", "a1111", b"fooocus", b"a1111"):
        texts[FOOOCUS_KEY] = scheme if isinstance(scheme, str) else scheme.decode()
    for tag in (_MAKE, _MODEL):
        key, colon, value = str(entries.get(tag, "")).partition(":")
        if colon and key in ("prompt", "workflow"):
            texts[key] = value
    return texts


def _comment_text(comment: object) -> str:
    if isinstance(comment, str):
        return comment.strip("\0")
    if not isinstance(comment, bytes):
        return ""
    encoding = _CODES.get(comment[:8])
    if encoding is None:
        return comment.decode("utf-8", "ignore").strip("\0")
    body = comment[8:]
    return body.decode(encoding or _utf16_order(body), "replace").strip("\0\ufeff")


def _utf16_order(body: bytes) -> str:
    """Return the encoding of a "UNICODE" comment: by its mark, or by where the zeros of Latin letters stand."""
    if body.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    high, low = body[::2].count(0), body[1::2].count(0)
    if high == low == 0:
        try:
            body.decode("utf-8")
        except UnicodeDecodeError:
            return "utf-16-be"
        return "utf-8"
    return "utf-16-le" if low > high else "utf-16-be"


def _described(data: bytes) -> str:
    return f"a file of {len(data)} bytes that begins with {data[:12]!r}" if data else "an empty file"


def _refuse(found: str, allowed: str) -> NoReturn:
    raise InvalidRequest([FieldProblem("image", "Image", found, allowed)])

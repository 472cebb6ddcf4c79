"""A model's preview picture from the web, saved beside the model as NAME.preview.png."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from modules.core.errors import DownloadFailed
from modules.library.downloads.web_client import WebClient
from modules.library.writing import write_whole

LARGEST_PICTURE = 24 * 1024 * 1024
"""Bytes."""
MOST_PIXELS = 40_000_000
LONGEST_SIDE = 768
"""Pixels of the preview that is kept."""
FORMATS = ("PNG", "JPEG", "WEBP")


def preview_path(model: Path) -> Path:
    """Return the place of a model's preview."""
    stem = model.name if model.is_dir() else model.stem
    return model.with_name(f"{stem}.preview.png")


def save_preview(url: str, model: Path, client: WebClient) -> None:
    """Fetch a picture and keep it, made smaller and without its metadata. Raises DownloadFailed, StorageFailed.

    A preview that is there already is left alone.
    """
    place = preview_path(model)
    if place.exists():
        return
    with client.open(url) as answer:
        if answer.status != 200:
            raise answer.refusal("the preview picture")
        content = answer.read(LARGEST_PICTURE)
    write_whole(place, _as_png(content))


def _as_png(content: bytes) -> bytes:
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as opened:
            if opened.width * opened.height > MOST_PIXELS:
                raise DownloadFailed(f"The preview picture is larger than {MOST_PIXELS:,} pixels.")
            picture = opened.convert("RGB")
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
        raise DownloadFailed("The preview picture cannot be read.") from error
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    written = io.BytesIO()
    picture.save(written, "PNG")
    return written.getvalue()

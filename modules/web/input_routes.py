"""The routes by which pictures and masks are handed in, and by which the page gets them back."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from PIL import Image
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from modules.core.errors import InvalidRequest
from modules.gallery.inputs import InputStore, open_picture
from modules.web.handover import read_body
from modules.web.pictures import FOREVER, MEDIA_TYPES

_ORIENTATION = 0x0112
"""The EXIF tag that says how a picture is turned."""
_LYING = range(5, 9)
"""Its values that swap width and height."""
_EXIF_KEYS = frozenset({"exif", "Raw profile type exif"})
_SHOWN: Mapping[str, str] = {kind.removeprefix("image/").upper(): kind for kind in MEDIA_TYPES.values()}
"""Media types by Pillow's name of the format; other formats are only ever offered as a download."""
_UNKNOWN = "application/octet-stream"


def make_input_router(inputs: InputStore) -> APIRouter:
    """Return the routes of pictures that users hand in."""
    router = APIRouter(prefix="/easel/inputs")

    @router.post("")
    async def keep(request: Request) -> dict[str, Any]:
        """Keep the picture that is the body, and return the id by which a request names it and its upright size."""
        return await run_in_threadpool(keep_picture, inputs, await read_body(request))

    @router.api_route("/{digest}", methods=["GET", "HEAD"])
    def content(digest: str) -> Response:
        """Serve a kept picture's file as it was handed in."""
        try:
            kept = inputs.content(digest)
        except InvalidRequest as error:
            raise HTTPException(404, "There is no such picture.") from error
        return Response(kept, media_type=media_type(kept), headers={"cache-control": FOREVER})

    return router


def keep_picture(inputs: InputStore, content: bytes) -> dict[str, Any]:
    """Keep a picture's file and describe it. Raises InvalidRequest for what is no picture."""
    digest = inputs.keep(content)
    with open_picture(content, "image") as picture:
        width, height = picture.size
        if _lies(picture):
            width, height = height, width
    return {"id": digest, "width": width, "height": height}


def _lies(picture: Image.Image) -> bool:
    # For a PNG that tells nothing of itself before its pixels, Pillow would decode all of them to look behind them.
    if picture.format == "PNG" and not _EXIF_KEYS & picture.info.keys():
        return False
    return picture.getexif().get(_ORIENTATION) in _LYING


def media_type(content: bytes) -> str:
    """Return what a picture's bytes are, whatever they were called when they came; never a type that runs scripts."""
    try:
        with Image.open(io.BytesIO(content)) as picture:
            return _SHOWN.get(picture.format or "", _UNKNOWN)
    except (OSError, ValueError):
        return _UNKNOWN

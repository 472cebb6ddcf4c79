"""The route behind PNG Info: what a picture that is handed in says of itself."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool

from modules.core.errors import InvalidRequest
from modules.imaging.metadata import read_infotext
from modules.web.forms import PASTED_FIELDS
from modules.web.handover import read_body
from modules.web.pasting import Paster
from modules.web.services import WebServices


def make_picture_info_router(services: WebServices) -> APIRouter:
    """Return the route of PNG Info."""
    router = APIRouter(prefix="/easel")

    @router.post("/png-info")
    async def picture_info(request: Request) -> dict[str, Any]:
        """Read the picture that is the body, keep it, and return what it says and what that becomes on the form."""
        return await run_in_threadpool(describe_picture, await read_body(request), services)

    return router


def describe_picture(content: bytes, services: WebServices) -> dict[str, Any]:
    """Return what a picture's file says; from then on the picture is kept.

    One that is damaged is not, but still tells of itself what can be read. Raises InvalidRequest when that is nothing.
    """
    found = read_infotext(content)
    digest, problem = "", ""
    try:
        digest = services.inputs.keep(content)
    except InvalidRequest as error:
        if found.text is None:
            raise
        problem = str(error)
    pasted = None
    if found.infotext is not None:
        pasted = Paster(services).paste_infotext(found.infotext, PASTED_FIELDS).message()
    return {
        "text": found.text,
        "source": found.source,
        "format": found.format,
        "width": found.width,
        "height": found.height,
        "items": dict(found.items),
        "unmapped": list(found.unmapped),
        "digest": digest,
        "problem": problem,
        "pasted": pasted,
    }

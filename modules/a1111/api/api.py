"""A1111's modules.api.api: pictures as texts and back, and names held against lists."""

from __future__ import annotations

import base64
import io
from typing import Any

from fastapi.exceptions import HTTPException
from PIL import Image

from modules.a1111 import images, sd_samplers, shared
from modules.a1111.shared_options import options
from modules.core.errors import EaselError
from modules.imaging.metadata import embed
from modules.imaging.opening import BROKEN, open_file

_NOT_FOUND, _BAD = 404, 500


def decode_base64_to_image(encoding: str) -> Image.Image:
    """Return the picture of a base64 text, with or without "data:…," before it. Raises HTTPException.

    Addresses of the web are refused: what is fetched from there could be anything inside the user's own network.
    """
    if encoding.startswith(("http://", "https://")):
        raise HTTPException(status_code=_BAD, detail="Pictures are not fetched from addresses.")
    text = encoding.split(",", 1)[1] if encoding.startswith("data:") else encoding
    try:
        picture = open_file(base64.b64decode(text))
        picture.load()
    except (ValueError, *BROKEN) as error:
        raise HTTPException(status_code=_BAD, detail="Invalid encoded image") from error
    return picture


def encode_pil_to_base64(image: Any) -> bytes:
    """Return a picture as a base64 text, in the format that the option names, with its infotext."""
    if isinstance(image, str):
        return image.encode()
    file_format = str(options().samples_format)
    text = image.info.get("parameters")
    try:
        content = embed(image, text, file_format)
    except EaselError:
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        content = buffer.getvalue()
    return base64.b64encode(content)


def verify_url(url: str) -> bool:
    """Say no: nothing is fetched from addresses that others name."""
    return False


def script_name_to_index(name: str, scripts: Any) -> int:
    """Return a script's place in a list by its title. Raises HTTPException."""
    titles = [str(script.title()).lower() for script in scripts]
    if name.lower() not in titles:
        raise HTTPException(status_code=422, detail=f"Script '{name}' not found")
    return titles.index(name.lower())


def validate_sampler_name(name: str) -> str:
    """Return the name of a sampler that there is. Raises HTTPException."""
    if name not in sd_samplers.all_samplers_map:
        raise HTTPException(status_code=_NOT_FOUND, detail="Sampler not found")
    return name


def setUpscalers(req: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 (A1111's name)
    """Return a request of the Extras tab with the names of its upscalers under another key."""
    given = dict(req)
    given["extras_upscaler_1"] = given.pop("upscaler_1", None)
    given["extras_upscaler_2"] = given.pop("upscaler_2", None)
    return given


def api_middleware(app: Any) -> None:
    """Do nothing: Easel's own application has its middleware."""


def infotext_of(image: Image.Image) -> str | None:
    """Return a picture's infotext."""
    return images.read_info_from_image(image)[0]


def upscaler_names() -> list[str]:
    """Return the names of the upscalers."""
    return [upscaler.name for upscaler in shared.sd_upscalers]

"""A1111's modules.api.api: pictures as texts and back, and names held against lists."""

from __future__ import annotations

import base64
import io
from typing import Any

from fastapi.exceptions import HTTPException
from PIL import Image

from modules.a1111 import images, processing, scripts, sd_samplers, shared
from modules.a1111.api.models import ImageToImageResponse, TextToImageResponse
from modules.a1111.shared_options import options
from modules.core.errors import EaselError
from modules.imaging.metadata import embed
from modules.imaging.opening import BROKEN, open_file

_NOT_FOUND, _BAD, _UNUSABLE = 404, 500, 422


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
        raise HTTPException(status_code=_UNUSABLE, detail=f"Script '{name}' not found")
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


class Api:
    """A1111's API as an object, whose methods extensions call instead of its addresses."""

    def __init__(self, app: Any, queue_lock: Any) -> None:
        """Take the application and the lock; nothing is added to the application, which has all routes already."""
        self.app = app
        self.queue_lock = queue_lock

    def text2imgapi(self, txt2imgreq: Any) -> TextToImageResponse:
        """Make pictures of a request's prompt."""
        return TextToImageResponse(**self._made(txt2imgreq, processing.StableDiffusionProcessingTxt2Img))

    def img2imgapi(self, img2imgreq: Any) -> ImageToImageResponse:
        """Make pictures over those of a request. Raises HTTPException when it has none."""
        if not img2imgreq.init_images:
            raise HTTPException(status_code=_NOT_FOUND, detail="Init image not found")
        return ImageToImageResponse(**self._made(img2imgreq, processing.StableDiffusionProcessingImg2Img))

    def _made(self, request: Any, kind: type) -> dict[str, Any]:
        """Return what A1111 answers: pictures as base64 texts, the request, and facts as JSON."""
        given = request.model_dump()
        p = kind(**{name: value for name, value in given.items() if name in kind.__dataclass_fields__})
        if given.get("init_images"):
            p.init_images = [decode_base64_to_image(each) for each in given["init_images"]]
            p.image_mask = decode_base64_to_image(given["mask"]) if given.get("mask") else None
        p.do_not_save_samples = not given.get("save_images")
        p.sampler_name = p.sampler_name or given.get("sampler_index")
        runner = scripts.scripts_img2img if given.get("init_images") else scripts.scripts_txt2img
        p.scripts, p.script_args = runner, _script_arguments(runner, given)
        processed = runner.run(p, *p.script_args) or processing.process_images(p)
        pictures = list(map(encode_pil_to_base64, processed.images)) if given.get("send_images", True) else []
        return {"images": [each.decode() for each in pictures], "parameters": given, "info": processed.js()}


def _script_arguments(runner: Any, given: dict[str, Any]) -> list[Any]:
    """Return the scripts' arguments for what a request names. Raises HTTPException for a script that is not there."""
    arguments = runner.default_arguments()
    asked = {name: values.get("args", ()) for name, values in (given.get("alwayson_scripts") or {}).items()}
    if given.get("script_name"):
        arguments[0] = script_name_to_index(given["script_name"], runner.selectable_scripts) + 1
        asked[given["script_name"]] = given.get("script_args") or ()
    for name, values in asked.items():
        script = runner.script(name)
        if script is None or script.args_from is None:
            raise HTTPException(status_code=_UNUSABLE, detail=f"Script '{name}' not found")
        for place, value in zip(range(script.args_from, script.args_to), values, strict=False):
            arguments[place] = value
    return arguments

"""A1111's modules.api.models: the bodies of its API as pydantic models, from `p`'s fields."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any, Literal, Optional

from pydantic import BaseModel, ConfigDict, Field, create_model

from modules.a1111._processing import StableDiffusionProcessingImg2Img, StableDiffusionProcessingTxt2Img
from modules.a1111.shared_options import options

__all__ = [
    "Any", "BaseModel", "ExtrasBaseRequest", "Field", "FileData", "ImageToImageResponse", "InterrogateRequest",
    "InterrogateResponse", "Literal", "Optional", "PNGInfoRequest", "PNGInfoResponse", "PydanticModelGenerator",
    "SamplerItem", "StableDiffusionImg2ImgProcessingAPI", "StableDiffusionTxt2ImgProcessingAPI", "TextToImageResponse",
    "create_model",
]  # fmt: skip
API_NOT_ALLOWED = ("self", "kwargs", "sd_model", "outpath_samples", "outpath_grids", "sampler_index",
                   "extra_generation_params", "overlay_images", "do_not_reload_embeddings", "seed_enable_extras",
                   "prompt_for_display", "sampler_noise_scheduler_override", "ddim_discretize")  # fmt: skip
_COMMON: tuple[tuple[str, Any, Any], ...] = (
    ("sampler_index", str, "Euler"), ("script_name", str | None, None), ("script_args", list[Any], []),
    ("send_images", bool, True), ("save_images", bool, False), ("alwayson_scripts", dict[str, Any], {}),
    ("force_task_id", str | None, None), ("infotext", str | None, None),
)  # fmt: skip


def __getattr__(name: str) -> Any:
    """Return the options, which star imports expect here."""
    if name == "opts":
        return options()
    raise AttributeError(name)


class PydanticModelGenerator:
    """Makes a model of a class of `p`'s kind, and of further fields: {"key", "type", "default"}."""

    def __init__(self, model_name: str = "", class_instance: Any = None, additional_fields: Any = None) -> None:
        self._name = model_name
        self._fields: dict[str, Any] = {}
        for each in fields(class_instance):
            if each.init and each.name not in API_NOT_ALLOWED:
                default = each.default if each.default is not MISSING else None
                self._fields[each.name] = (Any, default)
        for given in additional_fields or ():
            self._fields[given["key"]] = (given["type"], given["default"])

    def generate_model(self) -> type[BaseModel]:
        """Return the model."""
        config = ConfigDict(populate_by_name=True, arbitrary_types_allowed=True, extra="allow")
        return create_model(self._name, __config__=config, **self._fields)


def _additional(*more: tuple[str, Any, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "type": kind, "default": default} for key, kind, default in (*_COMMON, *more)]


StableDiffusionTxt2ImgProcessingAPI: type[BaseModel] = PydanticModelGenerator(
    "StableDiffusionProcessingTxt2Img", StableDiffusionProcessingTxt2Img, _additional()
).generate_model()
StableDiffusionImg2ImgProcessingAPI: type[BaseModel] = PydanticModelGenerator(
    "StableDiffusionProcessingImg2Img",
    StableDiffusionProcessingImg2Img,
    _additional(
        ("init_images", list[Any] | None, None), ("denoising_strength", float, 0.75), ("mask", str | None, None),
        ("include_init_images", bool, False),
    ),
).generate_model()  # fmt: skip


class TextToImageResponse(BaseModel):
    """What txt2img answers."""

    images: list[str] | None = Field(default=None, title="Image")
    parameters: dict[str, Any]
    info: str


class ImageToImageResponse(BaseModel):
    """What img2img answers."""

    images: list[str] | None = Field(default=None, title="Image")
    parameters: dict[str, Any]
    info: str


class FileData(BaseModel):
    """A file of a batch."""

    data: str
    name: str


class InterrogateRequest(BaseModel):
    """Asks what a picture shows."""

    image: str = ""
    model: str = "clip"


class InterrogateResponse(BaseModel):
    """Says what a picture shows."""

    caption: str = ""


class PNGInfoRequest(BaseModel):
    """Asks for a picture's infotext."""

    image: str


class PNGInfoResponse(BaseModel):
    """Gives a picture's infotext."""

    info: str
    items: dict[str, Any]
    parameters: dict[str, Any]


class ExtrasBaseRequest(BaseModel):
    """Asks for a larger picture."""

    resize_mode: Literal[0, 1] = 0
    show_extras_results: bool = True
    upscaling_resize: float = 2
    upscaler_1: str = "None"
    upscaler_2: str = "None"


class SamplerItem(BaseModel):
    """A sampler."""

    name: str
    aliases: list[str]
    options: dict[str, Any]

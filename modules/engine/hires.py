"""From the pictures of a first pass to the latents that the second pass of hires fix begins with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from modules.core.errors import FieldProblem, InvalidRequest
from modules.core.parameters import PARAMETERS
from modules.core.request import GenerationRequest
from modules.engine.families import ModelBundle
from modules.engine.latents import decode, encode
from modules.hooks.spec import Enlarge, Enlarging
from modules.imaging.resize import LATENT_UPSCALERS, NO_UPSCALER, PIXEL_UPSCALERS, UPSCALERS, upscaled


@dataclass(frozen=True, slots=True)
class HiresGeometry:
    """How large a first pass is made, in pixels, and how many latents are then cut off, half on either side."""

    width: int
    height: int
    cut_columns: int = 0
    cut_rows: int = 0

    @classmethod
    def of(cls, request: GenerationRequest, factor: int) -> Self:
        """Return the geometry of a request; with both sides given the picture covers them and what is over is cut."""
        width, height = request.hires_size()
        if not (request.hr_resize_x and request.hr_resize_y):
            return cls(width, height)
        if request.width / request.height < width / height:
            covering = width, width * request.height // request.width
        else:
            covering = height * request.width // request.height, height
        return cls(*covering, (covering[0] - width) // factor, (covering[1] - height) // factor)


def enlarged(asked: Enlarging, field: str = "hr_upscaler") -> Image.Image:
    """Return a picture as Easel's own upscalers enlarge it. Raises InvalidRequest, for `field`, for an unknown one."""
    if asked.upscaler not in PIXEL_UPSCALERS:
        known = UPSCALERS if field == "hr_upscaler" else PIXEL_UPSCALERS
        problem = FieldProblem(field, PARAMETERS[field].label, asked.upscaler, f"one of {', '.join(known)}")
        raise InvalidRequest([problem])
    return upscaled(asked.picture, asked.width, asked.height, asked.upscaler)


def enlarged_latents(
    bundle: ModelBundle, latents: Tensor, request: GenerationRequest, enlarge: Enlarge = enlarged
) -> Tensor:
    """Return the first pass's latents, (batch, channels, rows, columns), in the size of the second pass."""
    factor = bundle.family.vae_factor
    geometry = HiresGeometry.of(request, factor)
    if request.hr_upscaler in LATENT_UPSCALERS:
        mode, antialias = LATENT_UPSCALERS[request.hr_upscaler]
        size = geometry.height // factor, geometry.width // factor
        larger = F.interpolate(latents, size=size, mode=mode, antialias=antialias)
    else:
        pictures = [decode(bundle, latents[place : place + 1]) for place in range(len(latents))]
        larger = enlarged_pictures(bundle, pictures, request, enlarge)
    return _cropped(larger, geometry)


def latents_of_picture(
    bundle: ModelBundle, picture: Image.Image, request: GenerationRequest, enlarge: Enlarge = enlarged
) -> Tensor:
    """Return what the second pass begins with when a finished picture takes the place of the first."""
    if request.hr_upscaler in LATENT_UPSCALERS:
        return enlarged_latents(bundle, encode(bundle, picture), request, enlarge)
    geometry = HiresGeometry.of(request, bundle.family.vae_factor)
    return _cropped(enlarged_pictures(bundle, [picture], request, enlarge), geometry)


def enlarged_pictures(
    bundle: ModelBundle, pictures: list[Image.Image], request: GenerationRequest, enlarge: Enlarge
) -> Tensor:
    """Return the latents of pictures that were enlarged by the request's upscaler."""
    geometry = HiresGeometry.of(request, bundle.family.vae_factor)
    size = geometry.width, geometry.height
    larger = (enlarge(Enlarging(picture, *size, request.hr_upscaler)).convert("RGB") for picture in pictures)
    return torch.cat([encode(bundle, upscaled(picture, *size, NO_UPSCALER)) for picture in larger])


def _cropped(latents: Tensor, geometry: HiresGeometry) -> Tensor:
    rows, columns = latents.shape[-2:]
    top, left = geometry.cut_rows // 2, geometry.cut_columns // 2
    bottom, right = rows - (geometry.cut_rows + 1) // 2, columns - (geometry.cut_columns + 1) // 2
    return latents[:, :, top:bottom, left:right]

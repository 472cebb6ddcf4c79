"""What U-Nets are told besides prompt and noise level: sizes and scores (SDXL), a masked picture, depth."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from modules.core.request import GenerationRequest
from modules.engine.depth import depth_channel
from modules.engine.families import ModelBundle
from modules.engine.latents import encode, encode_pixels, pixels_of
from modules.engine.models import LoadedModel
from modules.engine.plan import SamplingPass
from modules.engine.source import Source
from modules.engine.text import EncodedPrompt
from modules.library.identify import BASE, DEPTH, INPAINTING, PIX2PIX, SDXL_REFINER_FAMILY


def told_sizes(
    encoded: EncodedPrompt, bundle: ModelBundle, request: GenerationRequest, which: SamplingPass, negative: bool
) -> EncodedPrompt:
    """Return the prompt with the numbers that SDXL's U-Nets were trained to be told (Podell et al. 2023,
    arXiv:2307.01952, section 2.2): the picture's size, where it was cropped, and its size or an aesthetic score.

    An empty negative prompt is told as zeros, as in A1111. Other families get the prompt as it is.
    """
    if not bundle.family.size_numbers:
        return encoded
    size = [which.height, which.width]
    numbers: list[float] = [*size, request.sdxl_crop_top, request.sdxl_crop_left]
    if bundle.family.name == SDXL_REFINER_FAMILY:
        numbers.append(request.aesthetic_low if negative else request.aesthetic_high)
    else:
        numbers += size
    told = torch.tensor(numbers, device=bundle.plan.device, dtype=bundle.plan.dtype)
    nothing = negative and all(stage.empty for stage in encoded.stages)
    return (encoded.without_text() if nothing else encoded).with_sizes(told)


def extra_channels(
    loaded: LoadedModel, which: SamplingPass, source: Source | None, request: GenerationRequest
) -> Tensor | None:
    """Return what a U-Net of more than four channels is given besides the latents: (1, channels, rows, columns).

    For inpainting the mask, and the latents of the picture without what is below it (the request's `mask_weight` says
    how much of that is taken away); where there is no picture, a mask of ones and a grey one, so that all is new. For
    pix2pix the picture's latents, not scaled. For depth models the picture's depth, that which was handed in or else
    estimated, as in Stability's depth-to-image. For what is left zeros: where there is no picture, all is equally far.

    Raises ModelUnavailable where depth is to be estimated and no network for that is there.
    """
    bundle = loaded.bundle
    if bundle.entry.variant == BASE:
        return None
    channels = int(bundle.unet.config.in_channels) - bundle.family.latent_channels
    _, rows, columns = bundle.latent_shape(which.width, which.height)
    extra = torch.zeros(1, channels, rows, columns, device=bundle.plan.device)
    if bundle.entry.variant == INPAINTING:
        # Grey is 0 in the VAE's range.
        pixels, mask = torch.zeros(1, 3, which.height, which.width), torch.ones(1, 1, which.height, which.width)
        if source is not None:
            pixels = pixels_of(source.picture)
            everything = torch.ones(1, 1, *pixels.shape[-2:])
            mask = everything if source.mask is None else _shades(source.mask, request.mask_round)
            pixels = torch.lerp(pixels, pixels * (1 - mask), request.mask_weight)
        extra[:, :1] = F.interpolate(mask, size=(rows, columns))
        extra[:, 1:] = _at_size(encode_pixels(bundle, pixels), rows, columns)
    elif bundle.entry.variant == PIX2PIX and source is not None:
        extra[:] = _at_size(encode(bundle, source.picture) / bundle.latent_scale, rows, columns)
    elif bundle.entry.variant == DEPTH and source is not None:
        seen = loaded.depth.nearness(source.picture) if source.depth is None else _shades(source.depth, rounded=False)
        extra[:] = depth_channel(seen, rows, columns)
    return extra


def _shades(mask: Image.Image, rounded: bool) -> Tensor:
    """Return a grey picture as (1, 1, height, width) from 0 to 1, of zeros and ones if `rounded`."""
    shades = torch.from_numpy(np.asarray(mask, dtype=np.float32) / 255).view(1, 1, mask.height, mask.width)
    return shades.round() if rounded else shades


def _at_size(latents: Tensor, rows: int, columns: int) -> Tensor:
    """Return latents of a picture that is resized only as latents in the size that is worked in."""
    return (
        latents if latents.shape[-2:] == (rows, columns) else F.interpolate(latents, (rows, columns), mode="bilinear")
    )

"""What U-Nets are told besides prompt and noise level: sizes and scores (SDXL), a masked picture (inpainting)."""

from __future__ import annotations

import torch
from torch import Tensor

from modules.core.request import GenerationRequest
from modules.engine.families import ModelBundle
from modules.engine.latents import encode_pixels
from modules.engine.plan import SamplingPass
from modules.engine.text import EncodedPrompt
from modules.library.identify import BASE, INPAINTING, SDXL_REFINER_FAMILY


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


def extra_channels(bundle: ModelBundle, which: SamplingPass) -> Tensor | None:
    """Return what a U-Net of more than four channels is given where there is no picture to start from.

    (1, channels, rows, columns): for inpainting a mask of ones and the latents of a grey picture, so that all is new;
    for the others zeros.
    """
    if bundle.entry.variant == BASE:
        return None
    channels = int(bundle.unet.config.in_channels) - bundle.family.latent_channels
    _, rows, columns = bundle.latent_shape(which.width, which.height)
    extra = torch.zeros(1, channels, rows, columns, device=bundle.plan.device)
    if bundle.entry.variant == INPAINTING:
        # Grey is 0 in the VAE's range.
        extra[:, :1] = 1
        extra[:, 1:] = encode_pixels(bundle, torch.zeros(1, 3, which.height, which.width))
    return extra

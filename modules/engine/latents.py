"""Between latents and pixels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from modules.core.errors import EaselError
from modules.engine.families import ModelBundle
from modules.engine.strips import StripVae


def decode(bundle: ModelBundle, latents: Tensor) -> Image.Image:
    """Return the 8-bit RGB picture of `latents`: (1, channels, height/8, width/8), scaled by the VAE factor.

    One picture at a time, so that its bytes do not depend on the batch that it was made in. 8-bit values are cut, not
    rounded, as A1111 does it. Raises EaselError when the model gives no numbers.
    """
    scaled = latents / bundle.latent_scale
    pixels = _without_overflow(bundle, lambda: _decoded(bundle, scaled))
    if pixels.isnan().any():
        raise EaselError("The model's numbers overflowed and gave no picture. Start with --no-half.")
    unit = ((pixels[0] + 1) / 2).clamp(0, 1)
    array = (255 * unit.permute(1, 2, 0).cpu().numpy()).astype(np.uint8)
    return Image.fromarray(array, "RGB")


def encode(bundle: ModelBundle, picture: Image.Image) -> Tensor:
    """Return the latents of an RGB picture: (1, channels, height/8, width/8), scaled by the VAE factor, float32.

    The mean of the VAE's distribution is taken, so that the same picture always has the same latents. What is over at
    sides that are no multiple of the factor is left out by the VAE's own convolutions.
    """
    return encode_pixels(bundle, pixels_of(picture))


def pixels_of(picture: Image.Image) -> Tensor:
    """Return an RGB picture as (1, 3, height, width), -1 to 1."""
    array = np.asarray(picture.convert("RGB"), dtype=np.float32)
    return torch.from_numpy(array / 255 * 2 - 1).permute(2, 0, 1).unsqueeze(0)


def encode_pixels(bundle: ModelBundle, pixels: Tensor) -> Tensor:
    """Return the latents, as `encode` does, of pixels in -1 to 1: (1, 3, height, width)."""
    return _without_overflow(bundle, lambda: _encoded(bundle, pixels)) * bundle.latent_scale


def _without_overflow(bundle: ModelBundle, work: Callable[[], Tensor]) -> Tensor:
    """Return what the VAE gives; where that is no numbers in half precision, in full precision."""
    found = work()
    if found.isnan().any() and bundle.vae.dtype != torch.float32:
        bundle.relief.say("The VAE overflowed in half precision; it works in full precision from now on.")
        bundle.vae.to(torch.float32)
        found = work()
    return found


def _encoded(bundle: ModelBundle, pixels: Tensor) -> Tensor:
    """Return the mean of the VAE's distribution: (1, channels, height/8, width/8), on the device, in float32."""
    vae = bundle.vae

    def encode_now() -> Tensor:
        inside = pixels.to(device=vae.device, dtype=vae.dtype)
        if bundle.relief.in_strips:
            return StripVae(vae).encode(inside).chunk(2, dim=1)[0]
        mean: Tensor = vae.encode(inside).latent_dist.mean
        return mean

    return bundle.relief.transform(vae, encode_now).to(bundle.plan.device, torch.float32)


def _decoded(bundle: ModelBundle, scaled: Tensor) -> Tensor:
    """Return (1, 3, height, width), -1 to 1, on the device, in float32."""
    vae = bundle.vae

    def decode_now() -> Tensor:
        inside = scaled.to(device=vae.device, dtype=vae.dtype)
        if bundle.relief.in_strips:
            return StripVae(vae).decode(inside)
        decoded: Tensor = vae.decode(inside, return_dict=False)[0]
        return decoded

    return bundle.relief.transform(vae, decode_now).to(bundle.plan.device, torch.float32)

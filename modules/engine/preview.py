"""A small look at latents: by one linear map per latent pixel, by a tiny decoder, or by the VAE itself."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderTiny
from PIL import Image
from safetensors import SafetensorError
from torch import Tensor

from modules.core.errors import EaselError, ModelUnavailable
from modules.engine.families import Family, ModelBundle
from modules.engine.latents import decode
from modules.engine.weights import read_tensors

CHEAP, TINY, FULL = "Approx cheap", "TAESD", "Full"
TINY_STEM = {False: "taesd_decoder", True: "taesdxl_decoder"}
"""The tiny decoder's file without its ending, for SD 1.x and 2.x and for SDXL (github.com/madebyollin/taesd)."""
_ENDINGS = (".safetensors", ".pth", ".pt")

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Previewer:
    """Makes previews of the kind that is asked for; a tiny decoder that is not there gives way to the linear map."""

    folders: Sequence[Path] = ()
    _decoders: dict[bool, AutoencoderTiny | None] = field(default_factory=dict)

    def show(self, bundle: ModelBundle, latents: Tensor, kind: str) -> Image.Image:
        """Return the batch as one 8-bit RGB grid; `latents`: (batch, channels, rows, columns)."""
        if kind == FULL:
            try:
                return grid([decode(bundle, latents[place : place + 1]) for place in range(len(latents))])
            except EaselError as error:
                # What cannot be shown now may well be a picture in the end.
                logger.debug("No full preview: %s", error)
        tiny = self._tiny(bundle.family.aligned_xl) if kind == TINY else None
        if tiny is None:
            return grid(list(linear_pictures(bundle.family, latents)))
        tiny.to(device=latents.device, dtype=latents.dtype)
        with torch.inference_mode():
            pixels = tiny.decode(latents, return_dict=False)[0]
        return grid(_pictures((pixels.float().clamp(-1, 1) + 1) * 127.5))

    def _tiny(self, xl: bool) -> AutoencoderTiny | None:
        """Return the tiny decoder of a family, None when its file is not there or broken, which is said once."""
        if xl not in self._decoders:
            self._decoders[xl] = None
            path = self._file(TINY_STEM[xl])
            if path is None:
                places = ", ".join(str(folder) for folder in self.folders)
                logger.warning("For previews by TAESD put %s.safetensors into one of %s.", TINY_STEM[xl], places)
            else:
                try:
                    self._decoders[xl] = load_tiny_decoder(path)
                except ModelUnavailable as error:
                    logger.warning("%s", error)
        return self._decoders[xl]

    def _file(self, stem: str) -> Path | None:
        places = (folder / (stem + ending) for folder in self.folders for ending in _ENDINGS)
        return next((path for path in places if path.is_file()), None)


def load_tiny_decoder(path: Path) -> AutoencoderTiny:
    """Return the decoder of a TAESD file, in either layout. Raises ModelUnavailable."""
    try:
        tensors = read_tensors(path)
        named = {name if name.startswith("decoder.") else _tiny_name(name): it for name, it in tensors.items()}
        decoder = AutoencoderTiny()
        missing, _ = decoder.load_state_dict(named, strict=False)
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise ModelUnavailable(f"The preview decoder {path.name} cannot be used: {error}.") from error
    if any(name.startswith("decoder.") for name in missing):
        raise ModelUnavailable(f"The preview decoder {path.name} cannot be used: it is none of TAESD's decoders.")
    return decoder.requires_grad_(False).eval()


def linear_pictures(family: Family, latents: Tensor) -> Sequence[Image.Image]:
    """Return each latent pixel's colour by the family's linear map, one pixel per latent pixel.

    The map was fitted to Stable Diffusion's VAE: https://discuss.huggingface.co/t/decoding-latents-to-rgb/23204
    """
    factors = torch.tensor(family.latent_to_rgb, device=latents.device, dtype=torch.float32)
    rgb = torch.einsum("bchw,cr->brhw", latents.float(), factors)
    return _pictures((rgb.clamp(-1, 1) + 1) * 127.5)


def grid(pictures: Sequence[Image.Image]) -> Image.Image:
    """Return pictures of one size laid out in rows, as near to a square as may be."""
    columns = math.ceil(math.sqrt(len(pictures)))
    width, height = pictures[0].size
    whole = Image.new("RGB", (columns * width, math.ceil(len(pictures) / columns) * height))
    for index, picture in enumerate(pictures):
        row, column = divmod(index, columns)
        whole.paste(picture, (column * width, row * height))
    return whole


def _pictures(pixels: Tensor) -> list[Image.Image]:
    """Return pictures from (batch, 3, height, width), 0 to 255."""
    tiles = pixels.permute(0, 2, 3, 1).to(torch.uint8).cpu().numpy()
    return [Image.fromarray(np.ascontiguousarray(tile), "RGB") for tile in tiles]


def _tiny_name(name: str) -> str:
    """Return diffusers' name: its decoder's layers are counted without the clamp that comes first."""
    number, _, rest = name.partition(".")
    return f"decoder.layers.{int(number) - 1}.{rest}"

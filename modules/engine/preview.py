"""A cheap look at latents: one linear map per latent pixel instead of the VAE."""

from __future__ import annotations

import math

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from modules.engine.families import Family


def preview(family: Family, latents: Tensor) -> Image.Image:
    """Return the batch as one 8-bit RGB grid, one pixel per latent pixel; `latents`: (batch, channels, rows, columns).

    The map was fitted to Stable Diffusion's VAE: https://discuss.huggingface.co/t/decoding-latents-to-rgb/23204
    """
    factors = torch.tensor(family.latent_to_rgb, device=latents.device, dtype=torch.float32)
    rgb = torch.einsum("bchw,cr->bhwr", latents.float(), factors)
    tiles = ((rgb.clamp(-1, 1) + 1) * 127.5).to(torch.uint8).cpu().numpy()
    count, height, width, _ = tiles.shape
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    grid = np.zeros((rows * height, columns * width, 3), np.uint8)
    for index, tile in enumerate(tiles):
        row, column = divmod(index, columns)
        grid[row * height : (row + 1) * height, column * width : (column + 1) * width] = tile
    return Image.fromarray(grid, "RGB")

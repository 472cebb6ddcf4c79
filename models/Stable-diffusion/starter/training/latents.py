"""The training pictures as latents, computed once: the U-Net never sees a pixel."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from training.loop import load_state, save_atomically
from training.rendering import Pixels
from training.scenes import Scene, draw

LOG = logging.getLogger("starter")
BATCH = 16


def to_tensor(pictures: Sequence[Pixels]) -> Tensor:
    """(h, w, 3) pictures in 0..1 to (n, 3, h, w) in -1..1."""
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous() * 2 - 1


def to_pictures(images: Tensor) -> list[Pixels]:
    """The reverse, clipped to 0..1."""
    return list(((images.float().clamp(-1, 1) + 1) / 2).permute(0, 2, 3, 1).cpu().numpy())


@torch.no_grad()
def encode_pictures(vae: AutoencoderKL, pictures: Sequence[Pixels]) -> Tensor:
    """Latents of unit variance, (n, 4, h/8, w/8), without the posterior's noise."""
    images = to_tensor(pictures).to(vae.device)
    latents: Tensor = vae.encode(images).latent_dist.mean * vae.config.scaling_factor
    return latents.cpu().contiguous()


@torch.no_grad()
def decode_latents(vae: AutoencoderKL, latents: Tensor) -> list[Pixels]:
    """Latents of unit variance to pictures in 0..1."""
    return to_pictures(vae.decode(latents.to(vae.device) / vae.config.scaling_factor).sample)


def latents_of(vae: AutoencoderKL, scenes: Sequence[Scene], glyphs: tuple[Pixels, ...], cache: Path) -> Tensor:
    """Every scene's latent, (n, 4, 16, 16); read from the cache file where it is of the same scenes."""
    fingerprint = hashlib.sha256(repr(scenes).encode()).hexdigest()
    if cache.is_file():
        cached = load_state(cache)
        if cached["scenes"] == fingerprint:
            kept: Tensor = cached["latents"]
            return kept
    parts = []
    for start in range(0, len(scenes), BATCH):
        parts.append(encode_pictures(vae, [draw(scene, glyphs) for scene in scenes[start : start + BATCH]]))
        if start % (BATCH * 64) == 0:
            LOG.info("latents: %d of %d", start, len(scenes))
    latents = torch.cat(parts)
    save_atomically({"latents": latents, "scenes": fingerprint}, cache)
    return latents

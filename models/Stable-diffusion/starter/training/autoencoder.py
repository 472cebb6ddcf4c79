"""Training of the autoencoder, and of its decoder alone once the latents are settled."""

from __future__ import annotations

import random
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from torch import Tensor

from training.latents import to_tensor
from training.loop import Draw
from training.rendering import SIDE, Pixels, draw_glyph
from training.scenes import Scene, draw, loose_picture
from training.subjects import COLOURS

# SD1's well-known linear guess from a latent to its colour. Tied softly to it, our latents give previews made for SD1.
TO_RGB = torch.tensor([[0.298, 0.207, 0.208], [0.187, 0.286, 0.173], [-0.158, 0.189, 0.264], [-0.184, -0.271, -0.473]])
OTHER_BLOCKS = ((0x1F300, 0x1F650), (0x1F680, 0x1F6FF), (0x1F900, 0x1FAFF))


def other_glyphs(known: Sequence[str], most: int = 500) -> tuple[Pixels, ...]:
    """Glyphs beside the known ones, so that the autoencoder is good for more than the training set."""
    candidates = [chr(code) for low, high in OTHER_BLOCKS for code in range(low, high) if chr(code) not in known]
    random.Random("other glyphs").shuffle(candidates)
    drawn = (draw_glyph(character) for character in candidates[: most * 2])
    return tuple(glyph for glyph in drawn if glyph is not None)[:most]


class PicturePool:
    """Pictures drawn once and kept as bytes: (n, 3, SIDE, SIDE) uint8."""

    def __init__(
        self, scenes: Sequence[Scene], glyphs: tuple[Pixels, ...], extra: tuple[Pixels, ...], seed: int
    ) -> None:
        rng = random.Random(f"pictures {seed}")
        pictures = [draw(scene, glyphs) for scene in scenes]
        pictures += [loose_picture(rng, (glyph,)) for glyph in extra]
        self.pictures = torch.stack([((to_tensor([p])[0] + 1) * 127.5).round().to(torch.uint8) for p in pictures])

    def crops(self, draw: Draw, count: int, side: int) -> Tensor:
        """(count, 3, side, side) in -1..1, cut on the latent's grid; of two tries the one with more to see."""
        return torch.stack([self._crop(draw.rng, side) for _ in range(count)]).float() / 127.5 - 1

    def _crop(self, rng: random.Random, side: int) -> Tensor:
        picture = self.pictures[rng.randrange(len(self.pictures))]
        if side == SIDE:
            return picture
        corners = [[rng.randint(0, (SIDE - side) // 8) * 8 for _ in range(2)] for _ in range(2)]
        tries = [picture[:, y : y + side, x : x + side] for y, x in corners]
        return max(tries, key=lambda crop: crop[:, ::4, ::4].float().var().item())


def sharp_loss(drawn: Tensor, wanted: Tensor) -> Tensor:
    """Absolute and squared difference of the pixels, and of their differences to the right and downwards."""
    difference = drawn - wanted
    loss = (difference.square() + 1e-4).sqrt().mean() + 0.5 * difference.square().mean()
    for dim in (-1, -2):
        loss = loss + 0.75 * difference.diff(dim=dim).abs().mean()
    return loss


class AutoencoderStage:
    """Encoder and decoder, or with ``decoder_only`` the decoder on the frozen encoder's latents."""

    def __init__(self, vae: AutoencoderKL, pool: PicturePool, batch_size: int, decoder_only: bool = False) -> None:
        self.name = "decoder" if decoder_only else "vae"
        self.modules, self.batch_size = vae, batch_size
        self._vae, self._pool, self._decoder_only = vae, pool, decoder_only
        if decoder_only:
            for part in (vae.encoder, vae.quant_conv):
                part.requires_grad_(False)

    def loss(self, draw: Draw) -> Tensor:
        """See :class:`training.loop.Stage`. Whole pictures every fourth step, quarter-sized crops otherwise."""
        whole = draw.step % 4 == 0
        count, side = (max(1, self.batch_size // 4), SIDE) if whole else (self.batch_size, SIDE // 2)
        pictures = self._pool.crops(draw, count, side).to(self._vae.device)
        with torch.autocast(pictures.device.type, torch.bfloat16, enabled=pictures.device.type == "cuda"):
            return self._decoder_loss(pictures, draw) if self._decoder_only else self._joint_loss(pictures, draw)

    def _shaken(self, latent: Tensor, draw: Draw, strength: float) -> Tensor:
        """The latent with a little noise, for the U-Net's latents will not be perfect either."""
        noise = torch.randn(latent.shape, generator=draw.noise).to(latent.device)
        return latent + strength * latent.detach().std() * noise

    def _decoder_loss(self, pictures: Tensor, draw: Draw) -> Tensor:
        with torch.no_grad():
            latent = self._vae.encode(pictures).latent_dist.mean
        return sharp_loss(self._vae.decode(self._shaken(latent, draw, 0.08)).sample.float(), pictures)

    def _joint_loss(self, pictures: Tensor, draw: Draw) -> Tensor:
        """Also asks that latents shrink like pictures do, and that they look like SD1's to a linear eye."""
        latent = self._vae.encode(pictures).latent_dist.mean
        shaken = self._shaken(latent, draw, 0.07)
        shrinks = draw.step % 4 == 3
        target = F.avg_pool2d(pictures, 2) if shrinks else pictures
        shaken = F.avg_pool2d(shaken, 2) if shrinks else shaken
        loss = sharp_loss(self._vae.decode(shaken).sample.float(), target) * (0.5 if shrinks else 1)
        colours = torch.einsum("nlyx,lr->nryx", latent.float(), TO_RGB.to(latent.device))
        tie: Tensor = (colours - F.avg_pool2d(pictures, 8)).square().mean()
        size: Tensor = latent.float().square().mean()
        return loss + 0.1 * tie + 1e-4 * size


def vae_scenes(scenes: Sequence[Scene], most: int) -> list[Scene]:
    """A sample of the scenes in which every kind and colour occurs."""
    rng = random.Random(f"vae {len(COLOURS)}")
    return list(scenes) if len(scenes) <= most else rng.sample(list(scenes), most)

"""The exported model read back, and pictures drawn with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from training.architecture import LATENT_CHANNELS, encode_text, signal_levels
from training.latents import decode_latents
from training.rendering import Pixels
from training.vocabulary import CONTEXT

BATCH = 16  # pictures drawn at once


@dataclass(frozen=True)
class Request:
    """A prompt, its seed and its negative prompt."""

    prompt: str
    seed: int
    negative: str = ""


@dataclass(frozen=True)
class Manner:
    """How to draw: guidance scale, Euler steps, side in pixels (a multiple of 64)."""

    guidance: float = 5.0
    steps: int = 20
    side: int = 128


@dataclass(frozen=True)
class Model:
    """The parts of a diffusers folder, in fp32."""

    tokenizer: CLIPTokenizer
    text: CLIPTextModel
    unet: UNet2DConditionModel
    vae: AutoencoderKL

    @classmethod
    def load(cls, folder: Path, device: torch.device) -> Model:
        """Read the folder; nothing is fetched."""
        place = str(folder)
        wanted = {"local_files_only": True, "torch_dtype": torch.float32}
        return cls(
            CLIPTokenizer.from_pretrained(place, subfolder="tokenizer", local_files_only=True),
            CLIPTextModel.from_pretrained(place, subfolder="text_encoder", local_files_only=True, dtype=torch.float32)
            .to(device)
            .eval(),
            UNet2DConditionModel.from_pretrained(place, subfolder="unet", **wanted).to(device).eval(),
            AutoencoderKL.from_pretrained(place, subfolder="vae", **wanted).to(device).eval(),
        )

    def contexts(self, texts: Sequence[str]) -> Tensor:
        """(n, 77, width)."""
        tokens = self.tokenizer(
            list(texts), padding="max_length", max_length=CONTEXT, truncation=True, return_tensors="pt"
        ).input_ids
        return encode_text(self.text, tokens.to(self.unet.device))

    def draw(self, requests: Sequence[Request], manner: Manner) -> list[Pixels]:
        """One (side, side, 3) picture in 0..1 per request; the same request gives the same picture in any batch."""
        pictures: list[Pixels] = []
        for start in range(0, len(requests), BATCH):
            latents = self._sample(requests[start : start + BATCH], manner)
            pictures += decode_latents(self.vae, latents)
        return pictures

    @torch.no_grad()
    def _sample(self, requests: Sequence[Request], manner: Manner) -> Tensor:
        """Euler's method over evenly spaced timesteps: (n, 4, side/8, side/8) of unit variance."""
        contexts = self.contexts([request.prompt for request in requests])
        if manner.guidance != 1:
            contexts = torch.cat([contexts, self.contexts([request.negative for request in requests])])
        times, sigmas = euler_grid(manner.steps)
        x = starting_noise([request.seed for request in requests], manner.side).to(self.unet.device) * sigmas[0]
        for time, sigma, following in zip(times, sigmas[:-1], sigmas[1:], strict=True):
            scaled = x / (sigma**2 + 1) ** 0.5
            if manner.guidance == 1:
                noise = self.unet(scaled, time, contexts).sample
            else:
                wanted, unwanted = self.unet(torch.cat([scaled, scaled]), time, contexts).sample.chunk(2)
                noise = unwanted + manner.guidance * (wanted - unwanted)
            x = x + noise * (following - sigma)
        return x


def starting_noise(seeds: Sequence[int], side: int) -> Tensor:
    """(n, 4, side/8, side/8), each from its own generator."""
    shape = (1, LATENT_CHANNELS, side // 8, side // 8)
    return torch.cat([torch.randn(shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds])


def euler_grid(steps: int) -> tuple[list[float], list[float]]:
    """Timesteps from 999 down to 0, and the sigmas at these with a last 0."""
    levels = signal_levels()
    table = ((1 - levels) / levels).sqrt().log()
    times = torch.linspace(len(table) - 1, 0, steps, dtype=torch.float64)
    low = times.floor().long()
    part = times - low
    sigmas = (table[low] * (1 - part) + table[(low + 1).clamp(max=len(table) - 1)] * part).exp()
    return times.tolist(), [*sigmas.tolist(), 0.0]

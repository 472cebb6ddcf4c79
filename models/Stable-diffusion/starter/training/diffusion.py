"""Training of the U-Net and the text encoder, together, on latents."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextModel

from training.architecture import LATENT_CHANNELS, LATENT_SIDE, encode_text, signal_levels
from training.captions import caption
from training.loop import Draw
from training.scenes import SHARES, Scene
from training.subjects import Subject
from training.vocabulary import CONTEXT, Vocabulary

GUESS_SHARE = 0.05  # weight of the head's loss beside the U-Net's
CLIP_SKIP_SHARE = 0.06  # steps that use the text encoder's last layer but one
OFFSET = 0.1  # noise that is the same over a whole channel, so that plain backgrounds come out right


class Pool:
    """The scenes with their latents, (n, 4, 16, 16), sorted so that subjects and kinds can be drawn evenly."""

    def __init__(self, scenes: Sequence[Scene], latents: Tensor, weights: Sequence[float] | None = None) -> None:
        self.scenes, self.latents = scenes, latents
        self._places: dict[tuple[str, int], list[int]] = defaultdict(list)
        for k, scene in enumerate(scenes):
            self._places[scene.kind, scene.subject].append(k)
        self.count = 1 + max(scene.subject for scene in scenes)
        self._weights = list(weights) if weights else None

    def draw(self, draw: Draw, size: int) -> list[int]:
        """Scene numbers for one batch: all subjects in turn, in an order shuffled anew each round.

        Where subjects have weights, two in five are drawn by these instead: the hard ones come oftener.
        """
        first = (draw.step * draw.workers.count + draw.workers.rank) * size
        return [self._scene_of(self._subject(first + k, draw.rng), draw.rng) for k in range(size)]

    def _subject(self, turn: int, rng: random.Random) -> int:
        if self._weights and rng.random() < 0.4:
            return rng.choices(range(self.count), self._weights)[0]
        order = list(range(self.count))
        random.Random(f"round {turn // self.count}").shuffle(order)
        return order[turn % self.count]

    def _scene_of(self, subject: int, rng: random.Random) -> int:
        """One of the subject's scenes; every fourth large one on white, which most people will ask for."""
        kind = rng.choices(list(SHARES), list(SHARES.values()))[0]
        places = self._places[kind, subject] or self._places["single", subject]
        if kind in ("single", "shifted") and rng.random() < 0.2:
            places = [k for k in places if self.scenes[k].background == "white"] or places
        return rng.choice(places)


@dataclass(frozen=True)
class Texts:
    """What captions are made of."""

    subjects: Sequence[Subject]
    vocabulary: Vocabulary


class DiffusionStage:
    """The loss of denoising, and of the head that keeps the text encoder honest."""

    name = "unet"

    def __init__(self, modules: nn.ModuleDict, pool: Pool, texts: Texts, batch_size: int) -> None:
        self.modules, self.batch_size = modules, batch_size
        self._unet: UNet2DConditionModel = modules["unet"]
        self._text: CLIPTextModel = modules["text"]
        self._pool, self._texts = pool, texts
        self._levels = signal_levels().float()

    def loss(self, draw: Draw) -> Tensor:
        """See :class:`training.loop.Stage`."""
        device = self._unet.device
        chosen = self._pool.draw(draw, self.batch_size)
        captions = [caption(self._pool.scenes[k], self._texts.subjects, draw.rng) for k in chosen]
        tokens = self._texts.vocabulary.batch(captions, draw.rng).to(device)
        clean = self._pool.latents[chosen]
        noise = torch.randn(clean.shape, generator=draw.noise)
        noise += OFFSET * torch.randn(len(clean), LATENT_CHANNELS, 1, 1, generator=draw.noise)
        times = spread_times(len(clean), len(self._levels), draw.noise)
        level = self._levels[times].view(-1, 1, 1, 1)
        noisy = level.sqrt() * clean + (1 - level).sqrt() * noise
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            context = encode_text(self._text, tokens, 2 if draw.rng.random() < CLIP_SKIP_SHARE else 1)
            predicted = self._unet(noisy.to(device), times.to(device), context).sample
            guess = guess_loss(self.modules["head"], context, self._ends(tokens), clean.to(device), draw)
        error = (predicted.float() - noise.to(device)).square().mean((1, 2, 3))
        denoising: Tensor = (error * step_weight(level.flatten()).to(device)).mean()
        return denoising + GUESS_SHARE * guess

    def _ends(self, tokens: Tensor) -> Tensor:
        """Where each text ends, (n,)."""
        return (tokens == self._texts.vocabulary.end).int().argmax(dim=1)


def spread_times(count: int, steps: int, generator: torch.Generator) -> Tensor:
    """``count`` timesteps in 0..steps - 1, each uniformly distributed, together evenly spread: (count,) int64."""
    start = torch.rand(1, generator=generator)
    places = (start + torch.arange(count) / count) % 1
    return (places * steps).long()[torch.randperm(count, generator=generator)]


def step_weight(level: Tensor) -> Tensor:
    """Min-SNR (at most 5), tilted towards the noisier half where shapes are decided; (n,) to (n,)."""
    ratio = level / (1 - level)
    return ratio.clamp(max=5) / ratio * (1 + 1 / ratio).sqrt() / 2.2


def guess_loss(head: nn.Module, context: Tensor, ends: Tensor, clean: Tensor, draw: Draw, tries: int = 3) -> Tensor:
    """How badly the latent is guessed from single context vectors at or after the text's end, nearer ones oftener."""
    n = len(context)
    luck = torch.rand(n, tries, generator=draw.noise).square().to(context.device)
    places = ends[:, None] + (luck * (CONTEXT - ends[:, None])).long()
    vectors = context[torch.arange(n, device=context.device)[:, None], places]
    guesses: Tensor = head(vectors).float().view(n, tries, LATENT_CHANNELS, LATENT_SIDE, LATENT_SIDE)
    return (guesses - clean[:, None]).square().mean()


class TextStage:
    """The text encoder alone, before there is a U-Net: only the head's loss. Minutes that save hours."""

    name = "text"

    def __init__(self, modules: nn.ModuleDict, pool: Pool, texts: Texts, batch_size: int) -> None:
        self.modules, self.batch_size = modules, batch_size
        self._text: CLIPTextModel = modules["text"]
        self._pool, self._texts = pool, texts

    def loss(self, draw: Draw) -> Tensor:
        """See :class:`training.loop.Stage`."""
        chosen = self._pool.draw(draw, self.batch_size)
        captions = [caption(self._pool.scenes[k], self._texts.subjects, draw.rng) for k in chosen]
        tokens = self._texts.vocabulary.batch(captions, draw.rng).to(self._text.device)
        ends = (tokens == self._texts.vocabulary.end).int().argmax(dim=1)
        clean = self._pool.latents[chosen].to(self._text.device)
        return guess_loss(self.modules["head"], encode_text(self._text, tokens), ends, clean, draw)

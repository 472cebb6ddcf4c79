"""How well a model draws what it is asked for, judged by pixels alone.

A picture's subject is the one whose clean rendering is nearest in mean squared difference at 32 x 32, over a few shifts
and sizes and on the background colour found at the picture's rim.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from training.captions import plural, standard_prompt
from training.folder import Manner, Model, Request
from training.latents import decode_latents, encode_pictures
from training.rendering import SIDE, Pixels, Placement, compose
from training.scenes import MIDDLE, draw, large, row, small, triangle
from training.subjects import COLOURS, Subject

COARSE = 32  # side at which pictures are compared
REACH = 3  # shifts, in coarse pixels, that are tried in each direction
SIZES = (100, 104, 108)
FIRST_SEED = 1000


def coarse(picture: Pixels) -> Pixels:
    """(SIDE, SIDE, c) to (COARSE, COARSE, c) by averaging."""
    step = SIDE // COARSE
    means: Pixels = picture.reshape(COARSE, step, COARSE, step, -1).mean((1, 3))
    return means


def rim_colour(picture: Pixels) -> Pixels:
    """The median colour, (3,), of the outermost 5 pixels."""
    inner = np.zeros(picture.shape[:2], bool)
    inner[5:-5, 5:-5] = True
    return np.median(picture[~inner], axis=0)


def nearest_colour(colour: Pixels) -> str:
    """The palette's name for it."""
    names = list(COLOURS)
    table = np.asarray([COLOURS[name] for name in names]) / 255
    return names[int(((table - colour) ** 2).sum(axis=1).argmin())]


def shifted(picture: Pixels) -> Tensor:
    """All the shifts of a picture at COARSE: ((2 * REACH + 1)**2, COARSE * COARSE * 3)."""
    image = torch.from_numpy(coarse(picture).astype(np.float32))
    steps = range(-REACH, REACH + 1)
    return torch.stack([torch.roll(image, (dy, dx), (0, 1)).flatten() for dy in steps for dx in steps])


def squared_distances(pictures: Tensor, targets: Tensor) -> Tensor:
    """Mean squared difference of every picture (m, d) to every target (n, d): (m, n)."""
    return torch.cdist(pictures, targets).square() / targets.shape[1]


class Judge:
    """Knows every subject's clean rendering."""

    def __init__(self, subjects: Sequence[Subject], glyphs: tuple[Pixels, ...]) -> None:
        self.subjects, self.glyphs = subjects, glyphs
        views = [(Placement(k, MIDDLE, MIDDLE, size),) for k in range(len(subjects)) for size in SIZES]
        on_black = np.stack([coarse(compose(glyphs, view, (0, 0, 0))) for view in views])
        on_white = np.stack([coarse(compose(glyphs, view, (1, 1, 1))) for view in views])
        self._drawn = torch.from_numpy(on_black)
        self._open = torch.from_numpy((1 - (1 - on_white + on_black).mean(axis=3, keepdims=True)).astype(np.float32))

    def ranking(self, picture: Pixels) -> list[int]:
        """Subject numbers, the likeliest first."""
        rim = torch.from_numpy(rim_colour(picture).astype(np.float32))
        targets = (self._drawn + self._open * rim).flatten(1)
        best = squared_distances(shifted(picture), targets).amin(dim=0).view(len(self.subjects), len(SIZES)).amin(dim=1)
        return best.argsort().tolist()

    def arrangement(self, picture: Pixels, subject: int, background: str) -> int:
        """How many of the subject the picture shows: 1, 2 or 3, whichever clean arrangement is nearest."""
        scenes = (
            (1, large(subject, background)),
            (1, small(subject, background, "")),
            (2, row(subject, subject, background)),
            (3, triangle(subject, background)),
        )
        targets = torch.stack([torch.from_numpy(coarse(draw(scene, self.glyphs))).flatten() for _, scene in scenes])
        distances = squared_distances(shifted(picture), targets).amin(dim=0)
        return scenes[int(distances.argmin())][0]


@dataclass(frozen=True)
class Score:
    """Shares in 0..1 over ``pictures`` drawn; ``wrong`` names (asked, drawn)."""

    pictures: int
    top1: float
    top5: float
    background: float
    seconds_per_picture: float
    wrong: tuple[tuple[str, str], ...]


def backgrounds_for(count: int, kind: str) -> list[str]:
    """All white, or for ``kind="colour"`` the other colours in turn."""
    others = [name for name in COLOURS if name != "white"]
    return ["white"] * count if kind == "white" else [others[k % len(others)] for k in range(count)]


def prompt_score(model: Model, judge: Judge, kind: str, manner: Manner) -> tuple[Score, list[Pixels]]:
    """One picture of every subject in the standard form, on white or on colours."""
    colours = backgrounds_for(len(judge.subjects), kind)
    requests = [
        Request(standard_prompt(subject, colour), FIRST_SEED + k)
        for k, (subject, colour) in enumerate(zip(judge.subjects, colours, strict=True))
    ]
    began = time.monotonic()
    pictures = model.draw(requests, manner)
    seconds = time.monotonic() - began
    rankings = [judge.ranking(picture) for picture in pictures]
    n = len(pictures)
    score = Score(
        pictures=n,
        top1=sum(ranking[0] == k for k, ranking in enumerate(rankings)) / n,
        top5=sum(k in ranking[:5] for k, ranking in enumerate(rankings)) / n,
        background=sum(nearest_colour(rim_colour(p)) == c for p, c in zip(pictures, colours, strict=True)) / n,
        seconds_per_picture=seconds / n,
        wrong=tuple(
            (judge.subjects[k].name, judge.subjects[ranking[0]].name)
            for k, ranking in enumerate(rankings)
            if ranking[0] != k
        ),
    )
    return score, pictures


def count_score(model: Model, judge: Judge, manner: Manner, stride: int = 3) -> tuple[dict[str, float], list[Pixels]]:
    """The share of right counts for "two" and "three" of every ``stride``-th subject, on white."""
    chosen = range(0, len(judge.subjects), stride)
    shares, drawn = {}, []
    for word, count in (("two", 2), ("three", 3)):
        requests = [
            Request(f"{word} {plural(judge.subjects[k].name)} on a white background", FIRST_SEED + k) for k in chosen
        ]
        pictures = model.draw(requests, manner)
        counts = [judge.arrangement(p, k, "white") for k, p in zip(chosen, pictures, strict=True)]
        shares[word] = sum(found == count for found in counts) / len(counts)
        drawn += pictures
    return shares, drawn


def psnr(vae: AutoencoderKL, pictures: Sequence[Pixels]) -> float:
    """Mean PSNR in dB of pictures that went through the autoencoder and back."""
    values = []
    for start in range(0, len(pictures), 16):
        batch = pictures[start : start + 16]
        again = decode_latents(vae, encode_pictures(vae, batch))
        values += [-10 * np.log10(np.square(a - b).mean()) for a, b in zip(batch, again, strict=True)]
    return float(np.mean(values))


def vae_psnr(model: Model, judge: Judge) -> float:
    """The same over every subject's clean rendering, large on white."""
    return psnr(model.vae, [draw(large(k, "white"), judge.glyphs) for k in range(len(judge.subjects))])


def as_json(score: Score) -> dict[str, object]:
    """For ``--json``."""
    return asdict(score)

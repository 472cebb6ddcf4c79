"""All the figures of a model in one go, and a sheet of what it drew."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from training.fidelity import Judge, Score, as_json, count_score, prompt_score, vae_psnr
from training.folder import Manner, Model, Request
from training.rendering import Pixels, draw_glyphs
from training.subjects import Subject

LOG = logging.getLogger("starter")
PROMPT_SETS = (("white", 5.0), ("colour", 5.0), ("colour", 1.0))
# What the model card shows.
SHOWCASE = (
    "a red apple on a white background",
    "a cat face on a blue background",
    "a panda on a green background",
    "a slice of pizza on a yellow background",
    "a red car on an orange background",
    "a rocket on a purple background",
    "a sunflower on a pink background",
    "a koala on a cyan background",
    "two red hearts on a white background",
    "three strawberries on a yellow background",
    "a rainbow on a gray background",
    "a pumpkin on a black background",
    "a watermelon on a cyan background",
    "a penguin on an orange background",
    "a fox face on a white background",
    "a christmas tree on a red background",
    "smiley, pink background",
    "a cup of coffee on a brown background",
    "a picture of a robot on yellow",
    "a crescent moon on a blue background",
    "a carrot and a tomato on a white background",
    "masterpiece, best quality, avocado, purple background",
    "a trophy on a green background",
    "a lion face",
)


class Grid:
    """Collects pictures and writes them as one PNG after each addition."""

    def __init__(self, file: Path, columns: int = 16, side: int = 96, colours: int | None = None) -> None:
        self._file, self._columns, self._side, self._colours = file, columns, side, colours
        self._pictures: list[Image.Image] = []

    def add(self, pictures: Sequence[Pixels]) -> None:
        """Add pictures of any size, each scaled to the grid's."""
        for picture in pictures:
            image = Image.fromarray((picture * 255).round().astype(np.uint8))
            self._pictures.append(image.resize((self._side, self._side), Image.Resampling.LANCZOS))
        rows = -(-len(self._pictures) // self._columns)
        sheet = Image.new("RGB", (self._columns * self._side, rows * self._side), "white")
        for k, image in enumerate(self._pictures):
            sheet.paste(image, (k % self._columns * self._side, k // self._columns * self._side))
        if self._colours:
            sheet = sheet.quantize(self._colours, dither=Image.Dither.NONE)
        sheet.save(self._file, optimize=True)


def show(model: Model, file: Path) -> None:
    """The model card's picture, small enough for a repository: 20 Euler steps, CFG 5, seed 1 for all."""
    pictures = model.draw([Request(prompt, 1) for prompt in SHOWCASE], Manner())
    Grid(file, columns=8, side=100, colours=256).add(pictures)


def measure(
    folder: Path, chosen: Sequence[Subject], device: torch.device, quick: bool, grid: Grid | None
) -> dict[str, object]:
    """Draw, judge, report line by line, and return everything for ``--json``; 20 Euler steps at 128 x 128."""
    model = Model.load(folder, device)
    judge = Judge(chosen, draw_glyphs([subject.glyph for subject in chosen]))
    prompts: dict[str, object] = {}
    for kind, guidance in PROMPT_SETS[:2] if quick else PROMPT_SETS:
        score, pictures = prompt_score(model, judge, kind, Manner(guidance))
        prompts[f"{kind} cfg {guidance:g}"] = as_json(score)
        _report(kind, guidance, score)
        if grid:
            grid.add(pictures)
    figures: dict[str, object] = {"subjects": len(chosen), "prompts": prompts}
    if not quick:
        counts, pictures = count_score(model, judge, Manner())
        LOG.info("right number at CFG 5: %s", ", ".join(f"{word} {share:.1%}" for word, share in counts.items()))
        figures["counts"] = counts
        if grid:
            grid.add(pictures)
    figures["vae_psnr"] = vae_psnr(model, judge)
    LOG.info("VAE: PSNR %.2f dB over clean renderings of every subject", figures["vae_psnr"])
    return figures


def _report(kind: str, guidance: float, score: Score) -> None:
    LOG.info(
        "%s backgrounds, CFG %g: subject %.1f %% (among the first five %.1f %%), background %.1f %%, "
        "%.2f s per picture, %d pictures; wrong: %s",
        kind, guidance, score.top1 * 100, score.top5 * 100, score.background * 100,
        score.seconds_per_picture, score.pictures,
        ", ".join(f"{asked} as {drawn}" for asked, drawn in score.wrong) or "none",
    )  # fmt: skip

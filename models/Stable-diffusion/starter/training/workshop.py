"""The stages put together on one work folder.

Work folder: ``vae.pt``, ``decoder.pt``, ``text.pt`` and ``unet.pt`` are the stages' states, ``autoencoder/`` is the
finished autoencoder with SD1's latent scale, ``latents.pt`` the training pictures as latents.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from torch import nn

from training.architecture import SHIPPED, Architecture, new_compact_text, new_head, new_unet, new_vae
from training.autoencoder import AutoencoderStage, PicturePool, other_glyphs, vae_scenes
from training.diffusion import DiffusionStage, Pool, Texts, TextStage
from training.exporting import Parts, export_folder, fold_scale, start_from, whole_text
from training.latents import encode_pictures, latents_of
from training.loop import Plan, Run, Stage, Upkeep, load_state
from training.parallel import Workers, run_together
from training.rendering import Pixels, draw_glyphs
from training.scenes import Scene, draw, training_scenes
from training.subjects import Subject, subjects
from training.vocabulary import Vocabulary

LOG = logging.getLogger("starter")


@dataclass(frozen=True)
class Bench:
    """Where one works, on what, and with which means. ``init`` is an exported folder to start from."""

    work: Path
    tokenizer: Path
    init: Path | None = None
    chosen: tuple[Subject, ...] = field(default_factory=subjects)
    sizes: Architecture = SHIPPED
    device: str = "cpu"
    processes: int = 1
    seed: int = 0
    save_seconds: float = 120.0
    most_scenes: int = 3000  # pictures that the autoencoder is trained on: of scenes,
    extra_glyphs: int = 500  # and of other glyphs
    practise: Path | None = None

    def glyphs(self) -> tuple[Pixels, ...]:
        """The subjects' glyphs."""
        return draw_glyphs([subject.glyph for subject in self.chosen])

    def scenes(self) -> tuple[Scene, ...]:
        """The training scenes."""
        return training_scenes(len(self.chosen), self.seed)

    def vocabulary(self) -> Vocabulary:
        """The captions' vocabulary."""
        return Vocabulary.of(self.chosen, self.tokenizer)

    def state(self, stage: str) -> Path:
        """The stage's state file."""
        return self.work / f"{stage}.pt"

    @property
    def autoencoder(self) -> Path:
        """The finished autoencoder's folder."""
        return self.work / "autoencoder"


@dataclass(frozen=True)
class Effort:
    """A stage's plan and its batch size per process."""

    plan: Plan
    batch_size: int


def train_vae(bench: Bench, effort: Effort) -> None:
    """The autoencoder from nothing; then its latents' scale is measured and folded in."""
    run_together(bench.processes, partial(_train_vae, bench, effort))
    vae = new_vae(bench.sizes)
    vae.load_state_dict(averaged_weights(bench.state("vae")))
    vae.eval()
    glyphs = bench.glyphs()
    sample = vae_scenes(bench.scenes(), min(96, bench.most_scenes))
    latents = torch.cat([encode_pictures(vae, [draw(scene, glyphs)]) for scene in sample])
    fold_scale(vae, (latents / vae.config.scaling_factor).std().item())
    _place_autoencoder(vae, bench.autoencoder)


def _train_vae(bench: Bench, effort: Effort, workers: Workers) -> None:
    torch.manual_seed(bench.seed)
    vae = new_vae(bench.sizes).to(bench.device)
    _run(bench, AutoencoderStage(vae, _picture_pool(bench), effort.batch_size), effort, workers)


def train_decoder(bench: Bench, effort: Effort) -> None:
    """The decoder alone, made sharper; latents stay what they are."""
    settle_autoencoder(bench)
    run_together(bench.processes, partial(_train_decoder, bench, effort))


def _train_decoder(bench: Bench, effort: Effort, workers: Workers) -> None:
    vae = _read_autoencoder(bench.autoencoder).to(bench.device)
    _run(bench, AutoencoderStage(vae, _picture_pool(bench), effort.batch_size, decoder_only=True), effort, workers)


def train_text(bench: Bench, effort: Effort) -> None:
    """The text encoder's head start."""
    _latents(bench)
    run_together(bench.processes, partial(_train_text, bench, effort))


def _train_text(bench: Bench, effort: Effort, workers: Workers) -> None:
    torch.manual_seed(bench.seed)
    texts = Texts(bench.chosen, bench.vocabulary())
    modules = _text_modules(bench, texts.vocabulary).to(bench.device)
    _run(bench, TextStage(modules, _pool(bench), texts, effort.batch_size), effort, workers)


def train_unet(bench: Bench, effort: Effort) -> None:
    """The U-Net with the text encoder."""
    _latents(bench)
    run_together(bench.processes, partial(_train_unet, bench, effort))


def _train_unet(bench: Bench, effort: Effort, workers: Workers) -> None:
    texts = Texts(bench.chosen, bench.vocabulary())
    modules = new_modules(bench, texts.vocabulary).to(bench.device)
    _run(bench, DiffusionStage(modules, _pool(bench), texts, effort.batch_size), effort, workers)


def new_modules(bench: Bench, vocabulary: Vocabulary) -> nn.ModuleDict:
    """U-Net, text encoder and head before training: random, or as ``init`` or the text stage left them."""
    torch.manual_seed(bench.seed)
    modules = _text_modules(bench, vocabulary)
    modules["unet"] = new_unet(bench.sizes)
    if bench.init:
        start_from(bench.init, modules["text"], modules["unet"], vocabulary)
    elif bench.state("text").is_file():
        modules.load_state_dict(averaged_weights(bench.state("text")), strict=False)
    return modules


def _text_modules(bench: Bench, vocabulary: Vocabulary) -> nn.ModuleDict:
    text = new_compact_text(bench.sizes, len(vocabulary), vocabulary.end)
    return nn.ModuleDict({"text": text, "head": new_head(bench.sizes)})


def trained_parts(bench: Bench) -> Parts:
    """The finished networks, as far as they have been trained."""
    settle_autoencoder(bench)
    vae = _read_autoencoder(bench.autoencoder)
    if bench.state("decoder").is_file():
        vae.load_state_dict(averaged_weights(bench.state("decoder")))
    vocabulary = bench.vocabulary()
    modules = new_modules(bench, vocabulary)
    if bench.state("unet").is_file():
        modules.load_state_dict(averaged_weights(bench.state("unet")))
    return Parts(vae, whole_text(modules["text"], bench.sizes, vocabulary), modules["unet"])


def export(bench: Bench, folder: Path) -> None:
    """Write the diffusers folder."""
    export_folder(trained_parts(bench), bench.tokenizer, folder)


def averaged_weights(state_file: Path) -> dict[str, torch.Tensor]:
    """The modules' weights with the running average in place of what was trained."""
    state = load_state(state_file)
    weights: dict[str, torch.Tensor] = state["weights"] | state["average"]
    return weights


def settle_autoencoder(bench: Bench) -> None:
    """See to it that ``autoencoder/`` exists: from the VAE stage, or taken over from ``init``."""
    if bench.autoencoder.is_dir():
        return
    if bench.init is None:
        raise FileNotFoundError(f"{bench.autoencoder} is missing: run the vae stage first, or give --init")
    _place_autoencoder(_read_autoencoder(bench.init / "vae"), bench.autoencoder)


def _place_autoencoder(vae: AutoencoderKL, folder: Path) -> None:
    beside = folder.with_name(f"{folder.name}.{os.getpid()}.tmp")
    vae.save_pretrained(beside)
    shutil.rmtree(folder, ignore_errors=True)
    beside.replace(folder)


def _read_autoencoder(folder: Path) -> AutoencoderKL:
    vae = AutoencoderKL.from_pretrained(str(folder), local_files_only=True, torch_dtype=torch.float32)
    return vae.eval()


def _picture_pool(bench: Bench) -> PicturePool:
    known = [subject.glyph for subject in bench.chosen]
    extra = other_glyphs(known, bench.extra_glyphs)
    return PicturePool(vae_scenes(bench.scenes(), bench.most_scenes), bench.glyphs(), extra, bench.seed)


def _latents(bench: Bench) -> torch.Tensor:
    settle_autoencoder(bench)
    vae = _read_autoencoder(bench.autoencoder).to(bench.device)
    return latents_of(vae, bench.scenes(), bench.glyphs(), bench.work / "latents.pt")


def _pool(bench: Bench) -> Pool:
    latents = load_state(bench.work / "latents.pt")["latents"]
    return Pool(bench.scenes(), latents, practice_weights(bench.chosen, bench.practise))


def practice_weights(chosen: Sequence[Subject], report: Path | None) -> list[float] | None:
    """Weight 4 for subjects that the report of ``evaluate --json`` calls wrong, 1 for the others."""
    if report is None:
        return None
    scores = json.loads(report.read_text(encoding="utf-8"))["prompts"]
    wrong = {asked for score in scores.values() for asked, _ in score["wrong"]}
    return [4.0 if subject.name in wrong else 1.0 for subject in chosen]


def _run(bench: Bench, stage: Stage, effort: Effort, workers: Workers) -> None:
    Run(stage, effort.plan, Upkeep(bench.state(stage.name), bench.save_seconds), workers).train()

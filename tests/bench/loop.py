"""What our sampling loop costs beyond the network, beside diffusers' own: `python tests/bench/loop.py`.

Both walk Euler's steps over latents of Stable Diffusion 1.5's size (64 x 64, CFG 7, prompts of one chunk of 768 numbers
a token) with a network that returns a prepared tensor at once, in one process and in turns. So what is measured is the
solver, the guidance and what surrounds them: with us the cancel token and the event of every step, previews off.
A run of many steps less one of few gives the cost of a further step; the cost of beginning a pass is printed too.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("GOMP_SPINCOUNT", "20000")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import torch
from diffusers import EulerDiscreteScheduler, StableDiffusionPipeline
from diffusers.configuration_utils import FrozenDict
from PIL.Image import Image
from torch import Tensor, nn

from modules.core.request import GenerationRequest
from modules.engine.context import RunContext
from modules.engine.families import ModelBundle
from modules.engine.plan import make_plan
from modules.engine.sample import sample_pass
from modules.engine.service import DiffusionEngine, EngineSettings
from modules.engine.text import Condition, EncodedPrompt, TextRules
from modules.library.catalog import CheckpointCatalog
from modules.library.files import ModelFiles
from modules.library.hashing import HashCache
from modules.prompts.schedule import Timeline
from tests.fakes import Collector

STARTER = ROOT / "models" / "Stable-diffusion" / "starter"
TOKENS, WIDTH = 77, 768
SIZE = 512
SCALE = 7.0
FEW = 10
Run = Callable[[int], object]
"""Walks that many steps."""


class ReadyNetwork(nn.Module):
    """Stands for the U-Net: answers with noise that was drawn before, whatever it is asked."""

    def __init__(self, device: torch.device, dtype: torch.dtype, batch: int) -> None:
        super().__init__()
        self.device, self.dtype = device, dtype
        self.config = FrozenDict(in_channels=4, sample_size=SIZE // 8, time_cond_proj_dim=None)
        generator = torch.Generator().manual_seed(1)
        shape = 2 * batch, 4, SIZE // 8, SIZE // 8
        self.answer = torch.randn(shape, generator=generator).to(device=device, dtype=dtype)

    def forward(self, sample: Tensor, timestep: Tensor, **rest: object) -> tuple[Tensor]:
        """Return the answer as diffusers' networks do."""
        return (self.answer,)


class ReadyPrompts:
    """Stands for the text encoder: every prompt is the same noise."""

    def __init__(self, device: torch.device, dtype: torch.dtype) -> None:
        vectors = torch.randn(TOKENS, WIDTH, generator=torch.Generator().manual_seed(2))
        self.vectors = vectors.to(device=device, dtype=dtype)
        self.condition = Condition(self.vectors)

    def encode(self, prompt: str, rules: TextRules, timeline: Timeline) -> EncodedPrompt:
        """Return one stage that holds at all steps."""
        return EncodedPrompt((timeline.steps,), (self.condition,))

    def forget(self) -> None:
        """Keep nothing."""


def no_preview(bundle: ModelBundle, latents: Tensor) -> Image:
    """Stand in for previews, which nobody asks for here."""
    raise NotImplementedError


def our_run(sampler: str, batch: int, source: str) -> Run:
    """Return our pass over one batch."""
    hashes = HashCache(Path(tempfile.mkdtemp()) / "hashes.json")
    engine = DiffusionEngine(ModelFiles(CheckpointCatalog([STARTER.parent], hashes)), EngineSettings())
    sink = Collector()
    model = engine.shelf.get(STARTER.name, sink)
    device, dtype = engine.plan.device, engine.plan.dtype
    model.bundle = replace(model.bundle, unet=ReadyNetwork(device, dtype, batch))
    model.conditioner = ReadyPrompts(device, dtype)
    request = GenerationRequest(
        prompt="a red apple", sampler=sampler, width=SIZE, height=SIZE, cfg_scale=SCALE, seed=1, batch_size=batch,
        checkpoint=STARTER.name, noise_source=source,
    )  # fmt: skip

    @torch.inference_mode()
    def run(steps: int) -> Tensor:
        plan = make_plan(request.model_copy(update={"steps": steps}))
        context = RunContext(plan, engine.shelf, sink, sink, no_preview)
        context.start()
        return sample_pass(context, plan.batches[0], plan.first, None)

    return run


def their_run(batch: int) -> Run:
    """Return the loop of diffusers' pipeline, without its text encoder and its VAE."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    dtype = torch.float16 if device.type == "cuda" else torch.float32
    pipeline = StableDiffusionPipeline.from_pretrained(
        STARTER, torch_dtype=dtype, local_files_only=True, safety_checker=None
    ).to(device)
    pipeline.scheduler = EulerDiscreteScheduler.from_config(pipeline.scheduler.config)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.unet = ReadyNetwork(device, dtype, batch)
    vectors = ReadyPrompts(device, dtype).vectors.expand(batch, -1, -1)

    def run(steps: int) -> Tensor:
        latents: Tensor = pipeline(
            prompt_embeds=vectors, negative_prompt_embeds=vectors, num_inference_steps=steps, guidance_scale=SCALE,
            width=SIZE, height=SIZE, output_type="latent", return_dict=False,
            generator=[torch.Generator().manual_seed(1 + place) for place in range(batch)],
        )[0]  # fmt: skip
        return latents

    return run


def timed(run: Run, steps: int) -> float:
    """Return the milliseconds of one run, the device's own work included."""
    started = time.perf_counter()
    run(steps)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return (time.perf_counter() - started) * 1000


def measured(runs: Sequence[Run], steps: int, repeats: int) -> list[tuple[list[float], list[float]]]:
    """Return for each run, by repeat: the milliseconds of a further step, and those of a pass of few steps."""
    columns: list[tuple[list[float], list[float]]] = [([], []) for _ in runs]
    for repeat in range(repeats):
        order = range(len(runs)) if repeat % 2 == 0 else reversed(range(len(runs)))
        for place in order:
            few, many = timed(runs[place], FEW), timed(runs[place], FEW + steps)
            columns[place][0].append((many - few) / steps)
            columns[place][1].append(few)
    return columns


def line(label: str, values: Sequence[float]) -> str:
    """Return a row of the table: the median between the quartiles, and the best."""
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{label:<34}{middle:7.3f} {low:7.3f} … {high:.3f} {min(values):8.3f}"


def main() -> None:
    """Run both in turns and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sampler", default="Euler", help="ours; diffusers walks Euler's steps")
    parser.add_argument("--steps", type=int, default=40, help="how many steps further")
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--noise", default="CPU", help="our noise source")
    parser.add_argument("--runs", type=int, default=101)
    given = parser.parse_args()
    warnings.filterwarnings("ignore")
    runs = our_run(given.sampler, given.batch_size, given.noise), their_run(given.batch_size)
    for run in runs:
        run(FEW)
    ours, theirs = measured(runs, given.steps, given.runs)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {torch.get_num_threads()} threads"
    print(f"{given.sampler}, batch {given.batch_size}, noise {given.noise}, {given.runs} runs in turns, on {device}")
    print(f"{'milliseconds':<34} median     quartiles       best")
    print(line("Easel, a further step", ours[0]))
    print(line("diffusers, a further step", theirs[0]))
    print(line(f"Easel, a pass of {FEW} steps", ours[1]))
    print(line(f"diffusers, a pass of {FEW} steps", theirs[1]))
    ratios = [mine / other for mine, other in zip(ours[0], theirs[0], strict=True)]
    print(f"a further step, Easel to diffusers: median ratio {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()

"""Time of a txt2img through our engine beside a bare diffusers pipeline: `python tests/bench/txt2img.py`.

Same model, sampler, steps, size and CFG scale, in one process and in turns, so that the ratio holds while the machine's
speed drifts. Ours includes what users get with it: progress events, previews, infotext, the picture as PIL image.
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
from pathlib import Path
from typing import Any

os.environ.setdefault("GOMP_SPINCOUNT", "20000")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import torch
from diffusers import EulerDiscreteScheduler, StableDiffusionPipeline

from modules.core.request import GenerationRequest
from modules.engine.memory import DeviceWishes
from modules.engine.service import DiffusionEngine, EngineSettings, no_pictures
from modules.engine.source import PictureSource
from modules.library.catalog import CheckpointCatalog
from modules.library.files import ModelFiles
from modules.library.hashing import HashCache
from tests.fakes import Collector

STARTER = ROOT / "models" / "Stable-diffusion" / "starter"
PREVIEW_SECONDS = 0.2


class Page(Collector):
    """Stands for a page that watches: takes every event and wants a preview five times a second."""

    def __init__(self) -> None:
        super().__init__()
        self.last_preview = 0.0

    def wants_preview(self, step: int) -> bool:
        """Want one when the last is old enough."""
        now = time.monotonic()
        if now - self.last_preview < PREVIEW_SECONDS:
            return False
        self.last_preview = now
        return True


def our_run(
    model: Path, request: GenerationRequest, device: torch.device, pictures: PictureSource = no_pictures
) -> Callable[[], None]:
    """Return a function that makes the request's pictures with our engine, which holds the model already."""
    hashes = HashCache(Path(tempfile.mkdtemp()) / "hashes.json")
    files = ModelFiles(CheckpointCatalog([model.parent], hashes))
    engine = DiffusionEngine(files, EngineSettings(DeviceWishes(use_cpu=device.type == "cpu"), pictures=pictures))

    def run() -> None:
        page = Page()
        engine.generate(request, page, page)
        if len(page.images) != request.image_count():
            raise RuntimeError(f"{len(page.images)} pictures were made")

    return run


def tuned(kind: Any, model: Path, device: torch.device) -> Any:
    """Return one of diffusers' pipelines, tuned as its documentation says, with the Euler sampler."""
    dtype = torch.float16 if device.type == "cuda" else torch.float32
    whole = StableDiffusionPipeline.from_pretrained(
        model, torch_dtype=dtype, local_files_only=True, safety_checker=None
    )
    pipeline = kind(**whole.components, requires_safety_checker=False).to(device)
    pipeline.scheduler = EulerDiscreteScheduler.from_config(pipeline.scheduler.config)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.unet.to(memory_format=torch.channels_last)
    pipeline.vae.to(memory_format=torch.channels_last)
    return pipeline


def their_wishes(request: GenerationRequest) -> dict[str, Any]:
    """Return the request as every pipeline takes it."""
    return {
        "prompt": [request.prompt] * request.batch_size,
        "negative_prompt": [request.negative_prompt] * request.batch_size,
        "num_inference_steps": request.steps,
        "guidance_scale": request.cfg_scale,
        "generator": [torch.Generator().manual_seed(request.image_seed(index)) for index in range(request.batch_size)],
    }


def their_run(model: Path, request: GenerationRequest, device: torch.device) -> Callable[[], None]:
    """Return a function that makes the same pictures with diffusers' own pipeline."""
    pipeline = tuned(StableDiffusionPipeline, model, device)

    def run() -> None:
        pipeline(width=request.width, height=request.height, **their_wishes(request))

    return run


def timed(run: Callable[[], None]) -> float:
    """Return the seconds of one run, the device's own work included."""
    started = time.perf_counter()
    run()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started


def main() -> None:
    """Run both in turns and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", type=Path, default=STARTER, help="a diffusers folder")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--runs", type=int, default=9)
    given = parser.parse_args()
    warnings.filterwarnings("ignore")
    request = GenerationRequest(
        prompt="a red apple on a blue background", sampler="Euler", steps=given.steps, width=given.size,
        height=given.size, cfg_scale=5.0, seed=1, batch_size=given.batch_size, checkpoint=given.model.name,
        noise_source="CPU",
    )  # fmt: skip
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    ours, theirs = our_run(given.model, request, device), their_run(given.model, request, device)
    for run in (ours, theirs):
        run()
    pairs = in_turns(ours, theirs, given.runs)
    size = f"{given.size} x {given.size}"
    print(f"{given.model.name}, {size}, {given.steps} steps, batch {given.batch_size}, on {name_of(device)}")
    show(pairs)


def in_turns(ours: Callable[[], None], theirs: Callable[[], None], runs: int) -> list[tuple[float, float]]:
    """Return the seconds of both, run after run; who goes first changes from one to the next."""
    pairs = []
    for number in range(runs):
        order = (ours, theirs) if number % 2 == 0 else (theirs, ours)
        seconds = {run: timed(run) for run in order}
        pairs.append((seconds[ours], seconds[theirs]))
    return pairs


def name_of(device: torch.device) -> str:
    """Return what the pictures were made on."""
    return torch.cuda.get_device_name() if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"


def show(pairs: Sequence[tuple[float, float]]) -> None:
    """Print the table."""
    ratios = [mine / other for mine, other in pairs]
    print("            min   median      max")
    for label, column in (("Easel", [mine for mine, _ in pairs]), ("diffusers", [other for _, other in pairs])):
        print(f"{label:<10}{min(column):5.2f} s {statistics.median(column):6.2f} s {max(column):6.2f} s")
    print(f"{'ratio':<10}{min(ratios):5.2f}   {statistics.median(ratios):6.2f}   {max(ratios):6.2f}")


if __name__ == "__main__":
    main()

"""How long a checkpoint takes to load: `python tests/bench/load.py [-n PAIRS] [--folder DIR]`.

A file in the layout and the sizes of Stable Diffusion 1.x, 2.1 GB of random numbers in half precision, in turns through
Easel's `load_bundle` and through `safetensors.torch.load_file` with the construction of the three networks (without
weights of their own) and `load_state_dict`, in one process. Both end with a look at every page of every weight, since
neither reads the file's pages before they are needed. The aim: a median ratio of at most 1.2.

"half": weights stay as the file has them; a graphics card rearranges those of convolutions itself. "full": weights are
cast for a processor, by both; Easel rearranges them in the same pass.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import torch
from accelerate import init_empty_weights
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel

from modules.engine.families import FAMILIES
from modules.engine.ldm_keys import plain_text_names, unet_tensors, vae_tensors
from modules.engine.loading import load_bundle
from modules.engine.memory import DevicePlan
from modules.library.catalog import CheckpointCatalog, CheckpointEntry
from modules.library.hashing import HashCache
from tests import layouts

TEXT_PREFIX = "cond_stage_model.transformer."
PAGE = 4096


@dataclass(frozen=True)
class PlainPlan(DevicePlan):
    """A plan that leaves weights as they are."""

    @property
    def channels_last(self) -> bool:
        return False


def write_model(path: Path) -> None:
    tensors = {
        name: torch.zeros(shape, dtype=torch.int64) if name.endswith("position_ids")
        else torch.empty(shape, dtype=torch.float16).normal_(0, 0.02)
        for name, shape in layouts.sd1().shapes().items()
    }  # fmt: skip
    save_file(tensors, path)


def touch(tensors: Iterable[Tensor]) -> None:
    """Have every page of the tensors in memory."""
    for tensor in tensors:
        stored = tensor.untyped_storage()
        torch.empty(0, dtype=torch.uint8).set_(stored)[::PAGE].sum()


def easel(entry: CheckpointEntry, plan: DevicePlan) -> Callable[[], None]:
    def load() -> None:
        bundle = load_bundle(entry, plan, lambda fraction, stage: None)
        for network in (bundle.unet, bundle.vae, bundle.texts[0].encoder):
            touch(network.parameters())

    return load


def plainly(path: Path, dtype: torch.dtype) -> Callable[[], None]:
    configs = {part: json.loads((FAMILIES["sd1"].configs / f"{part}.json").read_text(encoding="utf-8"))
               for part in ("unet", "vae", "text_encoder")}  # fmt: skip

    def load() -> None:
        tensors = load_file(path)
        with init_empty_weights(include_buffers=False):
            networks = {
                "unet": UNet2DConditionModel.from_config(configs["unet"]),
                "vae": AutoencoderKL.from_config(configs["vae"]),
                "text": CLIPTextModel(CLIPTextConfig(**configs["text_encoder"])),
            }
        text = {name.removeprefix(TEXT_PREFIX): it for name, it in tensors.items() if name.startswith(TEXT_PREFIX)}
        found = {"unet": unet_tensors(tensors, configs["unet"]), "vae": vae_tensors(tensors, configs["vae"]),
                 "text": plain_text_names(text)}  # fmt: skip
        for part, network in networks.items():
            network.load_state_dict({name: it.to(dtype) for name, it in found[part].items()}, assign=True)
            touch(network.parameters())

    return load


def seconds(work: Callable[[], None]) -> float:
    gc.collect()
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=7, help="pairs per row")
    parser.add_argument("--folder", type=Path, help="where the file is written (and kept); default: a temporary one")
    options = parser.parse_args()
    with TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "bench.safetensors"
        if not path.is_file():
            write_model(path)
        entry = CheckpointCatalog([folder], HashCache(folder / "hashes.json")).find("bench")
        cpu, half, full = torch.device("cpu"), torch.float16, torch.float32
        rows = {"half": PlainPlan(cpu, half, half), "full": DevicePlan(cpu, full, full)}
        for name, plan in rows.items():
            ours, theirs = easel(entry, plan), plainly(path, plan.dtype)
            ours(), theirs()
            pairs = [(seconds(ours), seconds(theirs)) for _ in range(options.n)]
            ratios = sorted(one / other for one, other in pairs)
            medians = [statistics.median(each) for each in zip(*pairs, strict=True)]
            sys.stdout.write(
                f"{name:18} Easel {medians[0]:.2f} s  plainly {medians[1]:.2f} s  ratio min {ratios[0]:.2f}"
                f"  median {statistics.median(ratios):.2f}  max {ratios[-1]:.2f}\n"
            )


if __name__ == "__main__":
    main()

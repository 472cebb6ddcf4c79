"""A LoRA put into SDXL's U-Net, beside diffusers with peft: `python tests/bench/networks.py`.

The U-Net has SDXL's real sizes and random weights; the LoRA has rank 32 on every attention projection, as a file of 16
bits. Both read the file and change the weights, in turns in one process: Easel by `NetworkPatcher.set`, diffusers by
`load_lora_weights` and `fuse_lora`. Then both undo it: Easel bit for bit, diffusers by `unfuse_lora` and
`unload_lora_weights`. Needs peft (`pip install --no-deps peft`), which is no part of the requirements.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("GOMP_SPINCOUNT", "20000")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import torch
from accelerate import init_empty_weights
from diffusers import StableDiffusionXLPipeline, UNet2DConditionModel
from safetensors.torch import save_file
from torch import Tensor, nn

from modules.engine.families import FAMILIES
from modules.engine.ldm_keys import original_names
from modules.networks.patching import LoraUse, NetworkPatcher
from tests.networks.tiny import on_disk

RANK = 32
PROJECTIONS = (".to_q", ".to_k", ".to_v", ".to_out.0")
DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}
Work = Callable[[], object]


class Loader(StableDiffusionXLPipeline):
    """Diffusers' pipeline with nothing but a U-Net, which is all that loading a LoRA looks at here."""

    def __init__(self, unet: nn.Module) -> None:
        self.register_to_config()
        self.unet = unet
        self.text_encoder = self.text_encoder_2 = None

    @property
    def components(self) -> dict[str, nn.Module]:
        """Return what there is."""
        return {"unet": self.unet}


def make_unet(dtype: torch.dtype, device: str) -> UNet2DConditionModel:
    """Return SDXL's U-Net with random weights."""
    with init_empty_weights():
        config = json.loads((FAMILIES["sdxl"].configs / "unet.json").read_text(encoding="utf-8"))
        unet = UNet2DConditionModel.from_config(config).to(dtype)
    unet.to_empty(device=device).requires_grad_(False)
    generator = torch.Generator(device).manual_seed(1)
    for parameter in unet.parameters():
        parameter.uniform_(-0.05, 0.05, generator=generator)
    return unet


def write_lora(unet: nn.Module, path: Path) -> int:
    """Write the LoRA in kohya's layout, which both sides read, and return how many layers it has."""
    generator, tensors = torch.Generator().manual_seed(2), dict[str, Tensor]()
    names = [name for name, module in unet.named_modules() if name.endswith(PROJECTIONS)]
    for name in names:
        outside, inside = unet.get_submodule(name).weight.shape
        layer = "lora_unet_" + name.replace(".", "_")
        tensors[f"{layer}.lora_up.weight"] = torch.randn(outside, RANK, generator=generator).mul_(0.02).half()
        tensors[f"{layer}.lora_down.weight"] = torch.randn(RANK, inside, generator=generator).mul_(0.02).half()
        tensors[f"{layer}.alpha"] = torch.tensor(float(RANK)).half()
    save_file(tensors, path)
    return len(names)


def seconds(work: Work) -> float:
    """Return how long `work` takes, the device's own work included."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    started = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started


def bits(unet: nn.Module) -> int:
    """Return a number that changes with any bit of some of the weights."""
    parts = [parameter.view(torch.int16 if parameter.element_size() == 2 else torch.int32).long().sum()
             for name, parameter in unet.named_parameters() if ".to_k." in name and "attn2" in name]  # fmt: skip
    return int(torch.stack(parts).sum())


def report(columns: dict[str, list[float]]) -> None:
    """Print the table."""
    for label, column in columns.items():
        low, middle, high = statistics.quantiles(column, n=4)
        print(f"{label:<14}{middle:8.3f} s  quartiles {low:.3f} … {high:.3f}  best {min(column):.3f}")
    for label in ("", ", off"):
        pairs = zip(columns[f"ours{label}"], columns[f"theirs{label}"], strict=True)
        ratios = sorted(mine / other for mine, other in pairs)
        spread = f"{ratios[0]:.2f}, {statistics.median(ratios):.2f}, {ratios[-1]:.2f}"
        print(f"ratio{label or ', on'}: min, median, max {spread}")


def main() -> None:
    """Run both in turns and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--dtype", choices=DTYPES, default="bfloat16")
    parser.add_argument("--runs", type=int, default=7)
    given = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    unet = make_unet(DTYPES[given.dtype], device)
    file = on_disk(Path(tempfile.mkdtemp()) / "lora.safetensors")
    layers = write_lora(unet, file.path)
    names = original_names(unet.config, (name for name, _ in unet.named_modules()))
    loader, before = Loader(unet), bits(unet)
    columns: dict[str, list[float]] = {"ours": [], "theirs": [], "ours, off": [], "theirs, off": [], "ours, again": []}

    def ours() -> None:
        patcher = NetworkPatcher(unet, {}, other_names=names)
        use = LoraUse(file, 1.0, 1.0)
        columns["ours"].append(seconds(lambda: patcher.set([use])))
        columns["ours, again"].append(seconds(lambda: patcher.set([use])))
        columns["ours, off"].append(seconds(lambda: patcher.set([])))
        assert bits(unet) == before

    def theirs() -> None:
        def on() -> None:
            loader.load_lora_weights(str(file.path.parent), weight_name=file.path.name)
            loader.fuse_lora(components=["unet"])

        def off() -> None:
            loader.unfuse_lora(components=["unet"])
            loader.unload_lora_weights()

        kept = {name: parameter.clone() for name, parameter in unet.named_parameters() if name.endswith(
            tuple(f"{end}.weight" for end in PROJECTIONS))}  # fmt: skip
        columns["theirs"].append(seconds(on))
        columns["theirs, off"].append(seconds(off))
        # Unfusing rounds, so that the weights are put back by hand for the next turn.
        for name, weight in kept.items():
            unet.get_parameter(name).data.copy_(weight)

    ours()
    theirs()
    for column in columns.values():
        column.clear()
    for turn in range(given.runs):
        for work in (ours, theirs) if turn % 2 == 0 else (theirs, ours):
            work()
    where = torch.cuda.get_device_name() if device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    print(f"rank {RANK} on {layers} layers of SDXL's U-Net in {given.dtype}, {given.runs} pairs in turns, on {where}")
    report(columns)


if __name__ == "__main__":
    main()

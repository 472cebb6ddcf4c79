"""On which device, in which precision and for how long the parts of a model are held."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from accelerate import cpu_offload
from torch import nn

from modules.core.errors import OutOfMemory

MemoryMode = Literal["normal", "medium", "low"]


@dataclass(frozen=True, slots=True)
class DevicePlan:
    """Where and how the engine computes.

    `dtype` is that of U-Net and text encoder, `vae_dtype` that of the VAE. `mode`: "normal" keeps all parts on the
    device, "medium" only the one at work, "low" streams even the U-Net's layers from main memory.
    """

    device: torch.device
    dtype: torch.dtype
    vae_dtype: torch.dtype
    mode: MemoryMode = "normal"

    @property
    def channels_last(self) -> bool:
        """Convolutions in half precision are faster with channels last; in full precision on a CPU they gain too."""
        return self.device.type in ("cuda", "cpu")


@dataclass(frozen=True, slots=True)
class DeviceWishes:
    """What the command line asks for; the rest is found out."""

    use_cpu: bool = False
    device_index: int | None = None
    half: bool = True
    half_vae: bool = True
    mode: MemoryMode = "normal"


def plan_device(wishes: DeviceWishes) -> DevicePlan:
    """Return the plan for this machine: CUDA in half precision, else Apple's GPU, else the CPU in full precision."""
    device = _device(wishes)
    halves = device.type != "cpu"
    dtype = torch.float16 if wishes.half and halves else torch.float32
    vae_dtype = torch.float16 if wishes.half and wishes.half_vae and halves else torch.float32
    return DevicePlan(device, dtype, vae_dtype, wishes.mode if device.type == "cuda" else "normal")


def _device(wishes: DeviceWishes) -> torch.device:
    if wishes.use_cpu:
        return torch.device("cpu")
    if torch.cuda.is_available():
        return torch.device("cuda", wishes.device_index or 0)
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


class Residency:
    """Moves the parts of one model to the device when they work and away when another does."""

    def __init__(self, plan: DevicePlan, parts: Sequence[nn.Module], streamed: nn.Module) -> None:
        """Place `parts` as the plan's mode says; `streamed` is the part that mode "low" streams layer by layer."""
        self.plan = plan
        self.parts = tuple(parts)
        self._streams = streamed if plan.mode == "low" else None
        self._away = False
        for part in self.parts:
            part.to(plan.device if plan.mode == "normal" else "cpu")
        if self._streams is not None:
            cpu_offload(self._streams, execution_device=plan.device)

    @contextlib.contextmanager
    def using(self, part: nn.Module) -> Iterator[None]:
        """Have `part` on the device inside the block."""
        self.bring(part)
        yield

    def bring(self, part: nn.Module) -> None:
        """Move `part` to the device; in the modes that save memory, the others away from it."""
        if self.plan.mode == "normal":
            if self._away:
                self._move_all(self.plan.device)
                self._away = False
        elif part is not self._streams:
            for other in self.parts:
                if other is not part and other is not self._streams:
                    other.to("cpu")
            part.to(self.plan.device)

    def leave(self) -> None:
        """Move everything away from the device: another model works now."""
        if self.plan.device.type != "cpu" and not self._away:
            self._move_all(torch.device("cpu"))
            self._away = True

    def exchange(self, old: nn.Module, new: nn.Module) -> None:
        """Hold `new` in the place of `old`, which is moved away from the device."""
        self.parts = tuple(new if part is old else part for part in self.parts)
        old.to("cpu")
        new.to(self.plan.device if self.plan.mode == "normal" and not self._away else "cpu")

    def _move_all(self, device: torch.device) -> None:
        for part in self.parts:
            if part is not self._streams:
                part.to(device)


@contextlib.contextmanager
def explaining_out_of_memory() -> Iterator[None]:
    """Turn the device's own error into one that says what to do, and give back what the failed run held."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        raise OutOfMemory(
            "The graphics card has too little memory for this picture. Lower width, height or batch size, "
            "or start with --medvram or --lowvram."
        ) from error

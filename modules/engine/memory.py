"""On which device, in which precision and for how long the parts of a model are held.

What is done when the memory runs out all the same stands in `relief.py`.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Self

import torch
from accelerate import cpu_offload
from accelerate.hooks import remove_hook_from_module
from torch import nn

from modules.core.errors import OutOfMemory

MemoryMode = Literal["normal", "medium", "low"]

_MODES: tuple[MemoryMode, ...] = ("normal", "medium", "low")
_MEMORY_TEXTS = ("out of memory", "not enough memory", "can't allocate memory")
TOO_LITTLE_MEMORY = (
    "There is too little memory for this picture. Lower width, height or batch size, or start with --medvram or "
    "--lowvram."
)


@dataclass(frozen=True, slots=True)
class DevicePlan:
    """Where and how the engine computes.

    `dtype` is that of U-Net and text encoder, `vae_dtype` that of the VAE. `mode`: "normal" keeps all parts on the
    device, "medium" only the one at work, "low" streams even the U-Net's layers from main memory. `large_mode`: the
    least saving mode for models of SDXL's size.
    """

    device: torch.device
    dtype: torch.dtype
    vae_dtype: torch.dtype
    mode: MemoryMode = "normal"
    large_mode: MemoryMode = "normal"

    def for_large(self) -> Self:
        """Return the plan for a model of SDXL's size."""
        return replace(self, mode=max(self.mode, self.large_mode, key=_MODES.index))

    @property
    def has_own_memory(self) -> bool:
        """Say whether moving something to main memory makes room on the device."""
        return self.device.type != "cpu"

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
    large_mode: MemoryMode = "normal"


def plan_device(wishes: DeviceWishes) -> DevicePlan:
    """Return the plan for this machine: CUDA in half precision, else Apple's GPU, else the CPU in full precision."""
    device = _device(wishes)
    halves = device.type != "cpu"
    dtype = torch.float16 if wishes.half and halves else torch.float32
    vae_dtype = torch.float16 if wishes.half and wishes.half_vae and halves else torch.float32
    if device.type != "cuda":
        return DevicePlan(device, dtype, vae_dtype)
    return DevicePlan(device, dtype, vae_dtype, wishes.mode, wishes.large_mode)


def _device(wishes: DeviceWishes) -> torch.device:
    if wishes.use_cpu:
        return torch.device("cpu")
    if torch.cuda.is_available():
        return torch.device("cuda", wishes.device_index or 0)
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


class Residency:
    """Moves the parts of one model to the device when they work and away when another does.

    `mode` is the plan's, or a lower one while the device has too little memory.
    """

    def __init__(self, plan: DevicePlan, parts: Sequence[nn.Module], streamed: nn.Module) -> None:
        """Place `parts` as the plan's mode says; `streamed` is the part that mode "low" streams layer by layer.

        What does not fit is placed as the next lower mode says.
        """
        self.plan = plan
        self.mode = plan.mode
        self.parts = tuple(parts)
        self._streamed = streamed
        self._streams = False
        self._away = False
        self._working: nn.Module | None = None
        while not succeeds(self._place):
            if not self.lower():
                raise OutOfMemory(TOO_LITTLE_MEMORY)

    def bring(self, part: nn.Module) -> None:
        """Move `part` to the device; in the modes that save memory, the others away from it."""
        if self.mode == "normal":
            if self._away:
                self._move_all(self.plan.device)
                self._away = False
        elif part is not self._working and not (part is self._streamed and self._streams):
            for other in self._movable():
                if other is not part:
                    other.to("cpu")
            part.to(self.plan.device)
            self._working = part

    def leave(self) -> None:
        """Move everything away from the device: another model works now."""
        if self.plan.has_own_memory and not self._away:
            self._move_all(torch.device("cpu"))
            self._away = True
            self._working = None

    def exchange(self, old: nn.Module, new: nn.Module) -> None:
        """Hold `new` in the place of `old`, which is moved away from the device."""
        self.parts = tuple(new if part is old else part for part in self.parts)
        old.to("cpu")
        new.to(self.plan.device if self.mode == "normal" and not self._away else "cpu")
        self._working = None

    def lower(self) -> bool:
        """Hold less on the device from now on; returns False when nothing more can be moved away."""
        if not self.plan.has_own_memory or self.mode == _MODES[-1]:
            return False
        self.mode = _MODES[_MODES.index(self.mode) + 1]
        self._place()
        return True

    def restore(self) -> None:
        """Hold again what the plan says."""
        if self.mode != self.plan.mode:
            self.mode = self.plan.mode
            self._place()

    def _place(self) -> None:
        if self._streams and self.mode != "low":
            remove_hook_from_module(self._streamed, recurse=True)
            self._streams = False
        self._away, self._working = False, None
        self._move_all(self.plan.device if self.mode == "normal" else torch.device("cpu"))
        if self.mode == "low" and not self._streams:
            cpu_offload(self._streamed, execution_device=self.plan.device)
            self._streams = True

    def _movable(self) -> Iterator[nn.Module]:
        return (part for part in self.parts if not (part is self._streamed and self._streams))

    def _move_all(self, device: torch.device) -> None:
        for part in self._movable():
            part.to(device)


def is_out_of_memory(error: BaseException) -> bool:
    """Say whether an error of torch means that the device or the main memory was too small."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    # Processors and Apple's devices have no class of their own for it.
    return isinstance(error, RuntimeError) and any(text in str(error).casefold() for text in _MEMORY_TEXTS)


def succeeds(work: Callable[[], object]) -> bool:
    """Do `work` and say whether the memory sufficed; what a failed try held is given back."""
    try:
        work()
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
    else:
        return True
    # Outside of the except clause, whose error holds every tensor of the failed call.
    give_back_memory()
    return False


def give_back_memory() -> None:
    """Return memory that nothing uses any more to the device."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


@contextlib.contextmanager
def explaining_out_of_memory() -> Iterator[None]:
    """Turn the device's own error into one that says what to do, and give back what the failed run held."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        give_back_memory()
        raise OutOfMemory(TOO_LITTLE_MEMORY) from error

"""What is done, one measure after the other, when the memory runs out, so that the picture is finished all the same.

Every network call is a pure function of its arguments, so a failed one is simply made again. The measures hold for
the rest of the run and are then undone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import nn

from modules.core.errors import OutOfMemory
from modules.engine.memory import TOO_LITTLE_MEMORY, Residency, give_back_memory, succeeds

logger = logging.getLogger(__name__)

Say = Callable[[str], None]
Result = TypeVar("Result")
_MODES_IN_WORDS = {
    "medium": "only the part at work is kept on the graphics card",
    "low": "the U-Net is streamed from main memory layer by layer",
}


def _log(text: str) -> None:
    logger.warning("%s", text)


@dataclass(slots=True)
class Relief:
    """The measures that are in force for one model. `say` tells the user; whoever begins a run sets it.

    `single`: the U-Net sees one picture and one prompt at a time. `sliced`: its attention is computed head by head.
    `in_strips`: the VAE works in strips. `vae_on_cpu`: it works in main memory.
    """

    residency: Residency
    unet: UNet2DConditionModel
    say: Say = _log
    single: bool = False
    sliced: bool = False
    in_strips: bool = False
    vae_on_cpu: bool = False
    _undo: list[Callable[[], None]] = field(default_factory=list)

    def begin(self, say: Say, in_strips: bool = False) -> None:
        """Begin a run: take who tells the user, and whether the VAE works in strips from the start."""
        self.say = say
        if in_strips and not self.in_strips:
            self._set("in_strips")

    def sample(self, work: Callable[[], Result]) -> Result:
        """Return what a call of the U-Net gives, walking its ladder if need be. Raises OutOfMemory at its end."""
        return self._walked(self.unet, work, self._sampling_measures())

    def transform(self, vae: AutoencoderKL, work: Callable[[], Result]) -> Result:
        """Return what a call of the VAE gives, likewise."""
        return self._walked(vae, work, self._vae_measures(vae))

    def read(self, encoder: nn.Module, work: Callable[[], Result]) -> Result:
        """Return what a call of a text encoder gives, likewise."""
        return self._walked(encoder, work, self._offloading())

    def reset(self) -> None:
        """Undo all measures, and let go of the run."""
        self.say = _log
        while self._undo:
            self._undo.pop()()
        self.residency.restore()

    def _walked(self, part: nn.Module, work: Callable[[], Result], measures: Iterator[str]) -> Result:
        results: list[Result] = []

        def attempt() -> None:
            if not (self.vae_on_cpu and isinstance(part, AutoencoderKL)):
                self.residency.bring(part)
            results.append(work())

        while not succeeds(attempt):
            measure = next(measures, None)
            if measure is None:
                raise OutOfMemory(f"Whatever was tried: {TOO_LITTLE_MEMORY}")
            give_back_memory()
            self.say(f"The memory did not suffice: {measure}.")
        return results[0]

    def _sampling_measures(self) -> Iterator[str]:
        if not self.single:
            self._set("single")
            yield "pictures and prompts go through the U-Net one at a time"
        if not self.sliced:
            self._slice_attention()
            yield "attention is computed in slices"
        yield from self._offloading()

    def _vae_measures(self, vae: AutoencoderKL) -> Iterator[str]:
        if not self.in_strips:
            self._set("in_strips")
            yield "the VAE works in strips"
        yield from self._offloading()
        if not self.vae_on_cpu and vae.device.type != "cpu":
            self._move_vae(vae)
            yield "the VAE works on the processor"

    def _offloading(self) -> Iterator[str]:
        while self.residency.lower():
            yield _MODES_IN_WORDS[self.residency.mode]

    def _set(self, name: str) -> None:
        setattr(self, name, True)
        self._undo.append(lambda: setattr(self, name, False))

    def _slice_attention(self) -> None:
        processors = dict(self.unet.attn_processors)
        self._set("sliced")
        self.unet.set_attention_slice("max")
        self._undo.append(lambda: self.unet.set_attn_processor(processors))

    def _move_vae(self, vae: AutoencoderKL) -> None:
        dtype, device = vae.dtype, self.residency.plan.device
        self._set("vae_on_cpu")
        vae.to("cpu", torch.float32)
        self._undo.append(lambda: _moved(vae, "cpu" if self.residency.mode != "normal" else device, dtype))


def _moved(network: nn.Module, device: torch.device | str, dtype: torch.dtype) -> None:
    network.to(device, dtype)

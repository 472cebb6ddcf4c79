"""One batch of latents from noise to x0: solver x guidance x cancel token."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from modules.engine.families import ModelBundle
from modules.sampling.denoisers import EpsilonDenoiser
from modules.sampling.guidance import classifier_free


@dataclass(frozen=True, slots=True)
class Conditioning:
    """What the U-Net attends to, for one batch.

    `positive` and `negative`: (batch, 77 * chunks, width); `negative` is None when the CFG scale is 1, which leaves it
    without effect.
    """

    positive: Tensor
    negative: Tensor | None
    scale: float


class GuidedDenoiser:
    """The model as the solvers see it: noisy latents in, x0 with guidance out."""

    def __init__(self, bundle: ModelBundle, conditioning: Conditioning, before_call: Callable[[], None]) -> None:
        """Call `before_call` before every call of the model; it raises to end the run."""
        self.bundle = bundle
        self.conditioning = conditioning
        self.before_call = before_call

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        """Return x0, shaped like `x`: (batch, channels, rows, columns), float32; `sigma`: (batch,)."""
        self.before_call()
        positive, negative = self.conditioning.positive, self.conditioning.negative
        if negative is None:
            return self._estimate(x, sigma, positive)
        if positive.shape == negative.shape:
            both = torch.cat([positive, negative])
            conditional, unconditional = self._estimate(torch.cat([x, x]), torch.cat([sigma, sigma]), both).chunk(2)
        else:
            conditional = self._estimate(x, sigma, positive)
            unconditional = self._estimate(x, sigma, negative)
        return classifier_free(conditional, unconditional, self.conditioning.scale)

    def _estimate(self, x: Tensor, sigma: Tensor, context: Tensor) -> Tensor:
        def network(scaled: Tensor, timestep: Tensor) -> Tensor:
            epsilon: Tensor = self.bundle.unet(
                scaled.to(self.bundle.plan.dtype), timestep, encoder_hidden_states=context, return_dict=False
            )[0]
            return epsilon.float()

        return EpsilonDenoiser(network, self.bundle.levels)(x, sigma)

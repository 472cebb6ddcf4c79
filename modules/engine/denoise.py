"""One batch of latents from noise to x0: solver x guidance x cancel token."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from modules.engine.families import ModelBundle
from modules.engine.text import EncodedPrompt
from modules.sampling.denoisers import EpsilonDenoiser
from modules.sampling.guidance import classifier_free


@dataclass(frozen=True, slots=True)
class Part:
    """One of the prompts that AND joins, and its weight."""

    prompt: EncodedPrompt
    weight: float


@dataclass(frozen=True, slots=True)
class Conditioning:
    """What the U-Net attends to, for one batch.

    `negative` is None where it would have no effect: with one part of weight 1 at a CFG scale of 1.
    """

    positive: tuple[Part, ...]
    negative: EncodedPrompt | None
    scale: float


class GuidedDenoiser:
    """The model as the solvers see it: noisy latents in, x0 with guidance out. Counts its calls, for one run only."""

    def __init__(self, bundle: ModelBundle, conditioning: Conditioning, before_call: Callable[[], None]) -> None:
        """Call `before_call` before every call of the model; it raises to end the run."""
        self.bundle = bundle
        self.conditioning = conditioning
        self.before_call = before_call
        self.calls = 0

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        """Return x0, shaped like `x`: (batch, channels, rows, columns), float32; `sigma`: (batch,)."""
        self.before_call()
        parts = self.conditioning.positive
        contexts = _of_one_length([part.prompt.at(self.calls) for part in parts])
        negative = self.conditioning.negative.at(self.calls) if self.conditioning.negative is not None else None
        self.calls += 1
        if negative is None:
            return self._estimates(x, sigma, contexts)[0]
        if negative.shape == contexts[0].shape:
            *conditionals, unconditional = self._estimates(x, sigma, [*contexts, negative])
        else:
            conditionals = self._estimates(x, sigma, contexts)
            (unconditional,) = self._estimates(x, sigma, [negative])
        weights = [part.weight for part in parts]
        return classifier_free(conditionals, weights, unconditional, self.conditioning.scale)

    def _estimates(self, x: Tensor, sigma: Tensor, contexts: Sequence[Tensor]) -> list[Tensor]:
        """Return x0 for each of `contexts`, which are of one length, from one call of the U-Net."""
        count, batch = len(contexts), x.shape[0]
        context = torch.cat([one.unsqueeze(0).expand(batch, -1, -1) for one in contexts])
        return list(self._estimate(x.repeat(count, 1, 1, 1), sigma.repeat(count), context).chunk(count))

    def _estimate(self, x: Tensor, sigma: Tensor, context: Tensor) -> Tensor:
        def network(scaled: Tensor, timestep: Tensor) -> Tensor:
            epsilon: Tensor = self.bundle.unet(
                scaled.to(self.bundle.plan.dtype), timestep, encoder_hidden_states=context, return_dict=False
            )[0]
            return epsilon.float()

        return EpsilonDenoiser(network, self.bundle.levels)(x, sigma)


def _of_one_length(contexts: Sequence[Tensor]) -> list[Tensor]:
    """Return the contexts, (tokens, width) each, as long as the longest by repeating the last vector, as in A1111."""
    longest = max(context.shape[0] for context in contexts)
    return [torch.cat([context, context[-1:].expand(longest - context.shape[0], -1)]) for context in contexts]

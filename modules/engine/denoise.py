"""One batch of latents from noise to x0: solver x guidance x cancel token."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from modules.engine.asking import Asked, edited_input, edited_output
from modules.engine.families import VELOCITY, ModelBundle
from modules.engine.text import Condition, EncodedPrompt
from modules.hooks.registry import RunHooks
from modules.hooks.spec import Guided, ModelInput, NetworkCall, PromptVectors
from modules.sampling.denoisers import EpsilonDenoiser, NoiseLevels, VelocityDenoiser
from modules.sampling.guidance import classifier_free, guidance_embedding, rescaled_x0, skips_unconditional

LATENT_DIMENSIONS = 4
"""Of a batch of latents: (batch, channels, rows, columns)."""


@dataclass(frozen=True, slots=True)
class Part:
    """One of the prompts that AND joins, and its weight."""

    prompt: EncodedPrompt
    weight: float


@dataclass(frozen=True, slots=True)
class Conditioning:
    """What the U-Net attends to, for one batch.

    `negative` is None where it would have no effect: with one part of weight 1 at a CFG scale of 1. `empty`: an empty
    prompt's chunk, (77, width), with which shorter prompts are filled up. `channels`: what the U-Net takes besides the
    latents, (1, channels, rows, columns), None for nothing. `image_scale`: the image CFG scale of models that change
    pictures by instructions, None for others.
    """

    positive: tuple[Part, ...]
    negative: EncodedPrompt | None
    empty: Tensor
    channels: Tensor | None = None
    image_scale: float | None = None


@dataclass(frozen=True, slots=True)
class Guidance:
    """How the prompts' predictions are joined.

    `scale`: CFG scale. `rescale`: 0 to 1, see `sampling.guidance.rescaled_x0`. `skip_early`, `ngms` (a sigma) and
    `ngms_all` leave the negative prompt out of some calls; `calls`: how many there will be. `pad`: fill the shorter
    prompt up with empty chunks, `pad_v0`: repeat its last vector, or cut. `steps_by_timestep`: `ngms` is compared with
    timesteps, as A1111's timestep samplers do. `quantize`: round every noise level to a trained one.
    """

    scale: float
    calls: int
    rescale: float = 0.0
    skip_early: float = 0.0
    ngms: float = 0.0
    ngms_all: bool = False
    pad: bool = False
    pad_v0: bool = False
    steps_by_timestep: bool = False
    quantize: bool = False
    needs_unconditional: bool = False


@dataclass(frozen=True, slots=True)
class Model:
    """A network and what it attends to: what a refiner replaces in the middle of a run."""

    bundle: ModelBundle
    levels: NoiseLevels
    conditioning: Conditioning


class Canvas(Protocol):
    """Knows latents and which of them stay as they are."""

    def blended(self, latents: Tensor, level: Tensor | None = None) -> Tensor:
        """Return latents with its own where nothing is painted; `level`: the noise level in the sampler's measure."""


class Handover(Protocol):
    """Decides when another model takes over."""

    def __call__(self, call: int, sigma: float) -> Model | None:
        """Return the model that takes over before the `call`-th call (from 0) at `sigma`, None to go on as before."""


class GuidedDenoiser:
    """The model as the solvers see it: noisy latents in, x0 with guidance out. Counts its calls, for one run only.

    `canvas` is the picture of which only a part is painted anew, if any. `unconditional` is the negative prompt's x0 of
    the last call; `acted` names the parameters of guidance that had an
    effect so far.
    """

    def __init__(
        self,
        model: Model,
        guidance: Guidance,
        before_call: Callable[[], None],
        handover: Handover | None = None,
        hooks: RunHooks | None = None,
    ) -> None:
        """Call `before_call` before every call of the model; it raises to end the run."""
        self.model = model
        self.guidance = guidance
        self.before_call = before_call
        self.handover = handover
        self.hooks = hooks or RunHooks()
        self.calls = 0
        self.acted: set[str] = set()
        self.unconditional: Tensor | None = None
        self.canvas: Canvas | None = None
        self._scale = 1.0
        self._last_contexts: tuple[Condition, ...] = ()
        self._last_joined: dict[str, Any] = {}

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        """Return x0, shaped like `x`: (batch, channels, rows, columns), float32; `sigma`: (batch,)."""
        if self.canvas is None:
            return self._guided(x, sigma)
        if not self.guidance.steps_by_timestep:
            return self.canvas.blended(self._guided(x, sigma), sigma[0])
        # A1111's timestep samplers show the model the source without noise and go on from what they had themselves;
        # the source is in the scale of unit variance there.
        spread = (sigma.to(x.device).view(-1, 1, 1, 1) ** 2 + 1).sqrt()
        seen = self.canvas.blended(x / spread, self.model.levels.timestep_at(sigma)[0]) * spread
        return x - seen + self._guided(seen, sigma)

    def _guided(self, x: Tensor, sigma: Tensor) -> Tensor:
        self.before_call()
        level = float(sigma.max())
        if self.handover is not None:
            self.model = self.handover(self.calls, level) or self.model
        if self.hooks.before_model:
            shown = ModelInput(x, sigma, self.calls)
            self.hooks.before_model(shown)
            x = shown.latents
        conditionals, guided = self._answer(x, sigma, level)
        if not self.hooks.on_guidance or self.unconditional is None:
            return guided
        weights = [part.weight for part in self.model.conditioning.positive]
        answer = Guided(x, sigma, conditionals, self.unconditional, guided, weights, self._scale)
        self.hooks.on_guidance(answer)
        return answer.guided

    def _answer(self, x: Tensor, sigma: Tensor, level: float) -> tuple[list[Tensor], Tensor]:
        """Return x0 of every prompt, and of all of them with guidance; `level` is the highest of `sigma`."""
        parts = self.model.conditioning.positive
        contexts = _of_one_length([part.prompt.at(self.calls) for part in parts])
        negative = self._negative(level)
        self.calls += 1
        if negative is not None and self.model.conditioning.image_scale is not None:
            return self._edited(x, sigma, contexts[0], negative, self.model.conditioning.image_scale)
        conditionals, unconditional = self._asked(x, sigma, contexts, negative)
        self.unconditional = unconditional
        # Without an unconditional prediction the prompts are joined at a scale of 1, as in A1111.
        self._scale = self.guidance.scale if negative is not None else 1.0
        weights = [part.weight for part in parts]
        if negative is None and weights == [1.0]:
            return conditionals, conditionals[0]
        guided = classifier_free(conditionals, weights, unconditional, self._scale)
        if not self.guidance.rescale:
            return conditionals, guided
        spread = sigma.to(x.device).view(-1, 1, 1, 1)
        anchor = x / (spread**2 + 1) if self.model.bundle.prediction == VELOCITY else x
        return conditionals, rescaled_x0(guided, conditionals[0], self.guidance.rescale, anchor)

    def _asked(
        self, x: Tensor, sigma: Tensor, contexts: Sequence[Condition], negative: Condition | None
    ) -> tuple[list[Tensor], Tensor]:
        """Return x0 of every prompt and that of `negative`, or of the first prompt without one, as plugins want it."""
        asked = Asked(x, contexts, negative)
        if self.hooks.before_network:
            asked = edited_input(self.hooks, asked, sigma, self.calls - 1)
        shown, unconditional = asked.latents, None
        if asked.negative is None:
            conditionals = self._estimates(shown, sigma, asked.conditionals)
        else:
            conditionals, unconditional = self._both(shown, sigma, asked.conditionals, asked.negative)
        if self.hooks.after_network:
            conditionals, unconditional = edited_output(self.hooks, conditionals, unconditional, self.calls - 1)
        return conditionals, conditionals[0] if unconditional is None else unconditional

    def _negative(self, sigma: float) -> Condition | None:
        """Return what the unconditional prediction attends to, or None where this call does without."""
        negative, rules = self.model.conditioning.negative, self.guidance
        if negative is None or self.model.bundle.told_guidance:
            return None
        if rules.needs_unconditional:
            return negative.at(self.calls)
        early = rules.skip_early != 0 and self.calls / rules.calls <= rules.skip_early
        level = float(self.model.levels.timestep_at(torch.tensor([sigma]))) if rules.steps_by_timestep else sigma
        if not skips_unconditional(self.calls, rules.calls, level, rules.skip_early, rules.ngms, rules.ngms_all):
            return negative.at(self.calls)
        self.acted.update(("skip_early_cfg",) if early else ("ngms", "ngms_all"))
        return None

    def _both(
        self, x: Tensor, sigma: Tensor, contexts: Sequence[Condition], negative: Condition
    ) -> tuple[list[Tensor], Tensor]:
        """Return the x0 of each of `contexts` and that of `negative`, from one call of the U-Net where they fit.

        `x` as in `_estimates`, that of `negative` last.
        """
        fits = _length(negative) == _length(contexts[0])
        if not fits and self.guidance.pad_v0:
            negative = _fitted(negative, _length(contexts[0]))
            self.acted.add("pad_conds_v0")
        elif not fits and self.guidance.pad:
            empty = self.model.conditioning.empty
            longest = max(_length(negative), _length(contexts[0]))
            contexts = [_filled(context, longest, empty) for context in contexts]
            negative = _filled(negative, longest, empty)
            self.acted.add("pad_conds")
        if _length(negative) == _length(contexts[0]):
            *conditionals, unconditional = self._estimates(x, sigma, [*contexts, negative])
            return conditionals, unconditional
        own = x.dim() == LATENT_DIMENSIONS + 1
        conditionals = self._estimates(x[:-1] if own else x, sigma, contexts)
        return conditionals, self._estimates(x[-1:] if own else x, sigma, [negative])[0]

    def _edited(
        self, x: Tensor, sigma: Tensor, positive: Condition, negative: Condition, image_scale: float
    ) -> tuple[list[Tensor], Tensor]:
        """Return x0 of prompt and picture, and guided by both (Brooks et al. 2023, arXiv:2211.09800, equation 3)."""
        channels = self.model.conditioning.channels
        positive, negative = _of_one_length([positive, negative])
        without = torch.zeros_like(channels) if channels is not None else None
        both, picture = self._estimates(x, sigma, [positive, negative])
        neither = self._estimates(x, sigma, [negative], without)[0]
        self.unconditional = neither
        return [both], neither + self.guidance.scale * (both - picture) + image_scale * (picture - neither)

    def _estimates(
        self, x: Tensor, sigma: Tensor, contexts: Sequence[Condition], shown: Tensor | None = None
    ) -> list[Tensor]:
        """Return x0 for each of `contexts`, which are of one length, from one call of the U-Net.

        `x`: (batch, channels, rows, columns), or that for each of `contexts`. `shown` takes the place of what the U-Net
        is shown besides the latents.
        """
        count, batch = len(contexts), sigma.shape[0]
        own, told = x.dim() == LATENT_DIMENSIONS + 1, self._joined(contexts, batch)
        channels = self.model.conditioning.channels if shown is None else shown
        added = told.get("added_cond_kwargs", {})
        call = NetworkCall(
            x.flatten(0, 1) if own else torch.cat([x] * count),
            sigma.repeat(count),
            PromptVectors(told["encoder_hidden_states"], added.get("text_embeds")),
            None if channels is None else channels.expand(count * batch, -1, -1, -1),
        )
        answer = self.hooks.around_network(call, self._called) if self.hooks.around_network else self._called(call)
        return list(answer.view(count, batch, *answer.shape[1:]).unbind())

    def _called(self, call: NetworkCall) -> Tensor:
        """Return x0 for each row of a call, from one call of the U-Net."""
        bundle, rows = self.model.bundle, call.latents.shape[0]
        told: dict[str, Any] = {"encoder_hidden_states": call.vectors.context}
        if call.vectors.pooled is not None:
            sizes = self._last_joined["added_cond_kwargs"]["time_ids"]
            repeated = sizes if sizes.shape[0] == rows else sizes.repeat(-(-rows // sizes.shape[0]), 1)[:rows]
            told["added_cond_kwargs"] = {"text_embeds": call.vectors.pooled, "time_ids": repeated}

        def network(scaled: Tensor, timestep: Tensor) -> Tensor:
            """Return one prediction per row: (rows, channels, height, width)."""
            latents = scaled.to(bundle.plan.dtype)
            if call.shown is not None:
                latents = torch.cat([latents, call.shown.to(latents)], dim=1)
            given = {"sample": latents, "timestep": timestep, **told}
            if bundle.told_guidance:
                scale = guidance_embedding(self.guidance.scale, bundle.told_guidance)
                given["timestep_cond"] = scale.to(latents).expand(rows, -1)
            return bundle.relief.sample(lambda: _predicted(bundle, given)).float()

        kind = VelocityDenoiser if bundle.prediction == VELOCITY else EpsilonDenoiser
        return kind(network, self.model.levels, quantize=self.guidance.quantize)(call.latents, call.sigma)

    def _joined(self, contexts: Sequence[Condition], batch: int) -> dict[str, Any]:
        """Return the U-Net's arguments for every prompt once per picture; kept while the prompts stay what they are."""
        last = self._last_contexts
        if len(last) != len(contexts) or any(one is not other for one, other in zip(last, contexts, strict=True)):
            self._last_contexts = tuple(contexts)
            self._last_joined = {"encoder_hidden_states": _per_picture([one.context for one in contexts], batch, 2)}
            pooled = [one.pooled for one in contexts if one.pooled is not None]
            sizes = [one.sizes for one in contexts if one.sizes is not None]
            if pooled and sizes:
                added = {"text_embeds": _per_picture(pooled, batch, 1), "time_ids": _per_picture(sizes, batch, 1)}
                self._last_joined["added_cond_kwargs"] = added
        return self._last_joined


def _predicted(bundle: ModelBundle, given: Mapping[str, Any]) -> Tensor:
    """Return what the U-Net answers to its arguments, whose tensors have one row per prompt and picture."""
    if not bundle.relief.single:
        prediction: Tensor = bundle.unet(**given, return_dict=False)[0]
        return prediction
    rows = range(given["sample"].shape[0])
    return torch.cat([bundle.unet(**_row(given, row), return_dict=False)[0] for row in rows])


def _row(given: Mapping[str, Any], row: int) -> dict[str, Any]:
    return {
        name: _row(value, row) if isinstance(value, Mapping) else value[row : row + 1] for name, value in given.items()
    }


def _per_picture(values: Sequence[Tensor], batch: int, dimensions: int) -> Tensor:
    """Return each of the values `batch` times, one after the other; one of more `dimensions` is for each already."""
    return torch.cat([
        value if value.dim() > dimensions else value.unsqueeze(0).expand(batch, *value.shape) for value in values
    ])


def _length(condition: Condition) -> int:
    return int(condition.context.shape[-2])


def _of_one_length(contexts: Sequence[Condition]) -> list[Condition]:
    """Return the conditions as long as the longest by repeating the last vector, as in A1111."""
    longest = max(_length(context) for context in contexts)
    return [_fitted(context, longest) for context in contexts]


def _fitted(condition: Condition, length: int) -> Condition:
    """Return `condition` cut to `length` vectors, or with its last one repeated."""
    context, missing = condition.context, length - _length(condition)
    if missing == 0:
        return condition
    if missing < 0:
        return replace(condition, context=context[..., :length, :])
    repeated = context[..., -1:, :].expand(*context.shape[:-2], missing, -1)
    return replace(condition, context=torch.cat([context, repeated], dim=-2))


def _filled(condition: Condition, length: int, empty: Tensor) -> Condition:
    """Return `condition` with empty chunks behind it, `length` vectors in all; both are whole numbers of chunks."""
    missing = (length - _length(condition)) // empty.shape[0]
    chunks = [empty.expand(*condition.context.shape[:-2], *empty.shape)] * missing
    return replace(condition, context=torch.cat([condition.context, *chunks], dim=-2))

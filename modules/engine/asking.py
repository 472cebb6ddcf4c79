"""What plugins may change of one call of the network: what it is shown and attends to, and what it answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from modules.engine.text import Condition
from modules.hooks.registry import RunHooks
from modules.hooks.spec import NetworkInput, NetworkOutput, PromptVectors


@dataclass(frozen=True, slots=True)
class Asked:
    """One call: the latents, (batch, channels, rows, columns) or that once for every prompt, and the prompts."""

    latents: Tensor
    conditionals: Sequence[Condition]
    negative: Condition | None


def edited_input(hooks: RunHooks, asked: Asked, sigma: Tensor, call: int) -> Asked:
    """Return a call as plugins leave it; `asked` has the same latents for every prompt."""
    batch, negative = asked.latents.shape[0], asked.negative
    count = len(asked.conditionals) + (negative is not None)
    shown = NetworkInput(
        torch.stack([asked.latents] * count),
        sigma,
        [_vectors(one, batch) for one in asked.conditionals],
        _vectors(negative, batch) if negative is not None else None,
        call,
    )
    hooks.before_network(shown)
    kept = [_condition(one, given) for one, given in zip(asked.conditionals, shown.conditionals, strict=True)]
    if negative is None or shown.unconditional is None:
        return Asked(shown.latents, kept, negative)
    return Asked(shown.latents, kept, _condition(negative, shown.unconditional))


def edited_output(
    hooks: RunHooks, conditionals: list[Tensor], unconditional: Tensor | None, call: int
) -> tuple[list[Tensor], Tensor | None]:
    """Return the answers to each part of the prompt, and to the negative one, as plugins leave them."""
    every = conditionals if unconditional is None else [*conditionals, unconditional]
    answered = NetworkOutput(torch.stack(every), unconditional is not None, call)
    hooks.after_network(answered)
    answers = list(answered.estimates.unbind())
    return (answers, None) if unconditional is None else (answers[:-1], answers[-1])


def _vectors(condition: Condition, batch: int) -> PromptVectors:
    pooled = condition.pooled
    context = condition.context.expand(batch, *condition.context.shape[-2:])
    return PromptVectors(context, None if pooled is None else pooled.expand(batch, pooled.shape[-1]))


def _condition(old: Condition, given: PromptVectors) -> Condition:
    """Return a prompt with vectors of its own for every picture where plugins gave it any; else the same object."""
    batch = given.context.shape[0]
    old_vectors = _vectors(old, batch)
    same = given.context is old_vectors.context or (
        given.context.shape == old_vectors.context.shape and torch.equal(given.context, old_vectors.context)
    )
    pooled_same = given.pooled is None or old_vectors.pooled is None or torch.equal(given.pooled, old_vectors.pooled)
    if same and pooled_same:
        return old
    return replace(old, context=given.context, pooled=given.pooled if old.pooled is not None else None)

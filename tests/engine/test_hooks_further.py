"""What plugins may do with their hooks besides the plain case of each, in real runs."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from modules.core.errors import PluginFailed
from modules.core.events import Remark
from modules.core.result import GenerationResult
from modules.hooks.spec import (
    BatchStart,
    CallNetwork,
    CallNext,
    Generation,
    NetworkCall,
    PassStart,
    PromptVectors,
    Sampling,
    Step,
    Walk,
)
from tests.engine.conftest import Watcher
from tests.engine.test_hooks import INPAINT, SIZE, Go, engine, go, same

__all__ = ["engine", "go"]


def test_hook_around_generate_may_make_runs_inside_the_run(go: Go) -> None:
    """A nested run has its own listeners; what it makes goes where the wrapper wants it."""
    inner, begun = Watcher(), []

    def around(generation: Generation, call_next: CallNext) -> GenerationResult:
        begun.append(generation.request.steps)
        if generation.request.steps == 3:
            request = generation.request.model_copy(update={"steps": 2})
            generation.nested(replace(generation, request=request, sink=inner))
        return call_next(generation)

    outer, _ = go(moments={"around_generate": around})
    assert begun == [3, 2]
    assert same([np.asarray(inner.images[0].pixels, dtype=int)], go(steps=2)[0])
    assert same(outer, go()[0])


def test_hook_before_batch_cannot_change_how_many_pictures_there_are(go: Go) -> None:
    def fewer(batch: BatchStart) -> None:
        batch.seeds = batch.seeds[:1]

    with pytest.raises(PluginFailed, match="how many seeds a batch of 2 pictures has"):
        go(moments={"before_batch": fewer}, batch_size=2)


def test_hook_before_pass_may_change_the_picture_that_is_worked_over(go: Go) -> None:
    seen: list[PassStart] = []

    def nothing(begun: PassStart) -> None:
        seen.append(begun)
        begun.latents = torch.zeros_like(begun.noise)

    changed, _ = go(moments={"before_pass": nothing}, **INPAINT)
    assert seen[0].painted is not None
    assert seen[0].painted.shape == (1, 1, SIZE // 8, SIZE // 8)
    assert not same(changed, go(**INPAINT)[0])


def test_hook_around_sampling_may_walk_in_its_own_way(go: Go) -> None:
    steps: list[int] = []

    def euler(sampling: Sampling, call_next: Walk) -> torch.Tensor:
        x = sampling.latents
        for index, (sigma, lower) in enumerate(pairwise(sampling.sigmas.tolist())):
            x = sampling.before_step(index, x, sigma)
            denoised = sampling.denoise(x, torch.full((x.shape[0],), sigma))
            sampling.on_step(index, x, denoised)
            x = x + (x - denoised) / sigma * (lower - sigma)
        return x

    def count(step: Step) -> None:
        steps.append(step.index)

    walked, _ = go(moments={"around_sampling": euler, "after_step": count})
    assert same(walked, go(sampler="Euler")[0])
    assert steps == [0, 1, 2]


def test_hook_around_network_may_ask_for_parts_of_the_picture(go: Go) -> None:
    shapes: list[torch.Size] = []

    def halves(call: NetworkCall, call_next: CallNetwork) -> torch.Tensor:
        left, right = call.latents.chunk(2, dim=3)
        both = torch.cat([left, right])
        vectors = PromptVectors(call.vectors.context.repeat(2, 1, 1))
        answer = call_next(replace(call, latents=both, sigma=call.sigma.repeat(2), vectors=vectors))
        shapes.append(answer.shape)
        return torch.cat(answer.chunk(2), dim=3)

    parts, _ = go(moments={"around_network": halves}, cfg_scale=7)
    assert shapes == [(4, 4, 8, 4)] * 3
    assert not same(parts, go(cfg_scale=7)[0])


def test_a_wrapper_that_fails_is_left_out_and_the_pictures_are_made(go: Go) -> None:
    calls: list[int] = []

    def broken(call: NetworkCall, call_next: CallNetwork) -> torch.Tensor:
        calls.append(1)
        raise ValueError("broken on purpose")

    made, watcher = go(strict=False, moments={"around_network": broken})
    assert same(made, go()[0])
    assert calls == [1]
    assert any("broken on purpose" in event.text for event in watcher.events if isinstance(event, Remark))

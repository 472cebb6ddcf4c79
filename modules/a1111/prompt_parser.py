"""A1111's modules.prompt_parser: the prompt language as data, and what a model makes of prompts."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import torch

from modules.prompts.grammar import parse_emphasis
from modules.prompts.schedule import Timeline, prompt_schedule, split_parts

re_AND = re.compile(r"\bAND\b")  # noqa: N816 (A1111's name)
re_break = re.compile(r"\s*\bBREAK\b\s*", re.DOTALL)
re_weight = re.compile(r"^((?:\s|.)*?)(?:\s*:\s*([-+]?(?:\d+\.?|\d*\.\d+)))?\s*$")


class SdConditioning(list[Any]):
    """Prompts with what belongs to them."""

    def __init__(
        self, prompts: Any, is_negative_prompt: bool = False, width: int | None = None, height: int | None = None,
        copy_from: Any = None, distilled_cfg_scale: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(prompts)
        source = prompts if copy_from is None else copy_from
        self.is_negative_prompt = is_negative_prompt or getattr(source, "is_negative_prompt", False)
        self.width = width or getattr(source, "width", None)
        self.height = height or getattr(source, "height", None)


class ScheduledPromptConditioning(NamedTuple):
    """What is attended to until a step."""

    end_at_step: int
    cond: Any


class ComposableScheduledPromptConditioning:
    """One of the prompts that AND joins, with its weight."""

    def __init__(self, schedules: list[ScheduledPromptConditioning], weight: float = 1.0) -> None:
        self.schedules = schedules
        self.weight = weight


class MulticondLearnedConditioning:
    """All prompts of a batch."""

    def __init__(self, shape: Any, batch: list[Any]) -> None:
        self.shape = shape
        self.batch = batch


class DictWithShape(dict[str, Any]):
    """A dictionary of tensors with the shape of the one under "crossattn"."""

    def __init__(self, x: dict[str, Any], shape: Any = None) -> None:
        super().__init__(x)

    @property
    def shape(self) -> Any:
        """The shape."""
        return self["crossattn"].shape

    def to(self, *args: Any, **kwargs: Any) -> DictWithShape:
        """Move all tensors."""
        for key in self:
            self[key] = self[key].to(*args, **kwargs)
        return self

    def advanced_indexing(self, item: Any) -> DictWithShape:
        """Return a part of every tensor."""
        return DictWithShape({key: value[item] for key, value in self.items()})


def parse_prompt_attention(text: str) -> list[list[Any]]:
    """Return the text in stretches of one weight: [text, weight]; a chunk's end is ["BREAK", -1]."""
    return [[fragment.text, fragment.weight] for fragment in parse_emphasis(text)]


def get_learned_conditioning_prompt_schedules(
    prompts: Any, base_steps: int, hires_steps: int | None = None, use_old_scheduling: bool = False
) -> list[list[list[Any]]]:
    """Return for each prompt what it is until which step: [step, text]."""
    steps = base_steps if hires_steps is None else hires_steps
    timeline = Timeline(steps, None if hires_steps is None else base_steps, use_old_scheduling)
    return [[[part.until, part.text] for part in prompt_schedule(prompt, timeline)] for prompt in prompts]


def get_multicond_prompt_list(prompts: Any) -> tuple[list[Any], Any, dict[str, int]]:
    """Return for each prompt the parts that AND divides, as (index, weight); the distinct parts; and where each is."""
    indexes: dict[str, int] = {}
    every = []
    flat = SdConditioning(prompts)
    flat.clear()
    for prompt in prompts:
        parts = []
        for part in split_parts(prompt):
            if part.text not in indexes:
                indexes[part.text] = len(flat)
                flat.append(part.text)
            parts.append((indexes[part.text], part.weight))
        every.append(parts)
    return every, flat, indexes


def get_learned_conditioning(
    model: Any, prompts: Any, steps: int, hires_steps: int | None = None, use_old_scheduling: bool = False,
) -> list[list[ScheduledPromptConditioning]]:  # fmt: skip
    """Return for each prompt what the model attends to until which step."""
    made: list[list[ScheduledPromptConditioning]] = []
    known: dict[str, list[ScheduledPromptConditioning]] = {}
    schedules = get_learned_conditioning_prompt_schedules(prompts, steps, hires_steps, use_old_scheduling)
    for prompt, schedule in zip(prompts, schedules, strict=True):
        if prompt not in known:
            texts = SdConditioning([text for _, text in schedule], copy_from=prompts)
            conds = model.get_learned_conditioning(texts)
            known[prompt] = [
                ScheduledPromptConditioning(until, _row(conds, row)) for row, (until, _) in enumerate(schedule)
            ]
        made.append(known[prompt])
    return made


def _row(conds: Any, row: int) -> Any:
    if isinstance(conds, dict):
        return {name: value[row] for name, value in conds.items()}
    return conds[row]


def get_multicond_learned_conditioning(
    model: Any, prompts: Any, steps: int, hires_steps: int | None = None, use_old_scheduling: bool = False,
) -> MulticondLearnedConditioning:  # fmt: skip
    """Return for each prompt what the model attends to for every part that AND divides, with its weight."""
    parts, flat, _ = get_multicond_prompt_list(prompts)
    learned = get_learned_conditioning(model, flat, steps, hires_steps, use_old_scheduling)
    batch = [
        [ComposableScheduledPromptConditioning(learned[place], weight) for place, weight in each] for each in parts
    ]
    return MulticondLearnedConditioning((len(prompts),), batch)


def _at(schedules: list[ScheduledPromptConditioning], step: int) -> Any:
    """Return what holds at a step, from 0; ends are compared as in A1111, which begins to count them at 1."""
    return next((each.cond for each in schedules if step <= each.end_at_step), schedules[0].cond)


def reconstruct_cond_batch(c: list[list[ScheduledPromptConditioning]], current_step: int) -> Any:
    """Return what each prompt of a batch attends to at a step, in one tensor or table."""
    conds = [_at(schedules, current_step) for schedules in c]
    if isinstance(conds[0], dict):
        return DictWithShape({name: torch.stack([cond[name] for cond in conds]) for name in conds[0]})
    return torch.stack(conds)


def stack_conds(tensors: list[Any]) -> Any:
    """Return tensors in one; shorter ones are filled up with their last vector."""
    longest = max(tensor.shape[0] for tensor in tensors)
    filled = [
        torch.cat([tensor, tensor[-1:].repeat(longest - tensor.shape[0], 1)]) if tensor.shape[0] < longest else tensor
        for tensor in tensors
    ]
    return torch.stack(filled)


def reconstruct_multicond_batch(c: MulticondLearnedConditioning, current_step: int) -> tuple[list[Any], Any]:
    """Return for each prompt its parts as (place, weight), and what all parts attend to at a step."""
    conds: list[Any] = []
    every = []
    for parts in c.batch:
        every.append([(len(conds) + place, part.weight) for place, part in enumerate(parts)])
        conds += [_at(part.schedules, current_step) for part in parts]
    if isinstance(conds[0], dict):
        names = conds[0]
        stacked = {
            name: stack_conds([cond[name] for cond in conds]) if names[name].dim() > 1
            else torch.stack([cond[name] for cond in conds])
            for name in names
        }  # fmt: skip
        return every, DictWithShape(stacked)
    return every, stack_conds(conds)

"""What a prompt is at each step: [from:to:when], [from::when], [to:when], [a|b|c], and the parts of `a AND b :0.5`.

The brackets of emphasis are left as they are; `grammar.py` reads them once the text of a step is known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_PLAIN = re.compile(r"(?:[^\\\[\]():|]|\\.)+", re.DOTALL)
_WHEN = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*\]")
_STRAY = "[]():"
_DEEPEST = 100
"""Brackets inside brackets; a prompt that goes deeper is taken as plain text."""
_AND = re.compile(r"\bAND\b")
_PART_WEIGHT = re.compile(r"(?P<text>.*?)(?:\s*:\s*(?P<weight>[-+]?(?:\d+\.?|\d*\.\d+)))?\s*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Timeline:
    """How steps are counted in one pass.

    `first_pass`: the steps of the pass before this one, None in the first; whole numbers in a prompt then count on
    from there, and fractions go from 1 to 2. `old_rule`: numbers below 1 are fractions and there are no second
    passes, as in A1111 before 1.6. A step is one call of the model, so second-order samplers have two a step.
    """

    steps: int
    first_pass: int | None = None
    old_rule: bool = False

    def step_of(self, when: str) -> int:
        """Return the last step before the change that `when` asks for; below 1: changed from the start."""
        value = float(when)
        if self.old_rule:
            return min(self.steps, int(value * self.steps if value < 1 else value))
        second = self.first_pass is not None
        if "." in when:
            return min(self.steps, int((value - (1.0 if second else 0.0)) * self.steps))
        return min(self.steps, int(value - (self.first_pass or 0)))


@dataclass(frozen=True, slots=True)
class PromptAt:
    """What the prompt is up to and with step `until` (1-based), from where the one before it ends."""

    until: int
    text: str


@dataclass(frozen=True, slots=True)
class WeightedPrompt:
    """One part of a prompt that AND divides, and its weight."""

    text: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class _Change:
    before: Sequence[_Node]
    after: Sequence[_Node]
    when: str


@dataclass(frozen=True, slots=True)
class _Alternation:
    options: Sequence[Sequence[_Node]]


_Node = str | _Change | _Alternation


class _NoPrompt(Exception):
    """The text is not of the grammar; it is then taken as it stands."""


class _Parser:
    """A recursive descent that remembers what begins where, so that stray brackets cost no second look."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.depth = 0
        self.known: dict[int, tuple[list[_Node], int] | None] = {}

    def whole(self) -> list[_Node]:
        """Return the nodes of the whole text; brackets and colons that belong to nothing are text."""
        nodes, at = self.items(0)
        while at < len(self.text):
            if self.text[at] not in _STRAY:
                raise _NoPrompt
            nodes.append(self.text[at])
            more, at = self.items(at + 1)
            nodes.extend(more)
        return nodes

    def items(self, at: int) -> tuple[list[_Node], int]:
        """Return the nodes from `at` on and where they end: at the end, or at what begins no node."""
        nodes: list[_Node] = []
        while at < len(self.text):
            plain = _PLAIN.match(self.text, at)
            if plain:
                nodes.append(plain.group())
                at = plain.end()
                continue
            found = self.bracket(at)
            if found is None:
                break
            nodes.extend(found[0])
            at = found[1]
        return nodes, at

    def bracket(self, at: int) -> tuple[list[_Node], int] | None:
        """Return the nodes of the bracket that opens at `at` and where it ends, or None when none does."""
        if self.text[at] not in "([":
            return None
        if at not in self.known:
            self.depth += 1
            if self.depth > _DEEPEST:
                raise _NoPrompt
            self.known[at] = self.round(at) if self.text[at] == "(" else self.square(at)
            self.depth -= 1
        return self.known[at]

    def round(self, at: int) -> tuple[list[_Node], int] | None:
        inside, end = self.items(at + 1)
        nodes: list[_Node] = ["(", *inside]
        if self.text.startswith(":", end):
            weight, end = self.items(end + 1)
            nodes = [*nodes, ":", *weight]
        return ([*nodes, ")"], end + 1) if self.text.startswith(")", end) else None

    def square(self, at: int) -> tuple[list[_Node], int] | None:
        first, end = self.items(at + 1)
        if self.text.startswith("]", end):
            return ["[", *first, "]"], end + 1
        if self.text.startswith("|", end):
            return self.alternation(first, end)
        return self.change(first, end) if self.text.startswith(":", end) else None

    def alternation(self, first: list[_Node], end: int) -> tuple[list[_Node], int] | None:
        options = [first]
        while self.text.startswith("|", end):
            option, end = self.items(end + 1)
            options.append(option)
        return ([_Alternation(options)], end + 1) if self.text.startswith("]", end) else None

    def change(self, first: list[_Node], end: int) -> tuple[list[_Node], int] | None:
        when = _WHEN.match(self.text, end + 1)
        if when:
            return [_Change((), first, when[1])], when.end()
        second, end = self.items(end + 1)
        when = _WHEN.match(self.text, end + 1) if self.text.startswith(":", end) else None
        return ([_Change(first, second, when[1])], when.end()) if when else None


def prompt_schedule(prompt: str, timeline: Timeline) -> list[PromptAt]:
    """Return what the prompt is over the steps of one pass, in order; a text without the grammar is one entry."""
    try:
        nodes = _Parser(prompt).whole()
    except _NoPrompt:
        return [PromptAt(timeline.steps, prompt)]
    ends = sorted({timeline.steps, *_changes(nodes, timeline)})
    return [PromptAt(end, "".join(_at(nodes, end, timeline))) for end in ends]


def _changes(nodes: Sequence[_Node], timeline: Timeline) -> Iterator[int]:
    """Yield every step after which something changes."""
    for node in nodes:
        if isinstance(node, _Change):
            step = timeline.step_of(node.when)
            if step >= 1:
                yield step
            yield from _changes(node.before, timeline)
            yield from _changes(node.after, timeline)
        elif isinstance(node, _Alternation):
            yield from range(1, timeline.steps + 1)


def _at(nodes: Sequence[_Node], step: int, timeline: Timeline) -> Iterator[str]:
    """Yield the texts of step `step` (1-based)."""
    for node in nodes:
        if isinstance(node, str):
            yield node
        elif isinstance(node, _Change):
            yield from _at(node.before if step <= timeline.step_of(node.when) else node.after, step, timeline)
        else:
            yield from _at(node.options[(step - 1) % len(node.options)], step, timeline)


def split_parts(prompt: str) -> list[WeightedPrompt]:
    """Return the parts that AND divides (Liu et al. 2022, arXiv:2206.01714), each with the weight at its end."""
    parts = []
    for text in _AND.split(prompt):
        match = _PART_WEIGHT.fullmatch(text)
        if match is None:
            parts.append(WeightedPrompt(text))
        else:
            parts.append(WeightedPrompt(match["text"], float(match["weight"]) if match["weight"] else 1.0))
    return parts

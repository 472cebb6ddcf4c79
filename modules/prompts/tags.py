"""Network tags: <lora:name:0.8>, <lora:name:te=1:unet=0.5:dyn=8>, <hypernet:name:1> and <anything:else>.

A tag is "<", a word, ":" and at least one character that is not ">"; all else in angle brackets is text, such as <3.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, NoReturn

from modules.core.errors import FieldProblem, InvalidRequest

DEFAULT_STRENGTH = 1.0

_OPENING = re.compile(r"<(\w+):(?!>)")


@dataclass(frozen=True, slots=True)
class Tag:
    """One tag: what comes before the first colon, the first argument, and the arguments after it by place or name."""

    kind: str
    name: str
    positional: tuple[str, ...] = ()
    named: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        named = (f"{key}={value}" for key, value in self.named.items())
        return f"<{':'.join((self.kind, self.name, *self.positional, *named))}>"


class LoraStrengths(NamedTuple):
    """How strongly a LoRA acts on the text encoder and on the U-Net; `rank`: cut it to this rank, None: its own."""

    text_encoder: float
    unet: float
    rank: int | None = None


def read_tags(prompt: str) -> tuple[str, tuple[Tag, ...]]:
    """Return the prompt without its tags, all else as it stood, and the tags in the order of the text."""
    kept, tags, at = [], [], 0
    while opening := _OPENING.search(prompt, at):
        end = prompt.find(">", opening.end())
        if end < 0:
            break
        kept.append(prompt[at : opening.start()])
        tags.append(_tag(opening[1], prompt[opening.end() : end]))
        at = end + 1
    return "".join(kept) + prompt[at:], tuple(tags)


def _tag(kind: str, arguments: str) -> Tag:
    name, *others = arguments.split(":")
    positional, named = [], {}
    for argument in others:
        key, equals, value = argument.partition("=")
        # Two signs of equality make it no named argument, as in A1111.
        if equals and "=" not in value:
            named[key] = value
        else:
            positional.append(argument)
    return Tag(kind, name, tuple(positional), named)


def lora_strengths(tag: Tag) -> LoraStrengths:
    """Return the strengths that a LoRA's tag asks for: 1 for the text encoder, and for the U-Net the same as for it.

    Names win over places. Raises InvalidRequest when a strength is no number, or a rank no whole number above 0.
    """
    text_encoder = _number(tag, _argument(tag, 0, "te"), DEFAULT_STRENGTH)
    unet = _number(tag, _argument(tag, 1, "unet"), text_encoder)
    return LoraStrengths(text_encoder, unet, _rank(tag, _argument(tag, 2, "dyn")))


def hypernetwork_strength(tag: Tag) -> float:
    """Return the strength that a hypernetwork's tag asks for, 1 when it names none."""
    return _number(tag, _argument(tag, 0, None), DEFAULT_STRENGTH)


def _argument(tag: Tag, place: int, name: str | None) -> str | None:
    if name is not None and name in tag.named:
        return tag.named[name]
    return tag.positional[place] if place < len(tag.positional) else None


def _number(tag: Tag, written: str | None, default: float) -> float:
    if written is None:
        return default
    try:
        value = float(written)
    except ValueError:
        value = math.nan
    return value if math.isfinite(value) else _refuse(tag, f"a number such as 0.8 instead of {written!r}")


def _rank(tag: Tag, written: str | None) -> int | None:
    if written is None:
        return None
    try:
        value = int(written)
    except ValueError:
        value = 0
    return value if value > 0 else _refuse(tag, f"a whole number above 0 as dyn instead of {written!r}")


def _refuse(tag: Tag, allowed: str) -> NoReturn:
    raise InvalidRequest([FieldProblem("prompt", "Prompt", str(tag), allowed)])

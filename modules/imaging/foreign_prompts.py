"""How other programs write weights in prompts, turned into A1111's (text:1.2)."""

from __future__ import annotations

import re
from collections.abc import Iterator

NOVELAI_FACTOR = 1.05
INVOKE_RAISE, INVOKE_LOWER = 1.1, 0.9

_NOVELAI = re.compile(r"(?P<weight>-?(?:\d+\.?\d*|\.\d+))::|(?P<end>::)|(?P<bracket>[{}\[\]])")
_ROUND = re.compile(r"(?<!\\)([()])")
_SQUARE = re.compile(r"(?<!\\)([\[\]])")
_INVOKE_NUMBER = re.compile(r"(?<!\\)\)(\d+\.\d+|\d+(?![\w.])|\.\d+)")
_INVOKE_SIGNS = re.compile(r"(?<!\\)\)(\++|-+)")
_INVOKE_WORD = re.compile(r"(?<![\w)+\-])(\w+)(\++|--+)(?=[\s,.)]|$)")
_EMBEDDING = re.compile(r"\bembedding:([^\s,:()\[\]]+)")


def from_novelai(prompt: str) -> str:
    """Return NovelAI's {more}, [less] and 1.2::this much:: in A1111's form; its round brackets are letters."""
    merged: list[tuple[str, float]] = []
    for text, weight in _novelai_runs(prompt):
        if merged and merged[-1][1] == weight:
            merged[-1] = merged[-1][0] + text, weight
        else:
            merged.append((text, weight))
    return "".join(text if weight == 1 else f"({text}:{weight:g})" for text, weight in merged if text)


def _novelai_runs(prompt: str) -> Iterator[tuple[str, float]]:
    """Yield the stretches of equal weight, round brackets escaped; closing brackets without partners are letters."""
    curly = square = at = 0
    factor = 1.0
    for match in _NOVELAI.finditer(prompt):
        yield _escaped(prompt[at : match.start()]), _novelai_weight(factor, curly - square)
        at = match.end()
        bracket = match["bracket"]
        if bracket is None:
            factor = min(float(match["weight"]), 100.0) if match["weight"] else 1.0
        elif bracket in "{[":
            curly, square = curly + (bracket == "{"), square + (bracket == "[")
        elif (curly if bracket == "}" else square) > 0:
            curly, square = curly - (bracket == "}"), square - (bracket == "]")
        else:
            yield "\\" + bracket, _novelai_weight(factor, curly - square)
    yield _escaped(prompt[at:]), _novelai_weight(factor, curly - square)


def _novelai_weight(factor: float, level: int) -> float:
    return round(factor * NOVELAI_FACTOR ** max(-100, min(100, level)), 3)


def _escaped(text: str) -> str:
    return _ROUND.sub(r"\\\1", text)


def from_comfy(prompt: str) -> str:
    """Return ComfyUI's prompt in A1111's form: its square brackets are letters, embeddings go by their name."""
    return _EMBEDDING.sub(r"\1", _SQUARE.sub(r"\\\1", prompt))


def from_invoke(prompt: str) -> str:
    """Return InvokeAI's (text)1.2, (text)++ and word+ in A1111's form; a single - after a word is a hyphen."""
    prompt = _INVOKE_NUMBER.sub(lambda match: f":{match[1]})", prompt)
    prompt = _INVOKE_SIGNS.sub(lambda match: f":{_signs(match[1]):g})", prompt)
    return _INVOKE_WORD.sub(lambda match: f"({match[1]}:{_signs(match[2]):g})", prompt)


def _signs(written: str) -> float:
    factor = INVOKE_RAISE if written.startswith("+") else INVOKE_LOWER
    return round(factor ** min(len(written), 20), 3)

"""What the prompt inspector shows: how a prompt is read, down to chunks and tokens, as plain data for JSON."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from modules.core.errors import InvalidRequest
from modules.prompts.brackets import unbalanced
from modules.prompts.chunks import COMMA_BACKTRACK, Chunk, Vocabulary, count_tokens, split_chunks
from modules.prompts.grammar import DEFAULT_EMPHASIS, Fragment, parse_emphasis, without_comments
from modules.prompts.schedule import PromptAt, Timeline, WeightedPrompt, prompt_schedule, split_parts
from modules.prompts.tags import Tag, hypernetwork_strength, lora_strengths, read_tags

LORA_KINDS = ("lora", "lyco")
HYPERNETWORK_KIND = "hypernet"

_COMMENT = re.compile(r"#[^\n]*")


@dataclass(frozen=True, slots=True)
class InspectionRules:
    """How the prompt is going to be read.

    `divides`: AND divides it, which it does not in a negative prompt. `comments`: what follows a # is left out.
    """

    vocabulary: Vocabulary
    timeline: Timeline
    mode: str = DEFAULT_EMPHASIS
    backtrack: int = COMMA_BACKTRACK
    divides: bool = True
    comments: bool = True


def inspect_prompt(prompt: str, rules: InspectionRules, network_exists: Callable[[str, str], bool]) -> dict[str, Any]:
    """Return everything about a prompt whose styles are applied; `network_exists` is asked with kind and name.

    Steps count from 1. A stage's `from` and `to` are its first and its last step.
    """
    text, tags = read_tags(without_comments(prompt) if rules.comments else prompt)
    count, room = count_tokens(text, rules.vocabulary, rules.timeline)
    parts = split_parts(text) if rules.divides else [WeightedPrompt(text)]
    return {
        "text": text,
        "comments": _COMMENT.findall(prompt) if rules.comments else [],
        "networks": [_network(tag, network_exists) for tag in tags],
        "parts": [{"weight": part.weight, "stages": _stages(part.text, rules)} for part in parts],
        "brackets": unbalanced(text),
        "tokens": count,
        "room": room,
    }


def _network(tag: Tag, network_exists: Callable[[str, str], bool]) -> dict[str, Any]:
    """Return one tag; `problem` is the reason why its strengths cannot be read, or None."""
    strengths: dict[str, float | int | None] = {}
    problem = None
    known = tag.kind in LORA_KINDS or tag.kind == HYPERNETWORK_KIND
    try:
        if tag.kind in LORA_KINDS:
            text_encoder, unet, rank = lora_strengths(tag)
            strengths = {"text_encoder": text_encoder, "unet": unet, "rank": rank}
        elif tag.kind == HYPERNETWORK_KIND:
            strengths = {"unet": hypernetwork_strength(tag)}
    except InvalidRequest as error:
        problem = str(error)
    return {
        "tag": str(tag),
        "kind": tag.kind,
        "name": tag.name,
        "strengths": strengths,
        "known": known,
        "exists": known and network_exists(tag.kind, tag.name),
        "problem": problem,
    }


def _stages(text: str, rules: InspectionRules) -> list[dict[str, Any]]:
    schedule = prompt_schedule(text, rules.timeline)
    # An alternation comes back to the same texts again and again.
    chunks = {stage.text: _chunks(stage.text, rules) for stage in schedule}
    begins = [1, *(stage.until + 1 for stage in schedule)]
    return [_stage(begin, stage, chunks[stage.text]) for begin, stage in zip(begins, schedule, strict=False)]


def _stage(begin: int, stage: PromptAt, chunks: list[dict[str, Any]]) -> dict[str, Any]:
    return {"from": begin, "to": stage.until, "text": stage.text, "chunks": chunks}


def _chunks(text: str, rules: InspectionRules) -> list[dict[str, Any]]:
    """Return the chunks of one stage; `break` says that BREAK ended one, not its length."""
    sections = _sections(parse_emphasis(text, rules.mode))
    shown: list[dict[str, Any]] = []
    for number, section in enumerate(sections, 1):
        last = number == len(sections)
        chunks = split_chunks(section, rules.vocabulary, rules.backtrack)
        if last and shown and not any(chunk.used for chunk in chunks):
            break
        shown += [_chunk(chunk, rules.vocabulary) for chunk in chunks]
        shown[-1]["break"] = not last
    return shown


def _sections(fragments: Sequence[Fragment]) -> list[list[Fragment]]:
    """Return the fragments between the breaks; each section begins a chunk of its own."""
    sections: list[list[Fragment]] = [[]]
    for fragment in fragments:
        if fragment.is_break:
            sections.append([])
        else:
            sections[-1].append(fragment)
    return sections


def _chunk(chunk: Chunk, vocabulary: Vocabulary) -> dict[str, Any]:
    embeddings = {fix.offset: fix for fix in chunk.fixes}
    tokens: list[dict[str, Any]] = []
    place = 0
    while place < chunk.used:
        fix = embeddings.get(place)
        if fix is None:
            tokens.append(_token(chunk, place, vocabulary))
            place += 1
        else:
            weight = chunk.weights[place + 1]
            tokens.append({"text": fix.name, "weight": weight, "embedding": True, "vectors": fix.vector_count})
            place += max(1, fix.vector_count)
    return {"tokens": tokens, "used": chunk.used, "break": False}


def _token(chunk: Chunk, place: int, vocabulary: Vocabulary) -> dict[str, Any]:
    """Return the token at `place`, counted from the one behind the start token, with its number."""
    token = chunk.tokens[place + 1]
    text = vocabulary.spell(token) if vocabulary.spell is not None else str(token)
    return {"text": text, "weight": chunk.weights[place + 1], "embedding": False, "id": token}

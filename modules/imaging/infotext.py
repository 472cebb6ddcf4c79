"""The text that A1111 writes into a picture: prompt, negative prompt and one line of "Key: value" pairs.

a cat
Negative prompt: blurry
Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7.0, Seed: 1, Size: 512x512, …
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from modules.core.parameters import PARAMETERS
from modules.core.request import GenerationRequest

PNG_CHUNK = "parameters"
NEGATIVE_LINE = "Negative prompt: "
DEFAULT_NOISE_SOURCE = "GPU"
"""What an absent "RNG" means, so it is not written."""


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What the run found out beyond the request: names as resolved, the picture's own seed, hash and version."""

    sampler: str
    schedule: str
    seed: int
    model_name: str
    model_hash: str | None
    version: str


def write_infotext(request: GenerationRequest, facts: RunFacts) -> str:
    """Return the infotext of one picture of `request`."""
    lines = [request.prompt]
    if request.negative_prompt:
        lines.append(NEGATIVE_LINE + request.negative_prompt)
    pairs = (f"{key}: {quoted(str(value))}" for key, value in _pairs(request, facts) if value is not None)
    lines.append(", ".join(pairs))
    return "\n".join(lines).strip()


def quoted(value: str) -> str:
    """Return `value` as it stands in the line: a JSON string when it holds a comma, a colon or a line break."""
    if any(mark in value for mark in ",:\n"):
        return json.dumps(value, ensure_ascii=False)
    return value


def _pairs(request: GenerationRequest, facts: RunFacts) -> Iterable[tuple[str, object]]:
    """Yield the pairs in A1111's order; None means that the pair is left out."""
    key = {name: parameter.infotext or parameter.label for name, parameter in PARAMETERS.items()}
    yield key["steps"], request.steps
    yield key["sampler"], facts.sampler
    yield key["scheduler"], facts.schedule
    yield key["cfg_scale"], request.cfg_scale
    yield key["seed"], facts.seed
    yield key["width"], f"{request.width}x{request.height}"
    yield "Model hash", facts.model_hash
    yield key["checkpoint"], facts.model_name
    yield key["clip_skip"], request.clip_skip if request.clip_skip > 1 else None
    yield key["noise_source"], request.noise_source if request.noise_source != DEFAULT_NOISE_SOURCE else None
    yield "Version", facts.version

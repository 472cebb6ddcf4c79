"""The infotext of a picture that the adapter describes by itself, where the engine has not described it yet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modules.a1111._host import HOST
from modules.a1111._view import Pictures, request_of
from modules.core.errors import EaselError
from modules.core.version import VERSION_TEXT
from modules.engine.plan import make_plan
from modules.imaging.infotext import RunFacts, write_infotext

TEXTS = "_easel_texts"


def keep_texts(p: Any, texts: list[str]) -> None:
    """Remember the infotexts that the engine wrote, by the pictures' indexes."""
    setattr(p, TEXTS, dict(enumerate(texts)))


def extra_pairs(p: Any, index: int) -> dict[str, str]:
    """Return what extensions note of a picture: texts, lists with a value for each, or functions of the facts."""
    pairs: dict[str, str] = {}
    facts = {
        "p": p, "index": index, "all_prompts": p.all_prompts, "all_negative_prompts": p.all_negative_prompts,
        "all_seeds": p.all_seeds, "all_subseeds": p.all_subseeds, "iteration": p.iteration,
        "position_in_batch": p.batch_index, "use_main_prompt": False,
    }  # fmt: skip
    for key, value in dict(p.extra_generation_params).items():
        if isinstance(value, list):
            value = value[index] if index < len(value) else None
        elif callable(value):
            value = value(**facts)
        if value is not None:
            pairs[str(key)] = str(value)
    return pairs


def text_of(p: Any, index: int, lists: tuple[Any, Any, Any, Any], run: Any) -> str:
    """Return a picture's infotext; `lists`: prompts, negative prompts, seeds and variation seeds of all."""
    known = getattr(p, TEXTS, None)
    if known and index in known:
        return str(known[index])
    prompt, negative, seed, subseed = (_at(values, index) for values in lists)
    request = request_of(p, run.pictures if run is not None else Pictures(HOST.connected.inputs.load))
    request = request.model_copy(update={
        "prompt": str(prompt or ""), "negative_prompt": str(negative or ""), "seed": int(seed or 0),
        "subseed": int(subseed or 0), "batch_count": 1, "batch_size": 1,
    })  # fmt: skip
    plan = make_plan(request)
    name, digest = _model(request.checkpoint)
    facts = RunFacts(
        sampler=plan.first.sampler.label, schedule=plan.first.schedule_label, seed=request.seed,
        subseed=request.subseed, model_name=name, model_hash=digest, version=VERSION_TEXT, idle=plan.idle(),
        spoken=plan.spoken(), extra=extra_pairs(p, index),
    )  # fmt: skip
    return write_infotext(request, facts)


def _at(values: Any, index: int) -> Any:
    if isinstance(values, Mapping) or not isinstance(values, (list, tuple)):
        return values
    return values[min(index, len(values) - 1)] if values else None


def _model(checkpoint: str) -> tuple[str, str | None]:
    try:
        entry = HOST.connected.files.checkpoints.find(checkpoint)
    except EaselError:
        return "", None
    return entry.model_name, entry.short_hash

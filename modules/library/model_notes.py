"""What users note of a model, in the file `<stem>.json` beside it that A1111 keeps too.

A1111's keys stand at the top; what it does not know is under the key "easel". Whatever else the file holds is kept.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from modules.core.errors import FieldProblem, InvalidRequest, StorageFailed
from modules.core.parameter import FieldError
from modules.core.parameters import PARAMETERS
from modules.library.identify import EPSILON, NATIVE_SIZES, VELOCITY
from modules.library.writing import write_whole

SD_VERSIONS = ("SD1", "SD2", "SDXL", "Unknown")
"""A1111's names for what a LoRA was made for."""
HEAVIEST = 2.0
"""The largest preferred weight; 0 means that there is none."""
DEFAULT_FIELDS = ("sampler", "scheduler", "steps", "cfg_scale", "width", "height", "clip_skip")
"""The parameters that a checkpoint may have defaults for."""
YES, NO = "yes", "no"
LONGEST_NOTE = 100_000
"""Characters."""

_OWN = "easel"
_KEYS: Mapping[str, str] = {
    "description": "description", "notes": "notes", "activation_text": "activation text",
    "preferred_weight": "preferred weight", "negative_text": "negative text", "sd_version": "sd version", "vae": "vae",
}  # fmt: skip
_OWN_KEYS = ("family", "prediction", "zero_snr", "defaults")
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "sd_version": ("", *SD_VERSIONS),
    "family": ("", *NATIVE_SIZES),
    "prediction": ("", EPSILON, VELOCITY),
    "zero_snr": ("", YES, NO),
}

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ModelNotes:
    """What is noted of one model; empty texts and 0 stand for nothing.

    `activation_text`, `negative_text`: what a LoRA wants to have in the prompts; `preferred_weight`: 0 to 2.
    `vae`: the file that a checkpoint is to be used with. `family`, `prediction`, `zero_snr` ("yes" or "no"): what a
    checkpoint is, where its file was misread. `defaults`: values of the `DEFAULT_FIELDS` for the form.
    """

    description: str = ""
    notes: str = ""
    activation_text: str = ""
    preferred_weight: float = 0.0
    negative_text: str = ""
    sd_version: str = ""
    vae: str = ""
    family: str = ""
    prediction: str = ""
    zero_snr: str = ""
    defaults: Mapping[str, Any] = field(default_factory=dict)


def notes_path(model: Path) -> Path:
    """Return the place of a model's notes; a diffusers folder has them beside it."""
    return model.with_name(f"{model.name}.json") if model.is_dir() else model.with_suffix(".json")


def read_notes(model: Path) -> ModelNotes:
    """Return what is noted of the model; values that make no sense are left out, with a line in the log."""
    content = _content(notes_path(model))
    own = content.get(_OWN)
    found = {name: content[key] for name, key in _KEYS.items() if key in content}
    found |= {name: own[name] for name in _OWN_KEYS if isinstance(own, dict) and name in own}
    values: dict[str, Any] = {}
    for name, value in found.items():
        try:
            values[name] = _checked(name, value)
        except InvalidRequest as error:
            logger.warning("%s: %s", notes_path(model).name, error)
    return ModelNotes(**values)


def write_notes(model: Path, changes: Mapping[str, object]) -> ModelNotes:
    """Change what is noted of the model. Raises InvalidRequest for wrong fields, StorageFailed.

    A file that is no table of notes is not overwritten: it may be something else that the user needs.
    """
    checked: dict[str, Any] = {}
    problems: list[FieldProblem] = []
    for name, value in changes.items():
        try:
            checked[name] = _checked(name, value)
        except InvalidRequest as error:
            problems += error.problems
    if problems:
        raise InvalidRequest(problems)
    content = _content(notes_path(model))
    if not content and notes_path(model).is_file() and notes_path(model).stat().st_size:
        raise StorageFailed(f"{notes_path(model)} holds something else than a model's notes; move it away first.")
    known = content.get(_OWN)
    own = dict(known) if isinstance(known, dict) else {}
    for name, value in checked.items():
        if name in _KEYS:
            content[_KEYS[name]] = value
        elif value:
            own[name] = value
        else:
            own.pop(name, None)
    content = {key: value for key, value in content.items() if key != _OWN} | ({_OWN: own} if own else {})
    text = json.dumps(content, indent=4, ensure_ascii=False)
    write_whole(notes_path(model), text.encode())
    return read_notes(model)


def _content(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        logger.warning("The notes %s cannot be read: %s", path, error)
        return {}
    return content if isinstance(content, dict) else {}


def _checked(name: str, value: object) -> Any:
    """Return the value of one field as it is kept. Raises InvalidRequest."""
    checks: Mapping[str, Callable[[object], Any]] = {"preferred_weight": _weight, "defaults": _defaults}
    if name in checks:
        return checks[name](value)
    if name not in _FIELDS:
        raise InvalidRequest([FieldProblem(name, name, repr(value), f"one of the fields {', '.join(_FIELDS)}")])
    text = "" if value is None else value
    if not isinstance(text, str) or len(text) > LONGEST_NOTE:
        raise _problem(name, value, f"a text of at most {LONGEST_NOTE:,} characters")
    if name in _CHOICES and text not in _CHOICES[name]:
        raise _problem(name, value, f"one of {', '.join(_CHOICES[name][1:])}, or nothing")
    return text


def _weight(value: object) -> float:
    try:
        weight = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        weight = -1.0
    if not 0 <= weight <= HEAVIEST:
        raise _problem("preferred_weight", value, f"a number from 0 (none) to {HEAVIEST:g}")
    return weight


def _defaults(value: object) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise _problem("defaults", value, "a table of values by field")
    parsed: dict[str, Any] = {}
    problems: list[FieldProblem] = []
    for name, given in value.items():
        if name not in DEFAULT_FIELDS:
            problems.append(FieldProblem(str(name), str(name), repr(given), f"one of {', '.join(DEFAULT_FIELDS)}"))
            continue
        try:
            parsed[name] = PARAMETERS[name].parse(given)
        except FieldError as error:
            problems.append(error.problem)
    if problems:
        raise InvalidRequest(problems)
    return parsed


def _problem(name: str, value: object, allowed: str) -> InvalidRequest:
    return InvalidRequest([FieldProblem(name, name.replace("_", " ").capitalize(), repr(value)[:200], allowed)])


_FIELDS = tuple(each.name for each in fields(ModelNotes))

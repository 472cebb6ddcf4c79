"""An infotext in the making, out of another program's JSON: values are taken key by key, and what is left is told."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from modules.imaging.parsing import Infotext

LONGEST_NOTE = 80

_MODEL_SUFFIX = re.compile(r"\.(safetensors|ckpt|pt|pth|bin)$", re.IGNORECASE)
_HASH = re.compile(r"[0-9a-f]{10,64}")


@dataclass(frozen=True, slots=True)
class Converted:
    """What another program's data means in A1111's terms; `unmapped` says in words what has no counterpart."""

    source: str
    infotext: Infotext
    unmapped: tuple[str, ...] = ()


@dataclass(slots=True)
class Draft:
    """The parts of an infotext so far. Values that are missing or of the wrong type leave no pair."""

    source: str
    prompt: str = ""
    negative_prompt: str = ""
    pairs: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def pair(self, key: str, value: object) -> None:
        """Add a pair, unless the value is no text and no number."""
        written = plain(value)
        if written:
            self.pairs[key] = written

    def size(self, width: object, height: object) -> None:
        """Add the size, unless one of the two is no number."""
        if plain(width).isdecimal() and plain(height).isdecimal():
            self.pairs["Size"] = f"{plain(width)}x{plain(height)}"

    def model_hash(self, value: object) -> None:
        """Add the first ten digits of a file's SHA-256; other kinds of hash mean nothing here."""
        written = plain(value)
        if _HASH.fullmatch(written):
            self.pairs["Model hash"] = written[:10]

    def named(self, key: str, value: object, names: Mapping[str, str]) -> None:
        """Add a pair whose value goes by another name here; one without a counterpart is noted."""
        written = plain(value)
        if written in names:
            self.pairs[key] = names[written]
        elif written:
            self.note(key, value)

    def lora(self, name: object, text_encoder: object, unet: object) -> None:
        """Add a LoRA's tag to the prompt."""
        file, first, second = model_name(name), plain(text_encoder) or "1", plain(unet) or "1"
        if file and file != "None":
            strengths = first if first == second else f"{first}:{second}"
            self.prompt += f" <lora:{file}:{strengths}>" if self.prompt else f"<lora:{file}:{strengths}>"

    def note(self, what: str, value: object = None) -> None:
        """Note what has no counterpart, shortened, and once."""
        shown = "" if value is None else f": {plain(value) or json.dumps(value, default=str)}"
        sentence = what + (shown if len(shown) <= LONGEST_NOTE else shown[: LONGEST_NOTE - 1] + "…")
        if sentence not in self.notes:
            self.notes.append(sentence)

    def note_rest(self, data: Mapping[str, Any], known: Collection[str]) -> None:
        """Note every value that says something, under its key, but for the known ones."""
        for key, value in data.items():
            if key not in known and value not in (None, "", False, 0, [], {}):
                self.note(str(key).replace("_", " "), value)

    def done(self) -> Converted:
        """Return the result."""
        return Converted(self.source, Infotext(self.prompt, self.negative_prompt, self.pairs), tuple(self.notes))


def plain(value: object) -> str:
    """Return a text, a number or a truth value as an infotext writes it, and nothing for all else."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8").strip()
    if isinstance(value, float) and not math.isfinite(value):
        return ""
    return str(value) if isinstance(value, int | float) else ""


def number(value: object) -> float | None:
    """Return the number that a value is or spells, or None."""
    try:
        found = float(plain(value))
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def model_name(value: object) -> str:
    """Return a model file's name without its folders and its suffix."""
    return _MODEL_SUFFIX.sub("", re.split(r"[\\/]", plain(value))[-1])


def json_object(text: str | None) -> dict[str, Any] | None:
    """Return the JSON object that a text is, or None, whatever is wrong with it."""
    try:
        found = json.loads(text or "")
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def mapping(value: object) -> dict[str, Any]:
    """Return a value that is a JSON object, or an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[Any]:
    """Return a value that is a JSON list, or an empty one."""
    return value if isinstance(value, list) else []

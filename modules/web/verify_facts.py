"""What was the same and what was not when a picture was made again: models, networks, noise, versions, prompts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from modules.imaging.infotext import unread_pairs
from modules.imaging.parsing import Infotext
from modules.library.hashing import SHORT_LENGTH
from modules.prompts.grammar import BREAK_TEXT, uses_emphasis
from modules.prompts.inspection import LORA_KINDS
from modules.prompts.schedule import Timeline, prompt_schedule, split_parts
from modules.prompts.tags import read_tags
from modules.sampling import registry

ASIDE = frozenset({
    "Model hash", "VAE hash", "Version", "Lora hashes", "TI hashes", "Hashes", "User", "Batch size", "Batch pos",
})  # fmt: skip
"""Pairs that no parameter stands for and that change no pixel, or that have a fact of their own."""
NOT_NAMED = "not named"
OWN_VAE = "the checkpoint's own"
_SAME_RULES = ("Easel", "A1111")
"""Programs whose pictures are made by the rules that hold here."""
_LOSSY = frozenset({"JPEG", "AVIF", "GIF"})
_NETWORK_KEYS: Mapping[str, str] = {"Lora hashes": "LoRA", "TI hashes": "Embedding"}
_NETWORK = re.compile(r"\s*([^:,]+):\s*([0-9a-fA-F]+)")


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that matters: as it was when the picture was made, as it is now; `same` is None when nobody knows."""

    name: str
    then: str
    now: str
    same: bool | None

    def message(self) -> dict[str, Any]:
        """Return it as the page gets it."""
        return {"name": self.name, "then": self.then, "now": self.now, "same": self.same}


@dataclass(frozen=True, slots=True)
class Making:
    """How a picture came to be: its infotext, the program and the file, its size in pixels."""

    infotext: Infotext
    program: str | None
    file_format: str
    size: tuple[int, int]
    notes: tuple[str, ...] = field(default=())

    @property
    def pairs(self) -> Mapping[str, str]:
        """The pairs of the infotext."""
        return self.infotext.pairs


def compare_makings(then: Making, now: Making) -> list[Fact]:
    """Return everything that is known to matter for a picture, the same or not."""
    facts = [
        *_programs(then, now),
        _model(then.pairs, now.pairs),
        _vae(then.pairs, now.pairs),
        *_networks(then.pairs, now.pairs),
        _sampler(then.pairs, now.pairs),
        _noise(then.pairs, now.pairs),
        *_prompt(then.infotext),
        Fact("Size in pixels", _size(then.size), _size(now.size), then.size == now.size),
        *_file(then.file_format, now.file_format),
    ]
    facts += [
        Fact(key, value, now.pairs.get(key, "not known here"), now.pairs.get(key) == value)
        for key, value in unread_pairs(then.infotext).items()
        if key not in ASIDE
    ]
    facts += [Fact("Could not be taken over", note, "", False) for note in then.notes]
    return facts


def _programs(then: Making, now: Making) -> Iterator[Fact]:
    if then.program not in (None, *_SAME_RULES):
        yield Fact("Program", str(then.program), "Easel", False)
    before, after = then.pairs.get("Version"), now.pairs.get("Version", "")
    yield Fact("Version", before or NOT_NAMED, after or NOT_NAMED, before == after if before and after else None)


def _model(then: Mapping[str, str], now: Mapping[str, str]) -> Fact:
    before, after = (_named(pairs.get("Model"), pairs.get("Model hash")) for pairs in (then, now))
    return Fact("Model", before, after, _same_hash(then.get("Model hash"), now.get("Model hash")))


def _vae(then: Mapping[str, str], now: Mapping[str, str]) -> Fact:
    if "VAE" not in then and "VAE hash" not in then:
        used = _named(now.get("VAE"), now.get("VAE hash")) if "VAE" in now else OWN_VAE
        return Fact("VAE", OWN_VAE, used, used == OWN_VAE)
    used = _named(now.get("VAE"), now.get("VAE hash")) if "VAE" in now else OWN_VAE
    same = False if "VAE" not in now else _same_hash(then.get("VAE hash"), now.get("VAE hash"))
    return Fact("VAE", _named(then.get("VAE"), then.get("VAE hash")), used, same)


def _networks(then: Mapping[str, str], now: Mapping[str, str]) -> Iterator[Fact]:
    """Yield a fact for each LoRA and embedding that either of the two used."""
    for key, kind in _NETWORK_KEYS.items():
        before, after = (dict(_NETWORK.findall(pairs.get(key, ""))) for pairs in (then, now))
        for name in dict.fromkeys([*before, *after]):
            same = _same_hash(before.get(name), after.get(name)) if name in after else False
            yield Fact(f"{kind} {name}", before.get(name, NOT_NAMED), after.get(name, "not found here"), same)


def _sampler(then: Mapping[str, str], now: Mapping[str, str]) -> Fact:
    told = [", ".join(filter(None, (pairs.get("Sampler"), pairs.get("Schedule type")))) for pairs in (then, now)]
    resolved = [_resolved(pairs) for pairs in (then, now)]
    return Fact("Sampler", told[0] or NOT_NAMED, told[1] or NOT_NAMED, resolved[0] == resolved[1])


def _resolved(pairs: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the labels of sampler and schedule that the names mean, None when they mean nothing here."""
    try:
        sampler, schedule = registry.resolve(pairs.get("Sampler", ""), pairs.get("Schedule type", registry.AUTOMATIC))
    except KeyError:
        return None
    return sampler.label, schedule.label


def _noise(then: Mapping[str, str], now: Mapping[str, str]) -> Fact:
    """Tell where the noise came from; what a graphics card draws is another matter on another maker's card."""
    before, after = then.get("RNG", "GPU"), now.get("RNG", "GPU")
    if before == after == "GPU":
        return Fact("Noise", "GPU: of the device that made the picture", "GPU: of this machine's device", None)
    return Fact("Noise", before, after, before == after)


def _prompt(infotext: Infotext) -> Iterator[Fact]:
    texts = [infotext.prompt, infotext.negative_prompt]
    plain = [read_tags(text)[0] for text in texts]
    timeline = Timeline(int(infotext.pairs.get("Steps", "1")) if infotext.pairs.get("Steps", "").isdecimal() else 1)
    features = {
        "emphasis": any(uses_emphasis(text) for text in plain),
        "prompt editing": any(len(prompt_schedule(text, timeline)) > 1 for text in plain),
        "AND": len(split_parts(plain[0])) > 1,
        "BREAK": any(BREAK_TEXT in text for text in plain),
        "networks": plain[0] != texts[0],
    }
    used = ", ".join(name for name, does in features.items() if does)
    yield Fact("Prompt", used or "plain text", "read by A1111's rules", True)
    for tag in read_tags(infotext.prompt)[1]:
        if tag.kind not in LORA_KINDS:
            yield Fact(f"Network {tag.name}", str(tag), f"networks of the kind {tag.kind} are not read", False)


def _file(then: str, now: str) -> Iterator[Fact]:
    if then in _LOSSY:
        yield Fact("File format", f"{then}, which changes pixels", now, False)
    elif then != now:
        yield Fact("File format", f"{then}, which may change pixels", now, None)


def _named(name: str | None, short_hash: str | None) -> str:
    return f"{name or NOT_NAMED} [{short_hash}]" if short_hash else name or NOT_NAMED


def _same_hash(then: str | None, now: str | None) -> bool | None:
    """Compare two hashes that may be cut off at different lengths.

    None when one is missing, or so short that it is no SHA-256: A1111's first versions hashed a part of the file.
    """
    length = min(len(then or ""), len(now or ""))
    if then is None or now is None or length < SHORT_LENGTH:
        return None
    return then[:length].casefold() == now[:length].casefold()


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"

"""Networks of an infotext under their names here: renamed files are found by hash, old keys become tags."""

from __future__ import annotations

import re
from collections.abc import Mapping

from modules.imaging.parsing import Infotext
from modules.library.files import ModelFiles
from modules.library.network_files import NetworkFile, NetworkFolder

BY_ALIAS = "Alias from file"
"""The value of the option `lora_preferred_name` that asks for the name which a file's maker gave it."""
HYPERNETWORK_KEYS = ("Hypernet", "Hypernet hash", "Hypernet strength")
"""What A1111 wrote before version 1.0 in the place of a tag."""
ADDITIONAL_PREFIX = "AddNet "
"""What the keys begin with that the extension sd-webui-additional-networks wrote."""
_TAG_START = re.compile(r"<(lora|lyco):([^:>]+)(?=[:>])")
_HASH_AT_END = re.compile(r"\s*\([0-9a-fA-F]+\)$")
_MODULE = re.compile(rf"{ADDITIONAL_PREFIX}Module (\d+)")
_SHORTEST_HASH = 8


def with_present_names(infotext: Infotext, files: ModelFiles, preferred: str = BY_ALIAS) -> Infotext:
    """Return the infotext with its prompts' networks under present names; `preferred`: see `BY_ALIAS`."""
    pairs = dict(infotext.pairs)
    texts = {"": infotext.prompt + _old_tags(pairs), "Negative prompt": infotext.negative_prompt}
    texts |= {key: pairs[key] for key in ("Hires prompt", "Hires negative prompt") if key in pairs}
    loras, embeddings = _hashes(pairs.get("Lora hashes", "")), _hashes(pairs.get("TI hashes", ""))
    for key, text in texts.items():
        if files.loras is not None and loras:
            text = _with_loras(text, loras, files.loras, preferred)
        if files.embeddings is not None and embeddings:
            text = _with_embeddings(text, embeddings, files.embeddings)
        texts[key] = text
    prompt, negative = texts.pop(""), texts.pop("Negative prompt")
    return Infotext(prompt, negative, pairs | texts)


def preferred_name(file: NetworkFile, folder: NetworkFolder, preferred: str = BY_ALIAS) -> str:
    """Return by what a prompt is to call a file: its alias, if that is asked for and finds the file, else its name."""
    if preferred == BY_ALIAS and file.alias and folder.find(file.alias) == file:
        return file.alias
    return folder.name_of(file) or file.name


def _with_loras(text: str, hashes: Mapping[str, str], folder: NetworkFolder, preferred: str) -> str:
    def renamed(match: re.Match[str]) -> str:
        short = hashes.get(match[2].replace(",", ""))
        file = folder.with_hash(short) if short is not None else None
        return f"<{match[1]}:{preferred_name(file, folder, preferred)}" if file is not None else match[0]

    return _TAG_START.sub(renamed, text)


def _with_embeddings(text: str, hashes: Mapping[str, str], folder: NetworkFolder) -> str:
    for name, short in hashes.items():
        file = folder.with_hash(short) if folder.find(name) is None else None
        if file is not None:
            whole = re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w-])", re.IGNORECASE)
            text = whole.sub(file.name.replace("\\", r"\\"), text)
    return text


def _hashes(text: str) -> dict[str, str]:
    """Return the hashes of "name: hash, other: hash" by name."""
    pairs = (part.rpartition(":") for part in text.split(","))
    found = {name.strip(): short.strip() for name, _, short in pairs}
    return {name: short for name, short in found.items() if name and len(short) >= _SHORTEST_HASH}


def _old_tags(pairs: Mapping[str, str]) -> str:
    """Return the tags that old keys mean."""
    tags = []
    if name := pairs.get("Hypernet"):
        tags.append(f"<hypernet:{_HASH_AT_END.sub('', name)}:{pairs.get('Hypernet strength', '1.0')}>")
    additional = []
    for key, kind in pairs.items():
        number = _MODULE.fullmatch(key)
        name = pairs.get(f"{ADDITIONAL_PREFIX}Model {number[1]}") if number and kind == "LoRA" else None
        if number and name:
            strength = pairs.get(f"{ADDITIONAL_PREFIX}Weight A {number[1]}", "1.0")
            additional.append(f"<lora:{_HASH_AT_END.sub('', name)}:{strength}>")
    return "".join(tags) + ("\n" + "".join(additional) if additional else "")

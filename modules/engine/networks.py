"""From the network tags of a prompt to what is put into the weights, and what infotexts say of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from modules.core.errors import NetworkUnavailable
from modules.engine.models import LoadedModel
from modules.library.files import ModelFiles
from modules.library.network_files import NetworkFile, NetworkFolder
from modules.networks.hypernets import HypernetworkUse
from modules.networks.patching import LoraUse
from modules.prompts.inspection import HYPERNETWORK_KIND, LORA_KINDS
from modules.prompts.tags import Tag, hypernetwork_strength, lora_strengths

LORA_HASHES = "Lora hashes"
EMBEDDING_HASHES = "TI hashes"
_NOT_IN_NAMES = re.compile(r"[:,]")


@dataclass(frozen=True, slots=True)
class ChosenNetworks:
    """The networks of one prompt; the names that it gives to LoRAs, and their hashes by file."""

    uses: tuple[LoraUse, ...] = ()
    hypernetworks: tuple[HypernetworkUse, ...] = ()
    names: Mapping[LoraUse, str] = field(default_factory=dict)
    hashes: Mapping[Path, str] = field(default_factory=dict)


def choose_networks(tags: Sequence[Tag], files: ModelFiles, say: Callable[[str], None]) -> ChosenNetworks:
    """Return what the tags ask for. What is not there or cannot be read is left out, which `say` is told.

    As in A1111, a LoRA that is named twice by the same name acts twice with the later strength. Raises InvalidRequest
    for a strength that is no number.
    """
    uses: list[LoraUse] = []
    hypernetworks: list[HypernetworkUse] = []
    names: dict[LoraUse, str] = {}
    hashes: dict[Path, str] = {}
    last = {tag.name: tag for tag in tags if tag.kind in LORA_KINDS}
    for tag in tags:
        folder = folder_of(tag.kind, files)
        file = _find(tag, folder)
        if folder is None or file is None:
            say(f"The prompt's {tag} was left out: there is no such network.")
        elif tag.kind == HYPERNETWORK_KIND:
            hypernetworks.append(HypernetworkUse(file, hypernetwork_strength(tag)))
        else:
            strengths = lora_strengths(last[tag.name])
            use = LoraUse(file, strengths.text_encoder, strengths.unet, strengths.rank)
            try:
                hashes[file.path] = folder.short_hash(file)
            except NetworkUnavailable as error:
                say(f"The prompt's {tag} was left out. {error}")
                continue
            uses.append(use)
            names[use] = _NOT_IN_NAMES.sub("", tag.name)
    return ChosenNetworks(tuple(uses), tuple(hypernetworks), names, hashes)


def folder_of(kind: str, files: ModelFiles) -> NetworkFolder | None:
    """Return where the networks of a kind of tag lie, None for an unknown kind."""
    if kind in LORA_KINDS:
        return files.loras
    return files.hypernetworks if kind == HYPERNETWORK_KIND else None


def _find(tag: Tag, folder: NetworkFolder | None) -> NetworkFile | None:
    """Return the file of a tag; the folders are looked at again before it counts as missing."""
    if folder is None:
        return None
    found = folder.find(tag.name)
    if found is None:
        folder.refresh()
        found = folder.find(tag.name)
    return found


@dataclass(slots=True)
class NetworkUser:
    """Puts networks into the models of one run, tells the user once of what cannot be used, and knows what was used.

    `bundled_hashes`: embeddings that LoRAs bring along are named in the infotext.
    """

    say: Callable[[str], None]
    bundled_hashes: bool = True
    used: dict[str, str] = field(default_factory=dict)
    """The hash of every LoRA that acted, by the name that the prompt gives it."""
    _said: set[str] = field(default_factory=set)

    def put(self, chosen: ChosenNetworks, model: LoadedModel, look: Callable[[], None], quiet: bool = False) -> None:
        """Have exactly these networks in a model; `quiet`: a refiner, for which prompts' networks are not made."""
        outcome, refused = model.set_networks(chosen.uses, chosen.hypernetworks, look)
        self.used |= {
            name: chosen.hashes[use.file.path] for use, name in chosen.names.items() if use not in outcome.refused
        }
        names = chosen.names if self.bundled_hashes else {}
        texts = [*outcome.refused.values(), *outcome.remarks, *refused.values()]
        texts += model.set_bundled(outcome.bundled, names)
        for text in texts if not quiet else ():
            if text not in self._said:
                self._said.add(text)
                self.say(text)


def infotext_hashes(loras: Mapping[str, str], embeddings: Mapping[str, str]) -> dict[str, str]:
    """Return the pairs that infotexts hold: the hashes of LoRAs and of embeddings, by name."""
    pairs = {EMBEDDING_HASHES: _joined(embeddings), LORA_HASHES: _joined(loras)}
    return {key: text for key, text in pairs.items() if text}


def embedding_hashes(model: LoadedModel, names: Iterable[str]) -> dict[str, str]:
    """Return the hash of every embedding in `names` that a model knows and that has one."""
    found = ((name, model.conditioner.embedding(name)) for name in dict.fromkeys(names))
    return {
        _NOT_IN_NAMES.sub("", name): embedding.short_hash
        for name, embedding in found
        if embedding is not None and embedding.short_hash
    }


def vae_facts(model: LoadedModel, files: ModelFiles) -> tuple[str, str] | None:
    """Return name and hash of the VAE that a file of its own gave, None for the checkpoint's own."""
    if model.vae_file is None or files.vaes is None:
        return None
    return model.vae_file.name, files.vaes.short_hash(model.vae_file)


def _joined(hashes: Mapping[str, str]) -> str:
    return ", ".join(f"{name}: {short_hash}" for name, short_hash in hashes.items())

"""From the network tags of a prompt to what is put into the weights, and what infotexts say of it."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from modules.core.events import Remark
from modules.core.ports import RunSink
from modules.engine.models import LoadedModel
from modules.library.files import ModelFiles
from modules.library.network_files import NetworkFile, NetworkFolder
from modules.networks.patching import LoraUse
from modules.prompts.inspection import LORA_KINDS
from modules.prompts.tags import Tag, lora_strengths

LORA_HASHES = "Lora hashes"
EMBEDDING_HASHES = "TI hashes"
_NOT_IN_NAMES = re.compile(r"[:,]")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ChosenNetworks:
    """The LoRAs of one prompt, and their hashes by the name that the prompt gives them."""

    uses: tuple[LoraUse, ...] = ()
    hashes: Mapping[str, str] = field(default_factory=dict)


def choose_networks(tags: Sequence[Tag], loras: NetworkFolder | None, sink: RunSink) -> ChosenNetworks:
    """Return what the tags ask for. What is not there is left out, with a remark to the user.

    Raises InvalidRequest for a strength that is no number.
    """
    uses: list[LoraUse] = []
    hashes: dict[str, str] = {}
    for tag in tags:
        file = _find(tag, loras)
        if loras is None or file is None:
            text = f"The prompt's {tag} was left out: there is no such network."
            logger.warning("%s", text)
            sink.publish(Remark(text))
            continue
        strengths = lora_strengths(tag)
        uses.append(LoraUse(file, strengths.text_encoder, strengths.unet, strengths.rank))
        hashes[_NOT_IN_NAMES.sub("", tag.name)] = loras.short_hash(file)
    return ChosenNetworks(tuple(uses), hashes)


def _find(tag: Tag, loras: NetworkFolder | None) -> NetworkFile | None:
    """Return the LoRA of a tag; the folders are looked at again before it counts as missing."""
    if loras is None or tag.kind not in LORA_KINDS:
        return None
    found = loras.find(tag.name)
    if found is None:
        loras.refresh()
        found = loras.find(tag.name)
    return found


def infotext_hashes(chosen: Iterable[ChosenNetworks], embeddings: Mapping[str, str]) -> dict[str, str]:
    """Return the pairs that infotexts hold: the hashes of LoRAs and of embeddings, by name."""
    loras = {name: short_hash for networks in chosen for name, short_hash in networks.hashes.items()}
    pairs = {EMBEDDING_HASHES: _joined(embeddings), LORA_HASHES: _joined(loras)}
    return {key: text for key, text in pairs.items() if text}


def embedding_hashes(model: LoadedModel, names: Iterable[str]) -> dict[str, str]:
    """Return the hash of every embedding in `names` that a model knows."""
    found = ((name, model.conditioner.embedding(name)) for name in dict.fromkeys(names))
    return {name: embedding.short_hash for name, embedding in found if embedding is not None}


def vae_facts(model: LoadedModel, files: ModelFiles) -> tuple[str, str] | None:
    """Return name and hash of the VAE that a file of its own gave, None for the checkpoint's own."""
    if model.vae_file is None or files.vaes is None:
        return None
    return model.vae_file.name, files.vaes.short_hash(model.vae_file)


def _joined(hashes: Mapping[str, str]) -> str:
    return ", ".join(f"{name}: {short_hash}" for name, short_hash in hashes.items())

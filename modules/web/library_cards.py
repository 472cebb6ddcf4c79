"""Models of the library as the page's cards and dialogs show them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Self

from modules.core.parameters import PARAMETERS
from modules.library.cards import ENDING_TAGS, Model, shown
from modules.library.catalog import CheckpointEntry
from modules.library.hashing import NETWORK_SHORT_LENGTH, SHORT_LENGTH
from modules.library.identify import EPSILON, NATIVE_SIZES, VELOCITY, Identity, Unusable, identify_file, identify_folder
from modules.library.model_kinds import CHECKPOINT, HYPERNETWORK, LORA, VAE
from modules.library.model_notes import DEFAULT_FIELDS, HEAVIEST, NO, SD_VERSIONS, YES, ModelNotes
from modules.library.network_files import NetworkFolder
from modules.library.shelves import ModelLibrary, Page
from modules.library.training import raw_metadata, tag_counts, training_facts
from modules.settings.schema import OPTIONS
from modules.web.network_names import BY_ALIAS, preferred_name
from modules.web.services import WebServices

FAMILIES: Mapping[str, str] = {"sd1": "SD 1.x", "sd2": "SD 2.x", "sdxl": "SDXL", "sdxl_refiner": "SDXL refiner"}
VERSIONS: Mapping[str, str] = {"SD1": "SD 1.x", "SD2": "SD 2.x", "SDXL": "SDXL"}
PREDICTIONS: Mapping[str, str] = {EPSILON: "noise (epsilon)", VELOCITY: "velocity (v)"}
TAGS: Mapping[str, str] = {LORA: "lora", HYPERNETWORK: "hypernet"}
"""The word before the name in a prompt's tag."""
MULTIPLIER_OPTION = "extra_networks_default_multiplier"
VAE_OPTION = "sd_vae"
NAME_OPTION = "lora_preferred_name"
LONGEST_DESCRIPTION = 400
_UNITS = ("bytes", "KB", "MB", "GB", "TB")


@dataclass(frozen=True, slots=True)
class CardRules:
    """What of the options decides on what a card inserts.

    `weight`: of a network that has no preferred one. `loras`: where a LoRA's alias is looked up; None for names only.
    """

    weight: float
    loras: NetworkFolder | None

    @classmethod
    def of(cls, all_read: bool, services: WebServices) -> Self:
        """Return the rules of now. Until every header was read nobody knows which aliases are shared by several."""
        settings = services.settings
        weight = float(str(settings.get(MULTIPLIER_OPTION))) if MULTIPLIER_OPTION in OPTIONS else 1.0
        by_alias = NAME_OPTION in OPTIONS and settings.get(NAME_OPTION) == BY_ALIAS
        return cls(weight, services.files.loras if all_read and by_alias else None)

    def names_of(self, model: Model) -> list[str]:
        """Return how prompts may name a network, the preferred way first; nothing for one that they cannot name."""
        if not model.call:
            return []
        alias = model.file.alias if model.file is not None and model.known_facts is not None else ""
        writable = alias and not any(character in alias for character in ENDING_TAGS)
        if self.loras is not None and model.kind == LORA and model.file is not None and writable:
            first = preferred_name(model.file, self.loras)
            return list(dict.fromkeys((first, model.call, alias)))
        return list(dict.fromkeys((model.call, alias))) if writable and model.kind == LORA else [model.call]


def describe_page(page: Page, library: ModelLibrary, services: WebServices) -> dict[str, Any]:
    """Return a page of cards."""
    rules = CardRules.of(page.unread == 0, services)
    return {
        "models": [describe_card(model, library, rules) for model in page.models],
        "total": page.total,
        "all": page.all,
        "revision": page.revision,
        "folders": [{"path": path, "count": count} for path, count in page.folders.items()],
        "unread": page.unread,
        "problems": list(page.problems),
        "vae": services.settings.get(VAE_OPTION),
    }


def describe_card(model: Model, library: ModelLibrary, rules: CardRules) -> dict[str, Any]:
    """Return what one card shows, and what a click on it does; `known_tags` are all that stand for the model."""
    notes = library.notes(model)
    tag = TAGS.get(model.kind)
    names = rules.names_of(model) if tag else []
    return {
        "id": model.id,
        "name": model.name,
        "relative": model.relative,
        "description": library.description(model)[:LONGEST_DESCRIPTION],
        "problem": model.problem,
        "version": version_of(model, notes),
        "preview": preview_address(model, library),
        "call": model.call,
        "tag": f"{tag}:{names[0]}" if names else "",
        "known_tags": [f"{tag}:{name}" for name in names],
        "weight": notes.preferred_weight or rules.weight,
        "activation": notes.activation_text if tag else "",
        "negative": notes.negative_text if tag else "",
    }


def describe_model(model: Model, library: ModelLibrary, services: WebServices) -> dict[str, Any]:
    """Return everything that the dialogs show of a model."""
    # The header is read for the metadata anyway, so its facts may as well be known from now on.
    library.read(model)
    metadata = model.file.metadata if model.file is not None else {}
    digest = library.hash_of(model)
    return {
        "card": describe_card(model, library, CardRules.of(library.unread(model.kind) == 0, services)),
        "facts": _facts(model, library.notes(model), digest),
        "training": training_facts(metadata),
        "tags": tag_counts(metadata),
        "metadata": raw_metadata(metadata),
        "notes": {**asdict(library.notes(model)), "defaults": dict(library.notes(model).defaults)},
        "description": library.description(model),
        "identity": _identity(model.entry) if model.kind == CHECKPOINT and model.entry is not None else None,
        "choices": _choices(services),
        "heaviest": HEAVIEST,
        "defaults": [{"name": name, "label": PARAMETERS[name].label} for name in DEFAULT_FIELDS],
    }


def preview_address(model: Model, library: ModelLibrary) -> str | None:
    """Return where a model's small preview is served; the address changes with the picture."""
    picture = library.preview(model)
    if picture is None:
        return None
    try:
        changed = picture.stat().st_mtime_ns
    except OSError:
        return None
    return f"/easel/library/{model.kind}/previews/{model.id}?v={changed:x}"


def version_of(model: Model, notes: ModelNotes) -> str:
    """Return in a word which models a file is or was made for."""
    if model.entry is not None:
        return FAMILIES.get(model.entry.family, "") if model.entry.usable else ""
    facts = model.known_facts
    return VERSIONS.get(notes.sd_version or (facts.sd_version if facts else ""), "")


def size_in_words(size: int) -> str:
    """Return a size in bytes as people say it."""
    amount, unit = float(size), 0
    while amount >= 1000 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1000, unit + 1
    return f"{size} {_UNITS[0]}" if unit == 0 else f"{amount:.3g} {_UNITS[unit]}"


def _facts(model: Model, notes: ModelNotes, digest: str | None) -> list[tuple[str, str]]:
    length = SHORT_LENGTH if model.kind in (CHECKPOINT, VAE) else NETWORK_SHORT_LENGTH
    alias = model.known_facts.alias if model.known_facts is not None else ""
    facts = [
        ("Path", model.relative),
        ("Calls itself", shown(alias) if alias != model.name else ""),
        ("Made for", version_of(model, notes)),
        ("Problem", model.problem),
        ("Size", size_in_words(model.size) if model.size else ""),
        ("Changed", _time(model.changed / 1e9)),
        ("Added", _time(model.created)),
        ("Hash", digest[:length] if digest else "not known yet"),
        ("SHA-256", digest or ""),
    ]
    return [(label, value) for label, value in facts if value]


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M") if seconds else ""


def _identity(entry: CheckpointEntry) -> dict[str, str]:
    """Return in words what names and shapes alone say of a checkpoint."""
    try:
        found: Identity = identify_folder(entry.path) if entry.path.is_dir() else identify_file(entry.path)
    except Unusable as error:
        return {"problem": str(error), "family": "", "prediction": "", "zero_snr": "", "variant": ""}
    return {
        "problem": "",
        "family": FAMILIES.get(found.family, found.family),
        "prediction": PREDICTIONS.get(found.prediction or "", "to be asked of the model"),
        "zero_snr": "yes" if found.zero_snr else "no",
        "variant": found.variant,
    }


def _choices(services: WebServices) -> dict[str, list[tuple[str, str]]]:
    """Return the value and the text of every choice in the editor."""
    lists = services.lists
    return {
        "sd_version": [(value, VERSIONS.get(value, value)) for value in SD_VERSIONS],
        "family": [(value, FAMILIES.get(value, value)) for value in NATIVE_SIZES],
        "prediction": list(PREDICTIONS.items()),
        "zero_snr": [(YES, "yes"), (NO, "no")],
        "vae": [(name, name) for name in lists.names("vaes")],
        "sampler": [(name, name) for name in lists.names("samplers")],
        "scheduler": [(name, name) for name in lists.names("schedulers")],
    }

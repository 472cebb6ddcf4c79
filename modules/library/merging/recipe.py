"""What the checkpoint merger is asked for, checked before anything is read, and what the result is called and tells.

Names, options and metadata are AUTOMATIC1111's, so that its users and programs know them: the file's metadata hold
`sd_merge_recipe`, what was done, and `sd_merge_models`, what went into it by hash, both as JSON.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from modules.core.errors import FieldProblem, InvalidRequest, ModelUnavailable
from modules.library.catalog import CheckpointCatalog, CheckpointEntry
from modules.library.downloads.transfers import PART_ENDING
from modules.library.identify import BASE, COMPONENTS_KEY, INPAINTING, PIX2PIX
from modules.library.model_kinds import SAFE_ENDING, safe_file_name, safe_stem
from modules.library.reading import UnreadableFile, read_metadata
from modules.library.vae_files import VaeCatalog, VaeFile

MERGE = "merge"
NO_INTERPOLATION, WEIGHTED_SUM, ADD_DIFFERENCE = "No interpolation", "Weighted sum", "Add difference"
INTERPOLATIONS = (NO_INTERPOLATION, WEIGHTED_SUM, ADD_DIFFERENCE)
NO_VAE = "None"
DEFAULT_MULTIPLIER = 0.3
LONGEST_METADATA = 5_000_000
"""Characters of what is written into the file's header."""
_SUFFIXES: Mapping[str, str] = {INPAINTING: ".inpainting", PIX2PIX: ".instruct-pix2pix"}
_MODELS_NEEDED: Mapping[str, int] = {NO_INTERPOLATION: 1, WEIGHTED_SUM: 2, ADD_DIFFERENCE: 3}
_LEGACY_START, _LEGACY_LENGTH, _LEGACY_DIGITS = 0x100000, 0x10000, 8
_NO_CONFIG = 3
"""A1111's number for copying no configuration file; ours has none to copy."""
_ALWAYS_KEPT = (COMPONENTS_KEY, "modelspec.prediction_type")
"""Metadata of A without which the result could not be loaded, or would be taken for something else."""


@dataclass(frozen=True, slots=True)
class MergePlaces:
    """Where checkpoints and VAEs are found, and the folder into which the result goes."""

    checkpoints: CheckpointCatalog
    vaes: VaeCatalog | None
    folder: Path


@dataclass(frozen=True, slots=True)
class MergeWish:
    """The form's values; `primary` and so on are checkpoints' names or titles, `vae` is "None" or a VAE's name."""

    primary: str
    secondary: str = ""
    tertiary: str = ""
    interpolation: str = WEIGHTED_SUM
    multiplier: float = DEFAULT_MULTIPLIER
    save_as_half: bool = False
    custom_name: str = ""
    vae: str = NO_VAE
    discard: str = ""
    save_metadata: bool = True
    add_recipe: bool = True
    copy_metadata: bool = True
    metadata: str = "{}"

    @classmethod
    def read(cls, spec: Mapping[str, Any]) -> MergeWish:
        """Return the wish that `spec` has written down."""
        return cls(**{each.name: spec[each.name] for each in fields(cls)})


@dataclass(frozen=True, slots=True)
class Recipe:
    """A wish with everything that its names stand for. `models`: A, B and C as far as the interpolation needs them."""

    wish: MergeWish
    models: tuple[CheckpointEntry, ...]
    vae: VaeFile | None
    discard: re.Pattern[str] | None
    metadata: Mapping[str, Any]
    target: Path

    @property
    def part(self) -> Path:
        """Where the result grows."""
        return self.target.with_name(self.target.name + PART_ENDING)

    def spec(self) -> dict[str, Any]:
        """Return what the task needs to know, as JSON."""
        return {**asdict(self.wish), "target": self.target.name}


def discard_merge(spec: Mapping[str, Any], folder: Path) -> None:
    """Delete what an unfinished merge has left."""
    with contextlib.suppress(OSError):
        (folder / (safe_file_name(spec["target"]) + PART_ENDING)).unlink(missing_ok=True)


def check_wish(wish: MergeWish, places: MergePlaces) -> Recipe:
    """Return what is to be done, once it is sure that it can be. Raises InvalidRequest, ModelUnavailable."""
    if wish.interpolation not in INTERPOLATIONS:
        raise _problem("interpolation", "Interpolation method", wish.interpolation, ", ".join(INTERPOLATIONS))
    if not 0 <= wish.multiplier <= 1:
        raise _problem("multiplier", "Multiplier (M)", f"{wish.multiplier}", "a number from 0 to 1")
    names = (wish.primary, wish.secondary, wish.tertiary)[: _MODELS_NEEDED[wish.interpolation]]
    models = tuple(_model(places.checkpoints, "ABC"[number], name) for number, name in enumerate(names))
    _check_families(models)
    vae = None
    if wish.vae not in ("", NO_VAE):
        if places.vaes is None:
            raise _problem("vae", "Bake in VAE", wish.vae, NO_VAE)
        vae = places.vaes.resolve(wish.vae, models[0].path)
    metadata = _metadata_of(wish.metadata) if wish.save_metadata else {}
    target = places.folder / output_name(wish, models)
    if target.exists():
        raise _problem("custom_name", "Custom Name", target.name, f"a name that is not yet in {places.folder}")
    return Recipe(wish, models, vae, _pattern(wish.discard), metadata, target)


def output_name(wish: MergeWish, models: Sequence[CheckpointEntry]) -> str:
    """Return the name of the result's file, made up from the models' names as A1111 does unless one was given."""
    names = [model.model_name for model in models]
    if wish.interpolation == WEIGHTED_SUM:
        name = f"{round(1 - wish.multiplier, 2)}({names[0]}) + {round(wish.multiplier, 2)}({names[1]})"
    elif wish.interpolation == ADD_DIFFERENCE:
        name = f"{names[0]} + {round(wish.multiplier, 2)}({names[1]} - {names[2]})"
    else:
        name = names[0]
    custom = wish.custom_name.strip().removesuffix(SAFE_ENDING)
    stem = safe_stem(custom or name)
    if not stem:
        raise _problem("custom_name", "Custom Name", wish.custom_name, "a plain name, or nothing")
    mixed = len(models) > 1 and models[0].variant in _SUFFIXES and models[1].variant == BASE
    return stem + (_SUFFIXES[models[0].variant] if mixed else "") + SAFE_ENDING


def result_metadata(recipe: Recipe, sha256_of: Callable[[CheckpointEntry], str]) -> dict[str, str]:
    """Return the metadata of the result, texts by key; `sha256_of` gives a checkpoint's hash."""
    own = [_texts_of(model) for model in recipe.models]
    found = {key: own[0][key] for key in _ALWAYS_KEPT if key in own[0]}
    if not recipe.wish.save_metadata:
        return found
    if recipe.wish.copy_metadata:
        for texts in own:
            found = {**found, **texts}
        found |= {key: own[0][key] for key in _ALWAYS_KEPT if key in own[0]}
    found |= {key: value if isinstance(value, str) else json.dumps(value) for key, value in recipe.metadata.items()}
    found["format"] = "pt"
    if recipe.wish.add_recipe:
        hashes = [sha256_of(model) for model in recipe.models]
        found["sd_merge_recipe"] = json.dumps(_told(recipe, hashes))
        found["sd_merge_models"] = json.dumps(_ingredients(recipe, own, hashes))
    return found


def joined_metadata(models: Sequence[CheckpointEntry]) -> dict[str, Any]:
    """Return the metadata of some checkpoints in one, later ones winning, with JSON among them read."""
    return {key: _parsed(text) for model in models for key, text in _texts_of(model).items()}


def legacy_hash(path: Path) -> str:
    """Return A1111's old short hash, of 64 KiB of the file from 1 MiB on."""
    with path.open("rb") as file:
        file.seek(_LEGACY_START)
        return hashlib.sha256(file.read(_LEGACY_LENGTH)).hexdigest()[:_LEGACY_DIGITS]


def _told(recipe: Recipe, hashes: Sequence[str]) -> dict[str, Any]:
    wish = recipe.wish
    known = [*hashes, None, None]
    return {
        "type": "webui",
        "primary_model_hash": known[0],
        "secondary_model_hash": known[1],
        "tertiary_model_hash": known[2],
        "interp_method": wish.interpolation,
        "multiplier": wish.multiplier,
        "save_as_half": wish.save_as_half,
        "custom_name": wish.custom_name,
        "config_source": _NO_CONFIG,
        "bake_in_vae": wish.vae or NO_VAE,
        "discard_weights": wish.discard,
        "is_inpainting": recipe.target.name.endswith(_SUFFIXES[INPAINTING] + SAFE_ENDING),
        "is_instruct_pix2pix": recipe.target.name.endswith(_SUFFIXES[PIX2PIX] + SAFE_ENDING),
    }


def _ingredients(recipe: Recipe, texts: Sequence[Mapping[str, str]], hashes: Sequence[str]) -> dict[str, Any]:
    """Return what went in, and what had gone into that before, by hash."""
    found: dict[str, Any] = {}
    for model, own, sha256 in zip(recipe.models, texts, hashes, strict=True):
        found[sha256] = {
            "name": model.name,
            "legacy_hash": legacy_hash(model.path),
            "sd_merge_recipe": _parsed(own["sd_merge_recipe"]) if "sd_merge_recipe" in own else None,
        }
        before = _parsed(own.get("sd_merge_models", ""))
        found |= before if isinstance(before, dict) else {}
    return found


def _model(catalog: CheckpointCatalog, letter: str, name: str) -> CheckpointEntry:
    if not name.strip():
        label = {"A": "Primary model (A)", "B": "Secondary model (B)", "C": "Tertiary model (C)"}[letter]
        raise _problem({"A": "primary", "B": "secondary", "C": "tertiary"}[letter], label, "nothing", "a checkpoint")
    entry = catalog.find(name)
    if entry.path.is_dir():
        raise ModelUnavailable(
            f"{letter}, {entry.name}, is a diffusers folder. Only single files (.safetensors, .ckpt) can be merged."
        )
    return entry


def _check_families(models: Sequence[CheckpointEntry]) -> None:
    first = models[0]
    for letter, model in zip("BC", models[1:], strict=False):
        if model.family != first.family:
            raise ModelUnavailable(
                f"{first.name} (A) is of the family {first.family} and {model.name} ({letter}) of {model.family};"
                " only checkpoints of one family can be merged."
            )
        if model.variant not in (first.variant, BASE):
            raise ModelUnavailable(
                f"{model.name} ({letter}) is a model for {model.variant} and {first.name} (A) is not."
                f" To merge these, choose the {model.variant} model as A."
            )
        if first.variant != model.variant and first.variant not in _SUFFIXES:
            raise ModelUnavailable(f"{first.name} (A) is a {first.variant} model; B and C have to be such models too.")
    if len(models) > 2 and models[1].variant != models[2].variant:
        raise ModelUnavailable("B and C have to be of the same kind, since their difference is taken.")


def _metadata_of(text: str) -> dict[str, Any]:
    if len(text) > LONGEST_METADATA:
        raise _problem("metadata", "Metadata in JSON format", f"{len(text):,} characters", f"{LONGEST_METADATA:,}")
    try:
        content = json.loads(text.strip() or "{}")
    except ValueError as error:
        wrong = f"a text that is no JSON ({error})"
        raise _problem("metadata", "Metadata in JSON format", wrong, 'an object, such as {"author": "me"}') from error
    if not isinstance(content, dict):
        raise _problem("metadata", "Metadata in JSON format", text[:60], 'an object, such as {"author": "me"}')
    return content


def _pattern(text: str) -> re.Pattern[str] | None:
    if not text:
        return None
    try:
        return re.compile(text)
    except re.error as error:
        allowed = f"a regular expression; this one is wrong: {error}"
        raise _problem("discard", "Discard weights with matching name", text, allowed) from error


def _texts_of(model: CheckpointEntry) -> Mapping[str, str]:
    if model.path.suffix.lower() != SAFE_ENDING:
        return {}
    try:
        return read_metadata(model.path)
    except UnreadableFile as error:
        raise ModelUnavailable(f"The checkpoint {model.name} cannot be read: {error}.") from error


def _parsed(text: str) -> Any:
    """Return a text, or what it stands for where it is a JSON object."""
    if not text.startswith("{"):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _problem(field: str, label: str, value: str, allowed: str) -> InvalidRequest:
    return InvalidRequest([FieldProblem(field, label, value, allowed)])

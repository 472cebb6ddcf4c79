"""A1111's modules.sd_models: Easel's checkpoints as A1111's lists. Which is loaded is the engine's business."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import safetensors.torch
import torch

from modules.a1111 import paths_internal, safe
from modules.a1111._host import HOST
from modules.core.errors import EaselError
from modules.library.catalog import CheckpointEntry
from modules.library.choices import CHECKPOINT_OPTION
from modules.library.reading import UnreadableFile, read_metadata

model_dir = "Stable-diffusion"
MADE = "made-by-extension.safetensors"
"""The file in the models' folder for weights that an extension hands over as tensors."""
re_strip_checksum = re.compile(r"\s*\[[^]]+]\s*$")
_LEGACY_START, _LEGACY_LENGTH, _LEGACY_DIGITS = 0x100000, 0x10000, 8


class CheckpointInfo:
    """One checkpoint."""

    def __init__(self, filename: str | CheckpointEntry) -> None:
        entry = filename if isinstance(filename, CheckpointEntry) else _entry_of(filename)
        self.entry = entry
        self.filename = str(entry.path)
        self.is_safetensors = entry.path.suffix.lower() == ".safetensors"
        self.name = entry.name
        self.name_for_extra = entry.model_name
        self.model_name = entry.model_name
        self.sha256 = entry.sha256
        self.shorthash = entry.short_hash
        self.family = entry.family
        self.title = entry.title
        self.short_title = entry.short_title
        self.ids = [name for name in (self.shorthash, self.sha256, entry.model_name, entry.name, entry.title) if name]
        self.metadata = read_metadata_from_safetensors(self.filename) if self.is_safetensors else {}

    @property
    def hash(self) -> str:
        """The hash of A1111's first versions."""
        return model_hash(self.filename)

    def register(self) -> None:
        """Do nothing: the list is what lies on the disk."""

    def calculate_shorthash(self) -> str | None:
        """Return the short hash, computing it when it is not known."""
        hashes = HOST.connected.files.checkpoints.hashes
        self.sha256 = hashes.sha256(self.entry.weights)
        hashes.save()
        self.shorthash = self.sha256[:10]
        self.title = f"{self.name} [{self.shorthash}]"
        return self.shorthash


class SkipWritingToConfig:
    """A block in which nothing is written to the settings."""

    skip = False

    def __enter__(self) -> None:
        """Begin."""
        SkipWritingToConfig.skip = True

    def __exit__(self, *_: object) -> None:
        """End."""
        SkipWritingToConfig.skip = False


class SdModelData:
    """`model_data`: what would hold the loaded models."""

    def __init__(self) -> None:
        self.was_loaded_at_least_once = True
        self.loaded_sd_models: list[Any] = []

    @property
    def sd_model(self) -> Any:
        """The model's facts; see `shared.sd_model`."""
        return HOST.own_state.get("sd_model")

    def get_sd_model(self) -> Any:
        """Return the same."""
        return self.sd_model

    def set_sd_model(self, v: Any, already_loaded: bool = False) -> None:
        """Do nothing: the engine keeps its models."""


def _entry_of(filename: str) -> CheckpointEntry:
    for entry in HOST.connected.files.checkpoints.entries():
        if str(entry.path) == str(filename):
            return entry
    return CheckpointEntry(Path(filename).name, Path(filename), usable=False, reason="it is not in Easel's list")


def _usable() -> list[CheckpointEntry]:
    return [entry for entry in HOST.connected.files.checkpoints.entries() if entry.usable]


def _list() -> dict[str, CheckpointInfo]:
    entries = tuple(_usable()) if HOST.services is not None else ()
    return HOST.state(f"checkpoints {hash(entries)}", lambda: {e.title: CheckpointInfo(e) for e in entries})


def __getattr__(name: str) -> Any:
    """Return the lists as they are now."""
    if name == "checkpoints_list":
        return _list()
    if name in ("checkpoint_aliases", "checkpoint_alisases"):
        return {name: info for info in _list().values() for name in info.ids}
    if name == "checkpoints_loaded":
        return {}
    if name == "model_path":
        return str(Path(paths_internal.models_path) / model_dir)
    if name == "model_data":
        return HOST.state("model_data", SdModelData)
    raise AttributeError(name)


def list_models() -> None:
    """Look at the checkpoint folders again."""
    HOST.connected.files.checkpoints.refresh()


def checkpoint_tiles(use_short: bool = False) -> list[str]:
    """Return the checkpoints' titles."""
    return [info.short_title if use_short else info.title for info in _list().values()]


def get_closet_checkpoint_match(search_string: str) -> CheckpointInfo | None:
    """Return the checkpoint of a title, name or hash, or of a part of a title; None when there is none."""
    if not search_string:
        return None
    try:
        return CheckpointInfo(HOST.connected.files.checkpoints.find(search_string))
    except EaselError:
        return None


def select_checkpoint() -> CheckpointInfo:
    """Return the chosen checkpoint, else the first usable one. Raises FileNotFoundError when there is none."""
    files, wanted = HOST.connected.files.checkpoints, str(HOST.connected.settings.get(CHECKPOINT_OPTION))
    for name in (wanted, ""):
        try:
            return CheckpointInfo(files.find(name))
        except EaselError:
            continue
    raise FileNotFoundError("No checkpoints found.")


def model_hash(filename: str) -> str:
    """Return the hash of A1111's first versions, over one stretch of the file; "NOFILE" where there is none."""
    return HOST.state(f"legacy hash {filename}", lambda: _legacy_hash(filename))


def _legacy_hash(filename: str) -> str:
    try:
        with open(filename, "rb") as file:
            file.seek(_LEGACY_START)
            return hashlib.sha256(file.read(_LEGACY_LENGTH)).hexdigest()[:_LEGACY_DIGITS]
    except OSError:
        return "NOFILE"


def read_metadata_from_safetensors(filename: str) -> dict[str, Any]:
    """Return the metadata of a safetensors file; none of a file that cannot be read."""
    try:
        return dict(read_metadata(Path(filename)))
    except (OSError, UnreadableFile):
        return {}


def read_state_dict(checkpoint_file: str, print_global_state: bool = False, map_location: Any = None) -> Any:
    """Return a file's tensors by their names."""
    if Path(checkpoint_file).suffix.lower() == ".safetensors":
        return safetensors.torch.load_file(checkpoint_file, device=str(map_location or "cpu"))
    return get_state_dict_from_checkpoint(safe.load(checkpoint_file, map_location=map_location or "cpu"))


def get_state_dict_from_checkpoint(pl_sd: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the tensors of what a training program has saved."""
    inner = pl_sd.get("state_dict", pl_sd)
    return inner if isinstance(inner, Mapping) else pl_sd


def reload_model_weights(sd_model: Any = None, info: Any = None, forced_reload: bool = False) -> Any:
    """Choose a checkpoint for all that follows; the engine loads it for the next run."""
    chosen = info or select_checkpoint()
    if info is not None:
        HOST.connected.settings.update({CHECKPOINT_OPTION: chosen.title})
    HOST.connected.jobs.preload(chosen.title)
    return HOST.own_state.get("sd_model")


def load_model(checkpoint_info: Any = None, already_loaded_state_dict: Any = None) -> Any:
    """Choose a checkpoint; see `reload_model_weights`.

    Tensors by their names in single files become a file, `MADE`, which the next ones replace: the engine reads files.
    What else is to be known of them is taken from that of the checkpoint. Raises ModelUnavailable for tensors that are
    no model.
    """
    if already_loaded_state_dict is None:
        return reload_model_weights(info=checkpoint_info)
    origin = checkpoint_info or select_checkpoint()
    path = Path(paths_internal.models_path) / model_dir / MADE
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".part")
    # Tensors that share memory cannot be written, nor those in another order.
    tensors = {
        name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, value in already_loaded_state_dict.items()
    }
    safetensors.torch.save_file(tensors, fresh, read_metadata_from_safetensors(origin.filename) or None)
    fresh.replace(path)
    list_models()
    return reload_model_weights(info=CheckpointInfo(HOST.connected.files.checkpoints.find(MADE)))


def unload_model_weights(sd_model: Any = None, info: Any = None) -> Any:
    """Do nothing: the engine makes room by itself."""
    return sd_model


def send_model_to_cpu(m: Any) -> None:
    """Do nothing: the engine moves its models by itself."""


def send_model_to_device(m: Any) -> None:
    """Do nothing: the engine moves its models by itself."""


def setup_model() -> None:
    """Look at the checkpoint folders again."""
    list_models()


CHECKPOINT_DICT_REPLACEMENTS_SD1: Mapping[str, str] = MappingProxyType({})
checkpoint_dict_replacements_sd1 = CHECKPOINT_DICT_REPLACEMENTS_SD1
CHECKPOINT_DICT_REPLACEMENTS_SD2_TURBO: Mapping[str, str] = MappingProxyType({})
checkpoint_dict_replacements_sd2_turbo = CHECKPOINT_DICT_REPLACEMENTS_SD2_TURBO

"""Files of LoRA and its kin, read into what they do to each layer."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from math import sqrt
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from modules.networks.keys import split_key
from modules.networks.kinds.base import LayerChange, PartsProblem
from modules.networks.kinds.registry import read_change
from modules.networks.reading import NetworkOnDisk, Version, read_content, read_metadata, unusable, version_of

REMEMBERED = 4
"""Files; the largest ones for SD 1.x take some hundred MB."""
_BUNDLE = "bundle_emb"
"""What comes before the embeddings that some files bring along."""
_PLAIN_PARTS = frozenset({"weight", "bias"})
"""Names that every other file has too."""
_SETTINGS_KEY = "lora_adapter_metadata"
"""Where diffusers keeps what peft was set to, as JSON, by component."""
_SETTINGS_FILE = "adapter_config.json"
"""Where peft keeps it, beside its own files."""
_COMPONENTS = ("text_encoder_2", "text_encoder", "unet", "")


@dataclass(frozen=True, slots=True, eq=False)
class Lora:
    """One file's changes by the layer's name in it, the names in it that are no layer's, and its embeddings.

    `bundled`: what an embedding's own file would hold, by the embedding's name.
    """

    path: Path
    modules: Mapping[str, LayerChange]
    strangers: tuple[str, ...] = ()
    bundled: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def read_lora(file: NetworkOnDisk) -> Lora:
    """Return what the file holds. Raises NetworkUnavailable when it is broken or no LoRA."""
    layers: dict[str, dict[str, Tensor]] = {}
    bundled: dict[str, dict[str, Any]] = {}
    strangers = []
    for name, value in _tensors(read_content(file.path)):
        split = split_key(name)
        if name.startswith(f"{_BUNDLE}."):
            _add_bundled(bundled, name, value)
        elif split is not None:
            layers.setdefault(split[0], {})[split[1]] = value
        else:
            strangers.append(name)
    foreign = [layer for layer, parts in layers.items() if parts.keys() <= _PLAIN_PARTS]
    strangers += [f"{layer}.{part}" for layer in foreign for part in layers.pop(layer)]
    if not layers:
        raise unusable(file.path, "it holds no LoRA nor anything like it")
    _add_strengths(file.path, layers)
    modules = {layer: _change(file.path, layer, parts) for layer, parts in layers.items()}
    return Lora(file.path, modules, tuple(strangers), bundled)


def _tensors(content: Mapping[Any, Any]) -> Iterator[tuple[str, Tensor]]:
    nested = content.get("state_dict")
    for name, value in (nested if isinstance(nested, Mapping) else content).items():
        if isinstance(value, Tensor):
            yield str(name), value


def _change(path: Path, layer: str, parts: Mapping[str, Tensor]) -> LayerChange:
    try:
        return read_change(parts)
    except PartsProblem as error:
        raise unusable(path, f"its layer {layer} cannot be read: {error}") from error


def _add_bundled(bundled: dict[str, dict[str, Any]], name: str, value: Tensor) -> None:
    """Put a tensor `bundle_emb.NAME.PART`, or `bundle_emb.NAME.string_to_param.PART`, in its embedding's table."""
    _, embedding, part = [*name.split(".", 2), ""][:3]
    table, _, inner = part.partition(".")
    if inner:
        bundled.setdefault(embedding, {})[table] = {inner: value}
    else:
        bundled.setdefault(embedding, {})[part] = value


def _add_strengths(path: Path, layers: Mapping[str, dict[str, Tensor]]) -> None:
    """Give layers without an alpha the one that peft was set to, where the file or one beside it tells."""
    if any("alpha" in parts for parts in layers.values()):
        return
    settings = _settings(path, any(layer.startswith("base_model.") for layer in layers))
    for layer, parts in layers.items() if settings else ():
        component = next(name for name in _COMPONENTS if layer.startswith(f"{name}." if name else ""))
        own = {key.removeprefix(f"{component}."): value for key, value in settings.items()} if component else settings
        alpha = _alpha(own, layer)
        if alpha is not None and "lora_down.weight" in parts:
            rank = parts["lora_down.weight"].shape[0]
            parts["alpha"] = torch.tensor(alpha * (sqrt(rank) if own.get("use_rslora") else 1.0))


def _settings(path: Path, beside: bool) -> Mapping[str, Any]:
    text = read_metadata(path).get(_SETTINGS_KEY, "")
    try:
        if not text and beside:
            text = path.with_name(_SETTINGS_FILE).read_text(encoding="utf-8")
        settings = json.loads(text) if text else {}
    except (OSError, ValueError):
        return {}
    return settings if isinstance(settings, dict) else {}


def _alpha(settings: Mapping[str, Any], layer: str) -> float | None:
    """Return the alpha for a layer: that of the first pattern which its name ends with, else the common one."""
    patterns = settings.get("alpha_pattern")
    own = (value for name, value in (patterns or {}).items() if layer.endswith(str(name).strip("^$")))
    value = next(own, settings.get("lora_alpha"))
    return float(value) if isinstance(value, int | float) else None


class LoraCache:
    """Keeps the files that were read last, as long as they do not change on disk. For one thread at a time."""

    def __init__(self, limit: Callable[[], int] = lambda: REMEMBERED) -> None:
        """Take how many files to keep; asked for anew at every file."""
        self._limit = limit
        self._kept: OrderedDict[Version, Lora] = OrderedDict()

    def get(self, file: NetworkOnDisk) -> Lora:
        """Return what the file holds now. Raises NetworkUnavailable."""
        version = version_of(file.path)
        lora = self._kept.pop(version, None) or read_lora(file)
        self._kept[version] = lora
        while len(self._kept) > max(0, self._limit()):
            self._kept.popitem(last=False)
        return lora

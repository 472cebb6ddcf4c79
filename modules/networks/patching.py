"""LoRA applied to the weights of a model in memory, and undone bit for bit."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from modules.networks.lora import Lora, LoraCache, LowRank
from modules.networks.reading import NetworkOnDisk, Version, unusable, version_of

UNET_PREFIX = "lora_unet_"
TEXT_PREFIX = "lora_te_"
_TEXT_ROOT = "text_model_"
_NAMED_IN_WARNING = 3

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LoraUse:
    """One LoRA as a prompt asks for it: its strengths on text encoder and U-Net, and the rank to cut it to."""

    file: NetworkOnDisk
    text_strength: float
    unet_strength: float
    dyn: int | None = None


@dataclass(frozen=True, slots=True)
class _Share:
    """What one LoRA does to one layer."""

    change: LowRank
    strength: float
    dyn: int | None


_State = tuple[tuple[Version, float, float, int | None], ...]


class NetworkPatcher:
    """Holds one model's weights at exactly the set of networks that was asked for last.

    The originals of changed weights are kept in main memory, so nothing adds up over many changes. Not safe to use
    while the model works.
    """

    def __init__(
        self,
        unet: nn.Module,
        texts: nn.Module | Mapping[str, nn.Module],
        cache: LoraCache | None = None,
        other_names: Mapping[str, str] | None = None,
    ) -> None:
        """Take the networks, whose layers are named as diffusers and transformers name them, and the files' cache.

        `texts`: the text encoder, or several by the prefix that their layers have in files. A cache may be shared with
        the patchers of other models. `other_names`: names of U-Net layers by which files may call them too.
        """
        encoders = texts if isinstance(texts, Mapping) else {TEXT_PREFIX: texts}
        self._layers = _layers(unet, UNET_PREFIX, "")
        self._names = {
            UNET_PREFIX + other.replace(".", "_"): UNET_PREFIX + name.replace(".", "_")
            for name, other in (other_names or {}).items()
        }
        for prefix, encoder in encoders.items():
            self._layers |= _layers(encoder, prefix, _TEXT_ROOT)
        self._cache = cache or LoraCache()
        self._originals: dict[str, Tensor] = {}
        self._applied: _State = ()
        self._warned_of: set[Path] = set()

    def set(self, uses: Sequence[LoraUse]) -> None:
        """Bring the weights to the original ones plus `uses`; the same set as now costs nothing.

        Raises NetworkUnavailable, before anything is changed. Whatever else goes wrong, the weights are then the
        original ones.
        """
        state = tuple((version_of(use.file.path), use.text_strength, use.unet_strength, use.dyn) for use in uses)
        if state == self._applied:
            return
        shares = self._shares(uses)
        self._applied = ()
        finished = False
        try:
            with torch.inference_mode():
                self._restore([name for name in self._originals if name not in shares])
                for name, changes in shares.items():
                    self._patch(name, changes)
            self._applied = state
            finished = True
        finally:
            if not finished:
                self.clear()

    def clear(self) -> None:
        """Bring back the original weights."""
        with torch.inference_mode():
            self._restore(list(self._originals))
        self._applied = ()

    def _shares(self, uses: Sequence[LoraUse]) -> dict[str, list[_Share]]:
        """Return by layer what `uses` do to it. Raises NetworkUnavailable."""
        shares: dict[str, list[_Share]] = {}
        for use in uses:
            lora = self._cache.get(use.file)
            self._check(lora)
            for written, change in lora.modules.items():
                name = self._names.get(written, written)
                strength = use.unet_strength if name.startswith(UNET_PREFIX) else use.text_strength
                if name in self._layers and strength != 0:
                    shares.setdefault(name, []).append(_Share(change, strength, use.dyn))
        return shares

    def _check(self, lora: Lora) -> None:
        known = {written: self._layers.get(self._names.get(written, written)) for written in lora.modules}
        strangers = [*lora.strangers, *(written for written, layer in known.items() if layer is None)]
        if not any(layer is not None for layer in known.values()):
            raise unusable(lora.path, f"none of its layers is one of this model's (the first is {strangers[-1]})")
        for name, change in lora.modules.items():
            layer = known[name]
            if layer is not None and not change.fits(layer.weight.shape):
                sizes = f"{change.shape}, this model's {tuple(layer.weight.shape)}"
                raise unusable(lora.path, f"it was made for another kind of model (its {name} is {sizes})")
        if strangers and lora.path not in self._warned_of:
            self._warned_of.add(lora.path)
            named = ", ".join(strangers[:_NAMED_IN_WARNING])
            logger.warning("%s: %d names in it are unknown and ignored: %s …", lora.path.name, len(strangers), named)

    def _patch(self, name: str, shares: Sequence[_Share]) -> None:
        weight = _stored_weight(self._layers[name])
        if name in self._originals:
            weight.copy_(self._originals[name])
        else:
            self._originals[name] = weight.detach().to("cpu", copy=True)
        exact = weight.to(torch.float32)
        for share in shares:
            share.change.add_to(exact, share.strength, share.dyn)
        if exact is not weight:
            weight.copy_(exact)

    def _restore(self, names: Sequence[str]) -> None:
        for name in names:
            _stored_weight(self._layers[name]).copy_(self._originals[name])
            del self._originals[name]


def _layers(network: nn.Module, prefix: str, root: str) -> dict[str, nn.Linear | nn.Conv2d]:
    """Return the layers that can be changed by kohya's names.

    `root` is put before names that lack it: some versions of the text encoder have their modules one level up.
    """
    layers: dict[str, nn.Linear | nn.Conv2d] = {}
    for name, module in network.named_modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            layers[prefix + root + name.replace(".", "_").removeprefix(root)] = module
    return layers


def _stored_weight(layer: nn.Linear | nn.Conv2d) -> Tensor:
    """Return the tensor that holds the layer's weight, also when accelerate streams it in for each use."""
    if not layer.weight.is_meta:
        return layer.weight.data
    stored: Tensor = vars(layer)["_hf_hook"].weights_map["weight"]
    return stored

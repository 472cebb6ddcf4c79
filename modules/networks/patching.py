"""Networks applied to the weights of a model in memory, and undone bit for bit."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from modules.core.errors import NetworkUnavailable
from modules.networks.keys import UNET, Place
from modules.networks.kinds.base import LayerChange
from modules.networks.layers import LayerBackup, Scratch, layers_of, names_of, stored
from modules.networks.lora import Lora, LoraCache
from modules.networks.origin import made_for, reads_context
from modules.networks.reading import NetworkOnDisk, Version, unusable, version_of

TEXT_PREFIX = "lora_te_"
_SECOND_TEXT = "2"
_LATENT_CHANNELS = 4
_NAMED_IN_WARNING = 3

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LoraUse:
    """One network as a prompt asks for it: its strengths on text encoder and U-Net, and the rank to cut it to.

    `content`: what takes the place of what the file holds, where somebody has changed that.
    """

    file: NetworkOnDisk
    text_strength: float
    unet_strength: float
    dyn: int | None = None
    content: Lora | None = None


@dataclass(frozen=True, slots=True)
class Bundled:
    """An embedding that a network's file brings along: its name, and what a file of its own would hold."""

    use: LoraUse
    name: str
    content: Mapping[str, Any] = field(compare=False)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the networks that were asked for.

    `refused`: those that could not be used, with the reason in a sentence; `remarks`: what users should know of the
    others; `bundled`: embeddings to use with them.
    """

    refused: Mapping[LoraUse, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    bundled: tuple[Bundled, ...] = ()


@dataclass(frozen=True, slots=True)
class _Share:
    """What one network does to one layer."""

    version: Version
    written: str
    place: Place
    strength: float
    dyn: int | None
    change: LayerChange = field(compare=False)


@dataclass(frozen=True, slots=True)
class _Read:
    """One network that is to be used, and what its file holds."""

    use: LoraUse
    version: Version
    lora: Lora

    def strength(self, place: Place) -> float:
        return self.use.unet_strength if place.layer.startswith(f"{UNET}:") else self.use.text_strength


_State = tuple[tuple[Version | Path, LoraUse], ...]


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
        kind: str = "",
    ) -> None:
        """Take the networks, whose layers are named as diffusers and transformers name them, and the files' cache.

        `texts`: the text encoder, or several by the prefix that kohya's names of their layers have. A cache may be
        shared with the patchers of other models. `other_names`: names of U-Net layers by which files may call them
        too. `kind`: the kind of model in words.
        """
        encoders = texts if isinstance(texts, Mapping) else {TEXT_PREFIX: texts}
        numbered = {_SECOND_TEXT if "te2" in prefix else "1": encoder for prefix, encoder in encoders.items()}
        self.kind = kind
        self._layers = layers_of({UNET: unet, **numbered})
        self._names = names_of(self._layers, other_names)
        self._cache = cache or LoraCache()
        self._held: dict[Version, Lora] = {}
        self._backups: dict[str, LayerBackup] = {}
        self._shares: dict[str, tuple[_Share, ...]] = {}
        self._state: _State = ()
        self._outcome = Outcome()
        self._warned_of: set[Path] = set()

    def set(self, uses: Sequence[LoraUse], on_layer: Callable[[], None] = lambda: None) -> Outcome:
        """Bring the weights to the original ones plus `uses`, and return what became of these.

        The same set as now costs nothing, and another one only what differs: files in use are not read again, layers
        with the same changes are not touched. `on_layer` is called before each layer. Whatever it or anything else
        raises, the weights are then the original ones.
        """
        state = tuple((_version(use), use) for use in uses)
        if state == self._state:
            return self._outcome
        loras, refused = self._read(uses)
        shares, remarks = self._all_shares(loras)
        self._state = ()
        finished = False
        try:
            with torch.inference_mode():
                self._bring_to(shares, on_layer)
            finished = True
        finally:
            if not finished:
                self.clear()
        self._held = {each.version: each.lora for each in loras}
        bundled = tuple(Bundled(each.use, name, table) for each in loras for name, table in each.lora.bundled.items())
        self._state, self._outcome = state, Outcome(refused, tuple(remarks), bundled)
        return self._outcome

    def content(self, file: NetworkOnDisk) -> Lora:
        """Return what a file holds. Raises NetworkUnavailable."""
        return self._cache.get(file)

    def layers(self, written: str) -> tuple[nn.Module, ...]:
        """Return the layers that a change of that name in a file goes to."""
        return tuple(self._layers[place.layer] for place in self._names.find(written))

    def clear(self) -> None:
        """Bring back the original weights."""
        with torch.inference_mode():
            for name in list(self._backups):
                self._restore(name)
        self._state, self._outcome, self._held = (), Outcome(), {}

    def _read(self, uses: Iterable[LoraUse]) -> tuple[list[_Read], dict[LoraUse, str]]:
        """Return what the files hold, and why some cannot be used."""
        loras: list[_Read] = []
        refused: dict[LoraUse, str] = {}
        for use in uses:
            try:
                version = version_of(use.file.path)
                if use.content is not None:
                    # It is held as long as it is in use, so that no other one has its number then.
                    version = replace(version, changed=-id(use.content))
                lora = use.content or self._held.get(version) or self._cache.get(use.file)
                self._refuse_foreign(lora)
                loras.append(_Read(use, version, lora))
            except NetworkUnavailable as error:
                refused[use] = str(error)
        return loras, refused

    def _all_shares(self, loras: Iterable[_Read]) -> tuple[dict[str, tuple[_Share, ...]], list[str]]:
        """Return by layer what the networks do to it, and remarks on what does not fit."""
        shares: dict[str, list[_Share]] = {}
        remarks = []
        for read in loras:
            misfits = 0
            for written, change in read.lora.modules.items():
                for place in self._names.find(written):
                    strength = read.strength(place)
                    if not self._fits(place, change):
                        misfits += 1
                    elif strength != 0:
                        share = _Share(read.version, written, place, strength, read.use.dyn, change)
                        shares.setdefault(place.layer, []).append(share)
            if misfits:
                name = read.lora.path.name
                remarks.append(f"{misfits} layers of the network {name} do not fit this model and were left out.")
        return {name: tuple(each) for name, each in shares.items()}, remarks

    def _refuse_foreign(self, lora: Lora) -> None:
        """Raise NetworkUnavailable for a network that was made for another kind of model."""
        found = {written: self._names.find(written) for written in lora.modules}
        misfits = {
            written: place
            for written, places in found.items()
            for place in places
            if not self._fits(place, lora.modules[written])
        }
        known = [written for written, places in found.items() if places]
        if not known or len(misfits) == len(known) or any(map(reads_context, misfits)):
            raise unusable(lora.path, self._why_foreign(lora, misfits))
        strangers = [*lora.strangers, *(written for written, places in found.items() if not places)]
        if strangers and lora.path not in self._warned_of:
            self._warned_of.add(lora.path)
            named = ", ".join(strangers[:_NAMED_IN_WARNING])
            logger.warning("%s: %d names in it are unknown and ignored: %s …", lora.path.name, len(strangers), named)

    def _why_foreign(self, lora: Lora, misfits: Mapping[str, Place]) -> str:
        origin = made_for(lora)
        if origin and self.kind and origin != self.kind:
            return f"it was made for {origin}, this checkpoint is {self.kind}"
        if not misfits:
            return f"none of its layers is one of this model's (the first is {next(iter(lora.modules))})"
        written = next((name for name in misfits if reads_context(name)), next(iter(misfits)))
        own = tuple(self._layers[misfits[written].layer].weight.shape)
        sizes = f"{lora.modules[written].core.shape}, this model's {own}"
        return f"it was made for another kind of model (its {written} is {sizes})"

    def _fits(self, place: Place, change: LayerChange) -> bool:
        shape = tuple(self._layers[place.layer].weight.shape)
        if place.pieces > 1:
            return change.fits((shape[0] * place.pieces, *shape[1:])) and not change.reads_weight
        return change.fits(shape) or change.fits(_of_latents(shape))

    def _bring_to(self, shares: Mapping[str, tuple[_Share, ...]], on_layer: Callable[[], None]) -> None:
        for name in [name for name in self._backups if name not in shares]:
            on_layer()
            self._restore(name)
        scratch = Scratch()
        for name, each in shares.items():
            if each != self._shares.get(name):
                on_layer()
                self._renew(name, each, scratch)

    def _renew(self, name: str, shares: tuple[_Share, ...], scratch: Scratch) -> None:
        """Give a layer its original weight and bias plus the shares, rounded once."""
        layer = self._layers[name]
        self._shares.pop(name, None)
        if name in self._backups:
            self._backups[name].restore()
        else:
            self._backups[name] = LayerBackup(layer)
        weight = stored(layer, "weight")
        if weight is None:
            return
        exact = scratch.exact(weight)
        for share in shares:
            _add(share, exact)
        if exact is not weight:
            weight.copy_(exact)
        biases = [share for share in shares if share.change.bias is not None]
        if biases:
            bias = self._backups[name].bias_to_change()
            if bias is not None:
                bias.copy_(_summed(bias, biases))
        self._shares[name] = shares

    def _restore(self, name: str) -> None:
        self._shares.pop(name, None)
        self._backups[name].restore()
        del self._backups[name]


def _version(use: LoraUse) -> Version | Path:
    """Return the state that a file is in now; only its place when it is gone."""
    try:
        return version_of(use.file.path)
    except NetworkUnavailable:
        return use.file.path


def _add(share: _Share, exact: Tensor) -> None:
    """Add a share to a weight in float32."""
    change, place = share.change, share.place
    if place.pieces > 1:
        whole = torch.zeros((exact.shape[0] * place.pieces, *exact.shape[1:]), device=exact.device)
        change.add_to(whole, share.strength, share.dyn)
        exact += whole.chunk(place.pieces)[place.piece]
    elif change.fits(exact.shape):
        change.add_to(exact, share.strength, share.dyn)
    else:
        change.add_to(exact[:, :_LATENT_CHANNELS], share.strength, share.dyn)


def _of_latents(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape that a first convolution has in a model that takes nothing but latents.

    Networks for such models are used with inpainting models too, whose other inputs they leave alone.
    """
    first = len(shape) == 4 and shape[1] in (5, 8, 9)
    return (shape[0], _LATENT_CHANNELS, *shape[2:]) if first else shape


def _summed(bias: Tensor, shares: Sequence[_Share]) -> Tensor:
    exact = bias.to(torch.float32)
    for share in shares:
        if share.change.bias is not None:
            exact = exact + share.change.bias.to(exact.device, torch.float32).flatten() * share.strength
    return exact

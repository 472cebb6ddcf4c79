"""The checkpoints in memory, each with its text conditioner and what is patched into it just now."""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from diffusers import AutoencoderKL

from modules.core.errors import ModelUnavailable
from modules.core.events import ModelLoading, ModelReady
from modules.core.ports import RunSink
from modules.engine.families import ModelBundle
from modules.engine.ldm_keys import original_names
from modules.engine.loading import Lent, load_bundle, load_vae
from modules.engine.memory import DevicePlan, explaining_out_of_memory
from modules.engine.text import TextConditioner
from modules.engine.tiling import set_seamless
from modules.library.catalog import CheckpointEntry
from modules.library.files import ModelFiles
from modules.library.vae_files import VaeFile
from modules.networks.embeddings import EmbeddingStore
from modules.networks.patching import LoraUse, NetworkPatcher

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class LoadedModel:
    """A checkpoint in memory, and what differs from its file just now."""

    bundle: ModelBundle
    conditioner: TextConditioner
    patcher: NetworkPatcher
    own_vae: AutoencoderKL
    vae_file: VaeFile | None = None
    seamless: bool = False
    text_networks: tuple[LoraUse, ...] = ()
    other_vaes: dict[Path, AutoencoderKL] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    """What users should know whenever they use it."""

    def set_networks(self, uses: Sequence[LoraUse]) -> None:
        """Have exactly these LoRAs in the weights. Raises NetworkUnavailable; the weights are then as they were."""
        self.patcher.set(uses)
        if tuple(uses) != self.text_networks:
            self.conditioner.forget()
            self.text_networks = tuple(uses)

    def set_seamless(self, seamless: bool) -> None:
        """Make pictures whose edges fit together, or ordinary ones."""
        if seamless != self.seamless:
            set_seamless(self.bundle.unet, seamless)
            set_seamless(self.bundle.vae, seamless)
            self.seamless = seamless

    def set_vae(self, file: VaeFile | None) -> None:
        """Decode with the VAE of a file, or with the checkpoint's own. Raises ModelUnavailable."""
        vae = self.own_vae
        if file is not None:
            if file.path not in self.other_vaes:
                self.other_vaes = {file.path: load_vae(file.path, self.bundle.family, self.bundle.plan)}
            vae = self.other_vaes[file.path]
        if vae is not self.bundle.vae:
            self.bundle.residency.exchange(self.bundle.vae, vae)
            self.bundle.vae = vae
            set_seamless(vae, self.seamless)
        self.vae_file = file


class ModelShelf:
    """Loads checkpoints and keeps the last ones."""

    def __init__(
        self,
        files: ModelFiles,
        plan: DevicePlan,
        keep: Callable[[], int] = lambda: 1,
        keep_in_main_memory: Callable[[], bool] = lambda: True,
    ) -> None:
        """Take where models are found, where they work, how many are kept, and whether only one is on the device."""
        self.files = files
        self.plan = plan
        self._keep = keep
        self._keep_in_main_memory = keep_in_main_memory
        self._loaded: dict[Path, LoadedModel] = {}
        """The one used last stands last."""
        self.embeddings = EmbeddingStore(files.embeddings) if files.embeddings is not None else None

    def get(
        self, checkpoint: str, sink: RunSink, beside: LoadedModel | None = None, vae: VaeFile | None = None
    ) -> LoadedModel:
        """Return a checkpoint ready to work, loading it if need be; `beside` stays in memory whatever the limit.

        `vae` is for checkpoints that come without one. Raises ModelUnavailable, OutOfMemory.
        """
        entry = self.files.checkpoints.find(checkpoint)
        model = self._loaded.pop(entry.path, None)
        if model is not None and _same(model.bundle.entry, entry):
            sink.publish(ModelReady(model.bundle.entry.title, 0.0))
        else:
            model = None
            self._make_room(beside)
            model = self._load(entry, sink, self._lent(entry, vae))
        if self._keep_in_main_memory():
            for other in self._loaded.values():
                other.bundle.residency.leave()
        self._loaded[entry.path] = model
        return model

    def _lent(self, entry: CheckpointEntry, vae: VaeFile | None) -> Lent:
        """Return where the components come from that a checkpoint lacks. Raises ModelUnavailable."""
        lenders: dict[str, CheckpointEntry] = {}
        for part in entry.missing:
            if part == "vae" and vae is not None:
                continue
            lender = next((other for other in self.files.checkpoints.entries() if _lends(other, entry, part)), None)
            if lender is None:
                name, family = _in_words(part), entry.family
                also = f", or a VAE named {entry.model_name}.vae.safetensors beside it" if part == "vae" else ""
                raise ModelUnavailable(
                    f"The checkpoint {entry.name} cannot be used: it holds no {name}. It needs another {family} "
                    f"checkpoint that can lend its own{also}."
                )
            lenders[part] = lender
        return Lent(lenders, vae.path if vae is not None and "vae" in entry.missing else None)

    def _load(self, entry: CheckpointEntry, sink: RunSink, lent: Lent) -> LoadedModel:
        started = time.monotonic()
        sink.publish(ModelLoading(entry.title, 0.0, "computing the hash"))
        entry = self.files.checkpoints.hashed(entry)

        def progress(fraction: float, stage: str) -> None:
            sink.publish(ModelLoading(entry.title, fraction, stage))

        with explaining_out_of_memory():
            bundle = load_bundle(entry, self.plan, progress, lent)
        seconds = time.monotonic() - started
        logger.info("Checkpoint %s loaded in %.1f s.", entry.title, seconds)
        sink.publish(ModelReady(entry.title, seconds))
        encoders = {text.spec.network_prefix: text.encoder for text in bundle.texts}
        names = original_names(bundle.unet.config, (name for name, _ in bundle.unet.named_modules()))
        patcher = NetworkPatcher(bundle.unet, encoders, other_names=names)
        remarks = tuple(
            f"{entry.name} holds no {_in_words(part)}: that of {lender.name} is used."
            for part, lender in lent.parts.items()
        )
        return LoadedModel(bundle, TextConditioner(bundle, self.embeddings), patcher, bundle.vae, remarks=remarks)

    def _make_room(self, beside: LoadedModel | None) -> None:
        """Forget the checkpoints used longest ago, so that one more is within the limit."""
        most = max(self._keep(), 2 if beside is not None else 1) - 1
        for path in [path for path, model in self._loaded.items() if model is not beside]:
            if len(self._loaded) <= most:
                break
            del self._loaded[path]
        gc.collect()
        if self.plan.device.type == "cuda":
            torch.cuda.empty_cache()


def _same(loaded: CheckpointEntry, listed: CheckpointEntry) -> bool:
    """Say whether a model in memory is what the catalog says now, which the user may have corrected."""
    return replace(loaded, sha256=listed.sha256) == listed


def _lends(other: CheckpointEntry, entry: CheckpointEntry, part: str) -> bool:
    """Say whether `other` can give `entry` a component."""
    fits = other.usable and (other.family, other.sizes) == (entry.family, entry.sizes)
    return fits and part not in other.missing


def _in_words(part: str) -> str:
    return {"vae": "VAE", "text_encoder_2": "second text encoder"}.get(part, part.replace("_", " "))

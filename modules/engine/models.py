"""The checkpoints in memory, each with its text conditioner and what is patched into it just now."""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from diffusers import AutoencoderKL

from modules.core.errors import ModelUnavailable, NetworkUnavailable
from modules.core.events import ModelLoading, ModelReady
from modules.core.ports import RunSink
from modules.engine.depth import DepthEstimator
from modules.engine.families import ModelBundle
from modules.engine.ldm_keys import original_names
from modules.engine.loading import Lent, load_bundle, load_vae
from modules.engine.memory import DevicePlan, explaining_out_of_memory
from modules.engine.text import TextConditioner
from modules.engine.tiling import set_seamless
from modules.library.catalog import CheckpointEntry
from modules.library.files import ModelFiles
from modules.library.identify import SD1_FAMILY, SD2_FAMILY, SDXL_FAMILY, SDXL_REFINER_FAMILY
from modules.library.vae_files import VaeFile
from modules.networks.embedding_store import Embedding, EmbeddingStore
from modules.networks.embeddings import embedding_of
from modules.networks.hypernets import HypernetworkPatcher, HypernetworkUse
from modules.networks.lora import REMEMBERED, LoraCache
from modules.networks.origin import REFINER_LABEL, SD1_LABEL, SD2_LABEL, SDXL_LABEL
from modules.networks.patching import Bundled, LoraUse, NetworkPatcher, Outcome

NETWORK_KINDS: Mapping[str, str] = {
    SD1_FAMILY: SD1_LABEL, SD2_FAMILY: SD2_LABEL, SDXL_FAMILY: SDXL_LABEL, SDXL_REFINER_FAMILY: REFINER_LABEL,
}  # fmt: skip
"""What networks' files say of the models that they are for, by family."""

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class LoadedModel:
    """A checkpoint in memory, and what differs from its file just now."""

    bundle: ModelBundle
    conditioner: TextConditioner
    patcher: NetworkPatcher
    own_vae: AutoencoderKL
    hypernetworks: HypernetworkPatcher
    depth: DepthEstimator
    vae_file: VaeFile | None = None
    seamless: bool = False
    text_networks: tuple[object, ...] = ()
    bundled: tuple[tuple[Bundled, str], ...] = ()
    other_vaes: dict[Path, AutoencoderKL] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    """What users should know whenever they use it."""

    def set_networks(
        self,
        uses: Sequence[LoraUse],
        hypernetworks: Sequence[HypernetworkUse] = (),
        on_layer: Callable[[], None] = lambda: None,
    ) -> tuple[Outcome, Mapping[HypernetworkUse, str]]:
        """Have exactly these networks at work; return what became of them, and which hypernetworks were refused.

        `on_layer` is called before each layer that changes. Whatever it raises, the weights are then the original ones.
        """
        on_text = tuple((use.file, use.text_strength, use.dyn) for use in uses)
        if on_text != self.text_networks:
            self.conditioner.forget()
            self.text_networks = ()
        outcome = self.patcher.set(uses, on_layer)
        self.text_networks = on_text
        return outcome, self.hypernetworks.set(hypernetworks)

    def set_bundled(self, bundled: tuple[Bundled, ...], names: Mapping[LoraUse, str]) -> list[str]:
        """Have exactly these embeddings of networks besides those in files; return why some cannot be used.

        `names`: what infotexts have in the place of a hash, by the network.
        """
        named = tuple((each, names.get(each.use, "")) for each in bundled)
        if named == self.bundled:
            return []
        self.bundled = named
        embeddings, problems = [], []
        for each, name in named:
            try:
                content = embedding_of(each.use.file.path, each.name, each.content)
                embeddings.append(Embedding(each.name, content.vectors, name))
            except NetworkUnavailable as error:
                problems.append(str(error))
        self.conditioner.embeddings.bundle(embeddings)
        return problems

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


@dataclass(frozen=True, slots=True)
class ShelfRules:
    """What the options say of models in memory, asked whenever it matters.

    `keep`: how many checkpoints; `keep_in_main_memory`: only the one at work is on the device; `keep_loras`: of how
    many network files the content is kept besides those in use. `hash_soon` begins to compute the SHA-256 of a file;
    without it that is done while the checkpoint loads. `depth_folders`: where networks that see depth lie.
    """

    keep: Callable[[], int] = lambda: 1
    keep_in_main_memory: Callable[[], bool] = lambda: True
    keep_loras: Callable[[], int] = lambda: REMEMBERED
    hash_soon: Callable[[Path], Future[str]] | None = None
    depth_folders: tuple[Path, ...] = ()


class ModelShelf:
    """Loads checkpoints and keeps the last ones."""

    def __init__(self, files: ModelFiles, plan: DevicePlan, rules: ShelfRules | None = None) -> None:
        """Take where models are found, and where they work."""
        self.files = files
        self.plan = plan
        self.rules = rules or ShelfRules()
        self._loaded: dict[Path, LoadedModel] = {}
        """The one used last stands last."""
        self.embeddings: EmbeddingStore | None = None
        if files.embeddings is not None:
            self.embeddings = EmbeddingStore(files.embeddings, files.embedding_pictures)
        self._loras = LoraCache(self.rules.keep_loras)

    def get(
        self, checkpoint: str, sink: RunSink, beside: LoadedModel | None = None, vae: VaeFile | None = None
    ) -> LoadedModel:
        """Return a checkpoint ready to work, loading it if need be; `beside` stays in memory whatever the limit.

        `vae` is for checkpoints that come without one. Raises ModelUnavailable, OutOfMemory.
        """
        entry = self.files.checkpoints.find(checkpoint)
        model = self._loaded.pop(entry.path, None)
        seconds = 0.0
        if model is None or not _same(model.bundle, entry):
            outdated, model = model is not None, None
            self._make_room(beside, outdated)
            started = time.monotonic()
            model = self._load(entry, sink, self._lent(entry, vae))
            seconds = time.monotonic() - started
            logger.info("Checkpoint %s loaded in %.1f s.", model.bundle.entry.title, seconds)
        if self.rules.keep_in_main_memory():
            for other in self._loaded.values():
                other.bundle.residency.leave()
        self._loaded[entry.path] = model
        # Whoever hears of it may ask for it at once.
        sink.publish(ModelReady(model.bundle.entry.title, seconds))
        return model

    def loaded(self, checkpoint: str) -> LoadedModel | None:
        """Return a checkpoint if it is in memory. Raises ModelUnavailable."""
        return self._loaded.get(self.files.checkpoints.find(checkpoint).path)

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
        sink.publish(ModelLoading(entry.title, 0.0, "reading"))
        hash_soon = self.rules.hash_soon
        if hash_soon is None:
            entry = self.files.checkpoints.hashed(entry)
        else:
            hash_soon(entry.weights).add_done_callback(lambda answer: self._hashed(entry, answer))

        def progress(fraction: float, stage: str) -> None:
            sink.publish(ModelLoading(entry.title, fraction, stage))

        with explaining_out_of_memory():
            bundle = load_bundle(entry, self.plan, progress, lent)
        if entry.prediction is None:
            self.files.checkpoints.learned(entry, bundle.prediction)
        encoders = {text.spec.network_prefix: text.encoder for text in bundle.texts}
        names = original_names(bundle.unet.config, (name for name, _ in bundle.unet.named_modules()))
        patcher = NetworkPatcher(bundle.unet, encoders, self._loras, names, NETWORK_KINDS.get(bundle.family.name, ""))
        remarks = tuple(
            f"{entry.name} holds no {_in_words(part)}: that of {lender.name} is used."
            for part, lender in lent.parts.items()
        )
        conditioner = TextConditioner(bundle, self.embeddings)
        hypernetworks = HypernetworkPatcher(bundle.unet)
        depth = DepthEstimator(entry, self.rules.depth_folders, bundle.plan.device)
        return LoadedModel(bundle, conditioner, patcher, bundle.vae, hypernetworks, depth, remarks=remarks)

    def reset_relief(self) -> None:
        """Undo what was done for one run alone; a model that is held no more has nothing to undo."""
        for model in self._loaded.values():
            model.bundle.relief.reset()

    def named(self, model: LoadedModel) -> CheckpointEntry:
        """Return what a model in memory is, with its hash, waiting for that; without it when it cannot be computed."""
        entry = model.bundle.entry
        if entry.sha256 is None:
            try:
                if self.rules.hash_soon is not None:
                    self.rules.hash_soon(entry.weights).result()
                entry = self.files.checkpoints.hashed(entry)
                model.bundle.entry = entry
            except (ModelUnavailable, OSError) as error:
                logger.warning("The hash of %s is not known: %s", entry.name, error)
        return entry

    def _hashed(self, entry: CheckpointEntry, answer: Future[str]) -> None:
        """Have the list show the hash that was computed meanwhile."""
        if answer.exception() is None:
            self.files.checkpoints.hashed(entry)

    def _make_room(self, beside: LoadedModel | None, outdated: bool) -> None:
        """Forget the checkpoints used longest ago, so that one more is within the limit.

        `outdated`: one was forgotten already. Models refer to themselves: only a search gives their memory back.
        """
        before = len(self._loaded)
        most = max(self.rules.keep(), 2 if beside is not None else 1) - 1
        for path in [path for path, model in self._loaded.items() if model is not beside]:
            if len(self._loaded) <= most:
                break
            del self._loaded[path]
        if outdated or len(self._loaded) < before:
            gc.collect()
        if self.plan.device.type == "cuda":
            torch.cuda.empty_cache()


def _same(bundle: ModelBundle, listed: CheckpointEntry) -> bool:
    """Say whether a model in memory is what the list says now, which the user may have corrected."""
    prediction = bundle.prediction
    loaded = replace(bundle.entry, sha256=listed.sha256, prediction=prediction, native_size=listed.native_size)
    return loaded == replace(listed, prediction=listed.prediction or prediction)


def _lends(other: CheckpointEntry, entry: CheckpointEntry, part: str) -> bool:
    """Say whether `other` can give `entry` a component."""
    fits = other.usable and (other.family, other.sizes) == (entry.family, entry.sizes)
    return fits and part not in other.missing


def _in_words(part: str) -> str:
    return {"vae": "VAE", "text_encoder_2": "second text encoder"}.get(part, part.replace("_", " "))

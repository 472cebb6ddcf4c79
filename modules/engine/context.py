"""What the passes of one run share: the models at work, the networks in them, and how the user stops it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from PIL.Image import Image
from torch import Tensor

from modules.core.errors import GenerationStopped, ImageSkipped
from modules.core.events import Remark
from modules.core.parameters import SAME_CHECKPOINT
from modules.core.ports import CancelToken, RunSink
from modules.core.request import GenerationRequest
from modules.engine.families import ModelBundle
from modules.engine.models import LoadedModel, ModelShelf
from modules.engine.networks import ChosenNetworks, NetworkUser, choose_networks
from modules.engine.plan import Plan, SamplingPass
from modules.engine.source import Canvas, Source
from modules.hooks.registry import RunHooks
from modules.hooks.spec import ChosenNetworks as Networks
from modules.hooks.spec import ModelAtWork
from modules.prompts.tags import Tag

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class RunContext:
    """One run. `active` is the model at work, which hires fix and refiner change within a batch; `base` the first."""

    plan: Plan
    shelf: ModelShelf
    sink: RunSink
    cancel: CancelToken
    preview: Callable[[ModelBundle, Tensor], Image]
    """Returns a small picture of latents as they are now."""
    active: LoadedModel | None = None
    base: LoadedModel | None = None
    refiner: LoadedModel | None = None
    chosen: dict[tuple[Tag, ...], ChosenNetworks] = field(default_factory=dict)
    networks: NetworkUser = field(init=False)
    embeddings: dict[str, str] = field(default_factory=dict)
    """Names and hashes of the embeddings that the prompts had in them."""
    source: Source | None = None
    """The picture that is worked over, in img2img."""
    canvas: Canvas | None = None
    """The same in latents, of the batch that was sampled last."""
    hooks: RunHooks = field(default_factory=RunHooks)
    described: GenerationRequest | None = None
    """The request that infotexts tell of, where it is not the plan's."""
    plugin_pairs: Mapping[str, str] = field(default_factory=dict)
    """What infotexts hold of plugins' values."""
    vae_in_strips: bool = False
    """Whether the VAE works in strips from the start, and not only when the memory runs out."""
    told: set[str] = field(default_factory=set)
    """The models' remarks that the user has heard in this run."""

    def __post_init__(self) -> None:
        self.networks = NetworkUser(self._say, self.plan.request.bundled_hashes)

    def start(self) -> LoadedModel:
        """Have the request's own checkpoint at work, as every batch begins."""
        self.base = self.load(self.plan.request.checkpoint)
        return self.base

    def load(self, checkpoint: str, beside: LoadedModel | None = None) -> LoadedModel:
        """Have a checkpoint at work, prepared for this run; `beside` stays in memory. Raises ModelUnavailable."""
        request, files = self.plan.request, self.shelf.files
        entry = files.checkpoints.find(checkpoint)
        vae = files.vaes.resolve(request.vae, entry.path) if files.vaes is not None else None
        model = self.shelf.get(checkpoint, self.sink, beside, vae)
        for text in model.remarks:
            if text not in self.told:
                self.told.add(text)
                self._say(text)
        model.bundle.relief.begin(self._say, self.vae_in_strips)
        model.set_vae(vae)
        model.set_seamless(request.tiling)
        self.active = model
        if self.hooks.on_model:
            self.hooks.on_model(ModelAtWork(entry.title, model))
        return model

    def finish(self) -> None:
        """Undo what was done for this run alone."""
        self.shelf.reset_relief()

    def _say(self, text: str) -> None:
        logger.warning("%s", text)
        self.sink.publish(Remark(text))

    def load_for_second_pass(self) -> LoadedModel:
        """Have the second pass's checkpoint at work; a refiner of the first pass leaves the field to it."""
        request = self.plan.request
        if request.hr_checkpoint in ("", SAME_CHECKPOINT):
            return self.load(request.checkpoint, self.refiner)
        return self.load(request.hr_checkpoint, self.base)

    def load_refiner(self) -> LoadedModel:
        """Have the refiner at work."""
        self.refiner = self.load(self.plan.request.refiner_checkpoint, self.base)
        return self.refiner

    def networks_of(self, which: SamplingPass) -> ChosenNetworks:
        """Return the networks that the prompt of a pass asks for."""
        tags = () if self.plan.request.disable_networks else which.prompts.tags
        if tags not in self.chosen:
            self.chosen[tags] = choose_networks(tags, self.shelf.files, self._say)
        return self.chosen[tags]

    def put_networks(self, model: LoadedModel, which: SamplingPass) -> None:
        """Have the networks of a pass's prompt in a model, and no others."""
        chosen = self.networks_of(which)
        if self.hooks.on_networks:
            edited = Networks(list(chosen.uses))
            self.hooks.on_networks(edited)
            chosen = replace(chosen, uses=tuple(edited.uses))
        self.networks.put(chosen, model, self.look_at_cancel, quiet=model is self.refiner)

    def look_at_cancel(self) -> None:
        """Raise what ends the run or the batch, if the user asked for it."""
        if self.cancel.interrupted():
            raise GenerationStopped
        if self.cancel.take_skip():
            raise ImageSkipped

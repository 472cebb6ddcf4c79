"""The engine as the rest of Easel knows it: `core.ports.Engine` over diffusers."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from modules.cli import AppConfig
from modules.core.errors import FieldProblem, InvalidRequest, ModelUnavailable
from modules.core.events import Remark
from modules.core.parameters import PARAMETERS
from modules.core.ports import CancelToken, RunSink
from modules.core.request import GenerationRequest
from modules.core.result import GenerationResult
from modules.engine.context import RunContext
from modules.engine.depth import DEPTH_FOLDERS
from modules.engine.families import TOKENIZER, ModelBundle
from modules.engine.generate import Run
from modules.engine.memory import DevicePlan, DeviceWishes, explaining_out_of_memory, plan_device
from modules.engine.models import ModelShelf, ShelfRules
from modules.engine.networks import folder_of
from modules.engine.plan import Plan, make_plan
from modules.engine.preview import CHEAP, Previewer
from modules.engine.source import PictureSource
from modules.engine.text import text_widths, vocabulary_of
from modules.engine.words import tokenizer_of
from modules.hooks.registry import HookRegistry, RunHooks
from modules.hooks.spec import Generation
from modules.library.files import ModelFiles
from modules.library.identify import SD1_FAMILY
from modules.library.text_widths import TEXT_WIDTHS
from modules.networks.embedding_store import ModelEmbeddings
from modules.prompts.chunks import Vocabulary, count_tokens
from modules.prompts.inspection import InspectionRules, inspect_prompt
from modules.prompts.schedule import Timeline
from modules.prompts.tags import read_tags

logger = logging.getLogger(__name__)


def no_pictures(digest: str) -> Image.Image:
    """Stand in for a store of pictures where there is none. Raises InvalidRequest."""
    raise InvalidRequest([FieldProblem("firstpass_image", "First pass picture", digest, "a picture that was stored")])


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What the engine is built with.

    `wishes`: the device's part; `shelf`: what stays in memory; `vae_in_strips`: always, not only when the memory runs
    out; `pictures`: those that were handed in; `preview_kind`: how previews are made, see `preview.py`;
    `preview_folders`: where tiny decoders lie; `hooks`: the plugins.
    """

    wishes: DeviceWishes = field(default_factory=DeviceWishes)
    shelf: ShelfRules = field(default_factory=ShelfRules)
    pictures: PictureSource = no_pictures
    preview_kind: Callable[[], str] = lambda: CHEAP
    preview_folders: tuple[Path, ...] = ()
    vae_in_strips: Callable[[], bool] = lambda: False
    hooks: HookRegistry = field(default_factory=HookRegistry)


class DiffusionEngine:
    """Makes pictures with the checkpoints of a catalog, keeping the last ones in memory."""

    def __init__(self, files: ModelFiles, settings: EngineSettings | None = None) -> None:
        self.settings = settings or EngineSettings()
        self.plan: DevicePlan = plan_device(self.settings.wishes)
        self.shelf = ModelShelf(files, self.plan, self.settings.shelf)
        self._previewer = Previewer(self.settings.preview_folders)
        self._tokenizer = tokenizer_of(TOKENIZER, "page")
        self._vocabularies: dict[tuple[int, ...], Vocabulary] = {}
        logger.info("Pictures are made on %s in %s.", self.plan.device, self.plan.dtype)

    def generate(
        self, request: GenerationRequest, sink: RunSink, cancel: CancelToken, done: frozenset[int] = frozenset()
    ) -> GenerationResult:
        """Make the pictures of `request`; see `core.ports.Engine.generate`."""
        self.shelf.files.notice_embeddings()
        return self._run(Generation(request, sink, cancel, self.settings.pictures, self._run, done))

    def _run(self, generation: Generation) -> GenerationResult:
        """Make the pictures of a run, or of one inside another, with the plugins that its request asks for."""
        hooks = self.settings.hooks.listen(generation.request, lambda text: generation.sink.publish(Remark(text)))
        return hooks.around_generate(generation, lambda changed: self._make(changed, hooks))

    def _make(self, generation: Generation, hooks: RunHooks) -> GenerationResult:
        described = generation.described or generation.request
        context = RunContext(
            _checked_plan(generation.request), self.shelf, generation.sink, generation.cancel, self._preview,
            hooks=hooks, described=described,
            plugin_pairs=self.settings.hooks.plugins.infotext_pairs(described.extras),
        )  # fmt: skip
        context.vae_in_strips = self.settings.vae_in_strips()
        try:
            with explaining_out_of_memory():
                return Run(context, generation.pictures, generation.done).make_images()
        finally:
            context.finish()

    def preload(self, checkpoint: str, sink: RunSink) -> None:
        """Load a checkpoint now; see `core.ports.Engine.preload`."""
        self.shelf.get(checkpoint, sink)

    def count_tokens(self, text: str, checkpoint: str = "") -> tuple[int, int]:
        """Return the number of tokens of `text`, network tags left out, and how many fit into its chunks."""
        timeline = Timeline(int(PARAMETERS["steps"].default))
        return count_tokens(read_tags(text)[0], self._vocabulary(checkpoint), timeline)

    def inspect(self, request: GenerationRequest, field: str) -> dict[str, Any]:
        """Say how a prompt is understood; see `core.ports.Engine.inspect`."""
        plan = _checked_plan(request)
        text = plan.text_rules()
        rules = InspectionRules(
            self._vocabulary(request.checkpoint),
            plan.first.timeline,
            text.emphasis,
            text.backtrack,
            divides=field == "prompt",
            comments=request.comments,
        )
        return inspect_prompt(str(getattr(request, field)), rules, self._exists)

    def _preview(self, bundle: ModelBundle, latents: Tensor) -> Image.Image:
        return self._previewer.show(bundle, latents, self.settings.preview_kind())

    def _vocabulary(self, checkpoint: str) -> Vocabulary:
        """Return how prompts for a checkpoint are read, with its embeddings."""
        widths = self._text_widths(checkpoint)
        if widths not in self._vocabularies:
            known = ModelEmbeddings(self.shelf.embeddings, widths)
            plain = vocabulary_of(self._tokenizer)
            self._vocabularies[widths] = replace(plain, embeddings=lambda: known.index(plain.tokenize))
        return self._vocabularies[widths]

    def _text_widths(self, checkpoint: str) -> tuple[int, ...]:
        """Return what embeddings must have for a checkpoint, by its family as long as it is not in memory."""
        try:
            loaded = self.shelf.loaded(checkpoint)
            if loaded is not None:
                return text_widths(loaded.bundle)
            return TEXT_WIDTHS[self.shelf.files.checkpoints.find(checkpoint).family]
        except (ModelUnavailable, KeyError):
            return TEXT_WIDTHS[SD1_FAMILY]

    def _exists(self, kind: str, name: str) -> bool:
        folder = folder_of(kind, self.shelf.files)
        return folder is not None and folder.find(name) is not None


def create_engine(
    config: AppConfig,
    files: ModelFiles,
    option: Callable[[str], Any] | None = None,
    pictures: PictureSource = no_pictures,
    hash_soon: Callable[[Path], Future[str]] | None = None,
    hooks: HookRegistry | None = None,
) -> DiffusionEngine:
    """Return the engine on the device and in the precision that the command line asks for.

    `option` gives the present value of an option by its key; without it the defaults are taken. `hash_soon` begins to
    compute a file's SHA-256. `hooks`: the plugins, none by default.
    """
    wishes = DeviceWishes(
        use_cpu=config.use_cpu,
        device_index=config.device_index,
        half=config.half,
        half_vae=config.half_vae,
        mode=config.memory_mode,
        large_mode="medium" if config.medvram_sdxl else "normal",
    )
    settings = EngineSettings(
        wishes,
        ShelfRules(depth_folders=tuple(config.models_dir / name for name in DEPTH_FOLDERS)),
        pictures=pictures,
        preview_folders=config.preview_dirs,
        hooks=hooks or HookRegistry(),
    )
    if option is not None:
        settings = replace(
            settings,
            preview_kind=lambda: str(option("show_progress_type")),
            vae_in_strips=lambda: bool(option("vae_in_strips")),
            shelf=replace(
                settings.shelf,
                keep=lambda: int(option("sd_checkpoints_limit")),
                keep_in_main_memory=lambda: bool(option("sd_checkpoints_keep_in_cpu")),
                keep_loras=lambda: int(option("lora_in_memory_limit")),
                hash_soon=hash_soon,
            ),
        )
    engine = DiffusionEngine(files, settings)
    # What was imported is millions of objects, none of them garbage; each search for some would look at all of them.
    gc.freeze()
    return engine


def _checked_plan(request: GenerationRequest) -> Plan:
    """Return the plan of `request`. Raises InvalidRequest when a sampler or schedule is unknown."""
    try:
        return make_plan(request)
    except KeyError as error:
        name = error.args[0]
        fields = ("scheduler", "hr_sampler", "hr_scheduler")
        field = next((field for field in fields if getattr(request, field) == name), "sampler")
        raise InvalidRequest([PARAMETERS[field].problem(name)]) from error

"""The engine as the rest of Easel knows it: `core.ports.Engine` over diffusers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor
from transformers import CLIPTokenizer

from modules.cli import AppConfig
from modules.core.errors import FieldProblem, InvalidRequest
from modules.core.parameters import PARAMETERS
from modules.core.ports import CancelToken, RunSink
from modules.core.request import GenerationRequest
from modules.core.result import GenerationResult
from modules.engine.context import RunContext
from modules.engine.families import CONFIGS, ModelBundle
from modules.engine.generate import PictureSource, Run
from modules.engine.memory import DevicePlan, DeviceWishes, explaining_out_of_memory, plan_device
from modules.engine.models import ModelShelf
from modules.engine.plan import Plan, make_plan
from modules.engine.preview import CHEAP, Previewer
from modules.engine.text import vocabulary_of
from modules.library.files import ModelFiles
from modules.prompts.chunks import EmbeddingName, count_tokens
from modules.prompts.inspection import LORA_KINDS, InspectionRules, inspect_prompt
from modules.prompts.schedule import Timeline
from modules.prompts.tags import read_tags

TEXT_WIDTH = 768
"""Numbers per token vector of Stable Diffusion 1.x, whose tokens the page counts."""

logger = logging.getLogger(__name__)


def no_pictures(digest: str) -> Image.Image:
    """Stand in for a store of pictures where there is none. Raises InvalidRequest."""
    raise InvalidRequest([FieldProblem("firstpass_image", "First pass picture", digest, "a picture that was stored")])


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What the engine is built with.

    `wishes`: the device's part; `keep_models`: how many checkpoints stay in memory; `keep_in_main_memory`: all but one
    of them off the device; `vae_in_strips`: always, not only when the memory runs out; `pictures`: those that were
    handed in; `preview_kind`: how previews are made, see `preview.py`; `preview_folders`: where tiny decoders lie.
    """

    wishes: DeviceWishes = field(default_factory=DeviceWishes)
    keep_models: Callable[[], int] = lambda: 1
    pictures: PictureSource = no_pictures
    preview_kind: Callable[[], str] = lambda: CHEAP
    preview_folders: tuple[Path, ...] = ()
    vae_in_strips: Callable[[], bool] = lambda: False
    keep_in_main_memory: Callable[[], bool] = lambda: True


class DiffusionEngine:
    """Makes pictures with the checkpoints of a catalog, keeping the last ones in memory."""

    def __init__(self, files: ModelFiles, settings: EngineSettings | None = None) -> None:
        self.settings = settings or EngineSettings()
        self.plan: DevicePlan = plan_device(self.settings.wishes)
        self.shelf = ModelShelf(files, self.plan, self.settings.keep_models, self.settings.keep_in_main_memory)
        self._previewer = Previewer(self.settings.preview_folders)
        tokenizer = CLIPTokenizer.from_pretrained(CONFIGS / "clip_tokenizer")
        self._vocabulary = vocabulary_of(tokenizer, self._embedding_names)
        logger.info("Pictures are made on %s in %s.", self.plan.device, self.plan.dtype)

    def generate(
        self, request: GenerationRequest, sink: RunSink, cancel: CancelToken, done: frozenset[int] = frozenset()
    ) -> GenerationResult:
        """Make the pictures of `request`; see `core.ports.Engine.generate`."""
        context = RunContext(_checked_plan(request), self.shelf, sink, cancel, self._preview)
        context.vae_in_strips = self.settings.vae_in_strips()
        try:
            with explaining_out_of_memory():
                return Run(context, self.settings.pictures, done).make_images()
        finally:
            context.finish()

    def preload(self, checkpoint: str, sink: RunSink) -> None:
        """Load a checkpoint now; see `core.ports.Engine.preload`."""
        self.shelf.get(checkpoint, sink)

    def count_tokens(self, text: str) -> tuple[int, int]:
        """Return the number of tokens of `text`, network tags left out, and how many fit into its chunks."""
        return count_tokens(read_tags(text)[0], self._vocabulary, Timeline(int(PARAMETERS["steps"].default)))

    def inspect(self, request: GenerationRequest, field: str) -> dict[str, Any]:
        """Say how a prompt is understood; see `core.ports.Engine.inspect`."""
        plan = _checked_plan(request)
        text = plan.text_rules()
        rules = InspectionRules(
            self._vocabulary, plan.first.timeline, text.emphasis, text.backtrack, divides=field == "prompt"
        )
        return inspect_prompt(str(getattr(request, field)), rules, self._exists)

    def _preview(self, bundle: ModelBundle, latents: Tensor) -> Image.Image:
        return self._previewer.show(bundle, latents, self.settings.preview_kind())

    def _embedding_names(self) -> Sequence[EmbeddingName]:
        known = self.shelf.embeddings
        return known.names(self._vocabulary.tokenize, TEXT_WIDTH) if known is not None else ()

    def _exists(self, kind: str, name: str) -> bool:
        loras = self.shelf.files.loras
        return loras is not None and kind in LORA_KINDS and loras.find(name) is not None


def create_engine(
    config: AppConfig,
    files: ModelFiles,
    option: Callable[[str], Any] | None = None,
    pictures: PictureSource = no_pictures,
) -> DiffusionEngine:
    """Return the engine on the device and in the precision that the command line asks for.

    `option` gives the present value of an option by its key; without it the defaults are taken.
    """
    wishes = DeviceWishes(
        use_cpu=config.use_cpu,
        device_index=config.device_index,
        half=config.half,
        half_vae=config.half_vae,
        mode=config.memory_mode,
    )
    settings = EngineSettings(wishes, pictures=pictures, preview_folders=config.preview_dirs)
    if option is not None:
        settings = replace(
            settings,
            keep_models=lambda: int(option("sd_checkpoints_limit")),
            preview_kind=lambda: str(option("show_progress_type")),
            vae_in_strips=lambda: bool(option("vae_in_strips")),
            keep_in_main_memory=lambda: bool(option("sd_checkpoints_keep_in_cpu")),
        )
    return DiffusionEngine(files, settings)


def _checked_plan(request: GenerationRequest) -> Plan:
    """Return the plan of `request`. Raises InvalidRequest when a sampler or schedule is unknown."""
    try:
        return make_plan(request)
    except KeyError as error:
        name = error.args[0]
        fields = ("scheduler", "hr_sampler", "hr_scheduler")
        field = next((field for field in fields if getattr(request, field) == name), "sampler")
        raise InvalidRequest([PARAMETERS[field].problem(name)]) from error

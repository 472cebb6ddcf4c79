"""The engine as the rest of Easel knows it: `core.ports.Engine` over diffusers."""

from __future__ import annotations

import gc
import logging
import time

import torch
from transformers import CLIPTokenizer

from modules.cli import AppConfig
from modules.core.errors import InvalidRequest
from modules.core.events import ModelLoading, ModelReady
from modules.core.parameters import PARAMETERS
from modules.core.ports import CancelToken, RunSink
from modules.core.request import GenerationRequest
from modules.core.result import GenerationResult
from modules.engine.families import CONFIGS, ModelBundle
from modules.engine.generate import Plan, Run, make_plan
from modules.engine.loading import load_bundle
from modules.engine.memory import DevicePlan, DeviceWishes, explaining_out_of_memory, plan_device
from modules.engine.text import TextConditioner, vocabulary_of
from modules.library.catalog import CheckpointCatalog
from modules.prompts.chunks import count_tokens
from modules.prompts.schedule import Timeline

logger = logging.getLogger(__name__)


class DiffusionEngine:
    """Makes pictures with the checkpoints of a catalog, keeping the last one in memory."""

    def __init__(self, catalog: CheckpointCatalog, wishes: DeviceWishes | None = None) -> None:
        self.catalog = catalog
        self.plan: DevicePlan = plan_device(wishes or DeviceWishes())
        self._bundle: ModelBundle | None = None
        self._conditioner: TextConditioner | None = None
        self._vocabulary = vocabulary_of(CLIPTokenizer.from_pretrained(CONFIGS / "clip_tokenizer"))
        logger.info("Pictures are made on %s in %s.", self.plan.device, self.plan.dtype)

    def generate(
        self, request: GenerationRequest, sink: RunSink, cancel: CancelToken, done: frozenset[int] = frozenset()
    ) -> GenerationResult:
        """Make the pictures of `request`; see `core.ports.Engine.generate`."""
        plan = _checked_plan(request)
        bundle, conditioner = self._loaded(request.checkpoint, sink)
        with explaining_out_of_memory():
            return Run(plan, bundle, conditioner, sink, cancel, done).make_images()

    def preload(self, checkpoint: str, sink: RunSink) -> None:
        """Load a checkpoint now; see `core.ports.Engine.preload`."""
        self._loaded(checkpoint, sink)

    def count_tokens(self, text: str) -> tuple[int, int]:
        """Return the number of tokens of `text` and how many fit into its chunks."""
        return count_tokens(text, self._vocabulary, Timeline(int(PARAMETERS["steps"].default)))

    def _loaded(self, checkpoint: str, sink: RunSink) -> tuple[ModelBundle, TextConditioner]:
        entry = self.catalog.find(checkpoint)
        bundle, conditioner = self._bundle, self._conditioner
        if bundle is not None and conditioner is not None and bundle.entry.path == entry.path:
            sink.publish(ModelReady(bundle.entry.title, 0.0))
            return bundle, conditioner
        self._unload()
        started = time.monotonic()
        sink.publish(ModelLoading(entry.title, 0.0, "computing the hash"))
        entry = self.catalog.hashed(entry)
        with explaining_out_of_memory():
            bundle = load_bundle(
                entry, self.plan, lambda fraction, stage: sink.publish(ModelLoading(entry.title, fraction, stage))
            )
        conditioner = TextConditioner(bundle)
        self._bundle, self._conditioner = bundle, conditioner
        seconds = time.monotonic() - started
        logger.info("Checkpoint %s loaded in %.1f s.", entry.title, seconds)
        sink.publish(ModelReady(entry.title, seconds))
        return bundle, conditioner

    def _unload(self) -> None:
        """Free the memory of the last checkpoint before the next one takes its own."""
        self._bundle, self._conditioner = None, None
        gc.collect()
        if self.plan.device.type == "cuda":
            torch.cuda.empty_cache()


def create_engine(config: AppConfig, catalog: CheckpointCatalog) -> DiffusionEngine:
    """Return the engine on the device and in the precision that the command line asks for."""
    wishes = DeviceWishes(
        use_cpu=config.use_cpu,
        device_index=config.device_index,
        half=config.half,
        half_vae=config.half_vae,
        mode=config.memory_mode,
    )
    return DiffusionEngine(catalog, wishes)


def _checked_plan(request: GenerationRequest) -> Plan:
    """Return the plan of `request`. Raises InvalidRequest when a sampler or schedule is unknown."""
    try:
        return make_plan(request)
    except KeyError as error:
        name = error.args[0]
        field = "scheduler" if name == request.scheduler else "sampler"
        raise InvalidRequest([PARAMETERS[field].problem(name)]) from error

"""Request -> plan -> pictures, batch by batch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from modules.core.errors import GenerationStopped, ImageSkipped
from modules.core.events import ImageDone, PreviewReady, StepDone
from modules.core.ports import CancelToken, RunSink
from modules.core.request import GenerationRequest
from modules.core.result import GeneratedImage, GenerationResult
from modules.core.version import VERSION_TEXT
from modules.engine.denoise import Conditioning, GuidedDenoiser, Part
from modules.engine.families import ModelBundle
from modules.engine.latents import decode
from modules.engine.preview import preview
from modules.engine.text import EncodedPrompt, TextConditioner
from modules.imaging.infotext import RunFacts, write_infotext
from modules.prompts.grammar import without_comments
from modules.prompts.schedule import Timeline, split_parts
from modules.sampling import registry
from modules.sampling.denoisers import NoiseLevels
from modules.sampling.noise import BatchNoise, BrownianNoise
from modules.sampling.solvers.common import Noise, OnStep

DEFAULT_ETA = 1.0
"""The share of ancestral noise, as A1111 has it for every sampler that takes one."""


@dataclass(slots=True)
class BatchPlan:
    """One batch: the index of its first picture and the seed of each."""

    first_image: int
    seeds: list[int]

    def indexes(self) -> range:
        """Return the indexes of the batch's pictures."""
        return range(self.first_image, self.first_image + len(self.seeds))


@dataclass(slots=True)
class Plan:
    """What one run will do, worked out from the request; alive for this run only."""

    request: GenerationRequest
    sampler: registry.Sampler
    schedule: registry.Schedule
    batches: list[BatchPlan]
    prompt: str
    negative_prompt: str

    @property
    def schedule_label(self) -> str:
        """The schedule as infotexts have it: "Automatic" where sampler and request leave it to the model."""
        if self.request.scheduler.casefold() == registry.AUTOMATIC.casefold():
            return self.sampler.default_schedule or registry.AUTOMATIC
        return self.schedule.label


    @property
    def timeline(self) -> Timeline:
        """How prompts count the steps: by calls of the model."""
        return Timeline(self.request.steps * (2 if self.sampler.second_order else 1))

    def sigmas(self, levels: NoiseLevels) -> Tensor:
        """Return the noise levels of the run: (steps + 1,), on the CPU."""
        drops = self.sampler.drops_penultimate
        formula = self.sampler.schedule_function(self.schedule)
        sigmas: Tensor = formula(levels, self.request.steps + 1 if drops else self.request.steps)
        return torch.cat([sigmas[:-2], sigmas[-1:]]) if drops else sigmas

    def start(self, noise: Tensor, sigmas: Tensor) -> Tensor:
        """Return the latents that the run begins with, from unit noise."""
        first = sigmas[0].item()
        return noise * (1 + first**2) ** 0.5 if self.sampler.unit_start else noise * first

    def solver_options(self) -> dict[str, float]:
        """Return the keyword arguments that the solver takes beyond noise, at A1111's defaults."""
        return {"eta": DEFAULT_ETA} if "eta" in self.sampler.options else {}


def make_plan(request: GenerationRequest) -> Plan:
    """Return the plan of `request`, whose names must be known and whose seed must be fixed."""
    sampler, schedule = registry.resolve(request.sampler, request.scheduler)
    size = request.batch_size
    batches = [
        BatchPlan(number * size, [request.image_seed(number * size + place) for place in range(size)])
        for number in range(request.batch_count)
    ]
    prompts = without_comments(request.prompt), without_comments(request.negative_prompt)
    return Plan(request, sampler, schedule, batches, *prompts)


@dataclass(slots=True)
class Run:
    """One run of a plan on a model; `done` are the pictures that exist already."""

    plan: Plan
    bundle: ModelBundle
    conditioner: TextConditioner
    sink: RunSink
    cancel: CancelToken
    done: frozenset[int] = frozenset()

    @torch.inference_mode()
    def make_images(self) -> GenerationResult:
        """Make every picture that is missing. Raises StorageFailed when one cannot be kept."""
        finished, skipped = set(self.done), set[int]()
        for batch in self.plan.batches:
            if self.done.issuperset(batch.indexes()):
                continue
            if self.cancel.stopping_after_current() and finished != self.done:
                return self._result(finished, skipped, interrupted=True)
            try:
                self._make_batch(batch, finished)
            except GenerationStopped:
                return self._result(finished, skipped, interrupted=True)
            except ImageSkipped:
                skipped.update(index for index in batch.indexes() if index not in finished)
        return self._result(finished, skipped)

    def _result(self, finished: set[int], skipped: set[int], interrupted: bool = False) -> GenerationResult:
        return GenerationResult(tuple(sorted(finished)), tuple(sorted(skipped)), interrupted)

    def _make_batch(self, batch: BatchPlan, finished: set[int]) -> None:
        latents = self._sample(batch)
        for place, index in enumerate(batch.indexes()):
            if index in self.done:
                continue
            seed = batch.seeds[place]
            pixels = decode(self.bundle, latents[place : place + 1])
            self.sink.save(GeneratedImage(index, seed, pixels, self._infotext(seed)))
            finished.add(index)
            self.sink.publish(ImageDone(index))

    def _sample(self, batch: BatchPlan) -> Tensor:
        """Return the batch's latents: (batch, channels, height/8, width/8), scaled by the VAE factor, float32."""
        request, bundle = self.plan.request, self.bundle
        shape = bundle.latent_shape(request.width, request.height)
        drawn = BatchNoise(batch.seeds, shape, request.noise_source, bundle.plan.device)
        sigmas = self.plan.sigmas(bundle.levels)
        start = self.plan.start(drawn.draw(), sigmas)
        denoiser = GuidedDenoiser(bundle, self._conditioning(), self._look_at_cancel)
        with bundle.residency.using(bundle.unet):
            sampled: Tensor = self.plan.sampler.function()(
                denoiser,
                start,
                sigmas,
                noise=self._noise(batch, start, drawn, sigmas),
                on_step=self._watcher(batch, len(sigmas) - 1),
                **self.plan.solver_options(),
            )
        self._look_at_cancel()
        return sampled

    def _noise(self, batch: BatchPlan, start: Tensor, drawn: BatchNoise, sigmas: Tensor) -> Noise:
        """Return the noise of the steps: fresh draws, or a Brownian path over the schedule."""
        if self.plan.sampler.brownian:
            return BrownianNoise(batch.seeds, start, float(sigmas[sigmas > 0].min()), float(sigmas.max()))
        return lambda sigma, sigma_next: drawn.draw()

    def _watcher(self, batch: BatchPlan, steps: int) -> OnStep:
        def watch(index: int, x: Tensor, denoised: Tensor) -> None:
            # DPM adaptive takes as many steps as it needs.
            step = min(index + 1, steps)
            self.sink.publish(StepDone(batch.first_image, len(batch.seeds), step, steps))
            if self.sink.wants_preview(step):
                self.sink.publish(PreviewReady(batch.first_image, preview(self.bundle.family, denoised)))

        return watch

    def _look_at_cancel(self) -> None:
        if self.cancel.interrupted():
            raise GenerationStopped
        if self.cancel.take_skip():
            raise ImageSkipped

    def _conditioning(self) -> Conditioning:
        request = self.plan.request
        parts = split_parts(self.plan.prompt)
        positive = tuple(Part(self._encoded(part.text), part.weight) for part in parts)
        guided = request.cfg_scale != 1 or [part.weight for part in parts] != [1.0]
        negative = self._encoded(self.plan.negative_prompt) if guided else None
        return Conditioning(positive, negative, request.cfg_scale)

    def _encoded(self, prompt: str) -> EncodedPrompt:
        return self.conditioner.encode(prompt, self.plan.request.clip_skip, self.plan.timeline)

    def _infotext(self, seed: int) -> str:
        entry = self.bundle.entry
        facts = RunFacts(
            sampler=self.plan.sampler.label,
            schedule=self.plan.schedule_label,
            seed=seed,
            model_name=entry.model_name,
            model_hash=entry.short_hash,
            version=VERSION_TEXT,
        )
        prompts = {"prompt": self.plan.prompt, "negative_prompt": self.plan.negative_prompt}
        return write_infotext(self.plan.request.model_copy(update=prompts), facts)


"""Request -> plan -> pictures, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

import torch
from PIL.Image import Image
from torch import Tensor

from modules.core.errors import GenerationStopped, ImageSkipped, PluginFailed
from modules.core.events import ImageDone
from modules.core.parameters import SAME_CHECKPOINT
from modules.core.result import GeneratedImage, GenerationResult
from modules.core.version import VERSION_TEXT
from modules.engine.context import RunContext
from modules.engine.hires import enlarged, enlarged_latents, latents_of_picture
from modules.engine.latents import decode
from modules.engine.models import LoadedModel
from modules.engine.networks import infotext_hashes, vae_facts
from modules.engine.plan import BatchPlan, SamplingPass
from modules.engine.sample import sample_pass
from modules.engine.source import Made, PictureSource, put_back, read_source
from modules.hooks.spec import BatchStart, Decoded, Described, Enlarging, Picture, Sampled
from modules.imaging.colours import with_colours_of
from modules.imaging.infotext import RunFacts, write_infotext


@dataclass(slots=True)
class Run:
    """One run of a plan; `done` are the pictures that exist already."""

    context: RunContext
    pictures: PictureSource
    done: frozenset[int] = frozenset()

    @torch.inference_mode()
    def make_images(self) -> GenerationResult:
        """Make every picture that is missing. Raises StorageFailed when one cannot be kept."""
        finished, skipped = set(self.done), set[int]()
        request = self.context.plan.request
        if request.init_image:
            self.context.source = read_source(request, self.pictures, self._enlarge_source)
        for batch in self.context.plan.batches:
            if self.done.issuperset(batch.indexes()):
                continue
            if self.context.cancel.stopping_after_current() and finished != self.done:
                return self._result(finished, skipped, interrupted=True)
            try:
                self._make_batch(batch, finished)
            except GenerationStopped:
                return self._result(finished, skipped, interrupted=True)
            except ImageSkipped:
                skipped.update(index for index in batch.indexes() if index not in finished)
        return self._result(finished, skipped)

    def _enlarge_source(self, asked: Enlarging) -> Image:
        """Enlarge a picture that a run works over, as plugins want it."""
        return self.context.hooks.around_upscale(asked, partial(enlarged, field="img2img_upscaler"))

    def _result(self, finished: set[int], skipped: set[int], interrupted: bool = False) -> GenerationResult:
        return GenerationResult(tuple(sorted(finished)), tuple(sorted(skipped)), interrupted)

    def _make_batch(self, batch: BatchPlan, finished: set[int]) -> None:
        batch = self._begun(batch)
        base = self.context.start()
        latents = self._latents(batch)
        sink, active = self.context.sink, self.context.active or base
        for made in self._decoded(batch, latents, active):
            pixels, index, place = self._put_back(made), made.index, made.index - batch.first_image
            seed = batch.seeds[place]
            text = _infotext(self.context, base, batch, place)
            picture = Picture(index, seed, pixels, text)
            self.context.hooks.on_picture(picture)
            over = self.context.source is not None
            sink.save(GeneratedImage(index, seed, picture.pixels, picture.infotext, over))
            finished.add(index)
            sink.publish(ImageDone(index))

    def _begun(self, batch: BatchPlan) -> BatchPlan:
        """Return a batch as plugins leave it."""
        hooks = self.context.hooks
        if not hooks.before_batch:
            return batch
        begun = BatchStart(tuple(batch.indexes()), list(batch.seeds), list(batch.subseeds))
        hooks.before_batch(begun)
        if len(begun.seeds) != len(batch.seeds) or len(begun.subseeds) != len(batch.subseeds):
            raise PluginFailed(f"A plugin changed how many seeds a batch of {len(batch.seeds)} pictures has.")
        return replace(batch, seeds=list(begun.seeds), subseeds=list(begun.subseeds))

    def _decoded(self, batch: BatchPlan, latents: Tensor, model: LoadedModel) -> Iterator[Made]:
        """Yield the batch's missing pictures; one after the other, unless plugins want to see them together."""
        missing = [index for index in batch.indexes() if index not in self.done]
        parts = (latents[index - batch.first_image :][:1] for index in missing)
        each = (Made(index, decode(model.bundle, one), one) for index, one in zip(missing, parts, strict=True))
        if not self.context.hooks.on_decoded:
            yield from each
            return
        every = list(each)
        decoded = Decoded(tuple(missing), [made.picture for made in every])
        self.context.hooks.on_decoded(decoded)
        for made, picture in zip(every, decoded.pictures, strict=True):
            yield replace(made, picture=picture)

    def _put_back(self, made: Made) -> Image:
        """Return a picture in the one that was worked over, if there is one."""
        source, canvas = self.context.source, self.context.canvas
        if source is None or canvas is None:
            return made.picture
        if self.context.plan.request.color_correction:
            made = replace(made, picture=with_colours_of(made.picture, source.picture))
        return put_back(source, canvas, made, self.context.hooks.on_overlay)

    def _latents(self, batch: BatchPlan) -> Tensor:
        """Return what is decoded: the batch's latents, (batch, channels, height/8, width/8), as plugins leave them."""
        sampled = Sampled(self._sample(batch), batch.first_image)
        self.context.hooks.after_sampling(sampled)
        return sampled.latents

    def _sample(self, batch: BatchPlan) -> Tensor:
        """Return the batch's latents: (batch, channels, height/8, width/8), scaled by the VAE factor, float32."""
        context = self.context
        request, second = context.plan.request, context.plan.second
        if second is None or context.active is None:
            return sample_pass(context, batch, context.plan.first, None)

        def enlarge(asked: Enlarging) -> Image:
            """Enlarge a picture, as plugins want it."""
            return context.hooks.around_upscale(asked, enlarged)

        if request.firstpass_image:
            one = latents_of_picture(context.active.bundle, self.pictures(request.firstpass_image), request, enlarge)
            larger = one.repeat(len(batch.seeds), 1, 1, 1)
        else:
            latents = sample_pass(context, batch, context.plan.first, None)
            larger = enlarged_latents(context.active.bundle, latents, request, enlarge)
        context.load_for_second_pass()
        return sample_pass(context, batch, second, larger)


def _infotext(context: RunContext, base: LoadedModel, batch: BatchPlan, place: int) -> str:
    seed, subseed = batch.seeds[place], batch.subseeds[place]
    plan, entry, files = context.plan, context.shelf.named(base), context.shelf.files
    first, second = plan.first, plan.second
    facts = RunFacts(
        sampler=first.sampler.label,
        schedule=first.schedule_label,
        seed=seed,
        subseed=subseed,
        model_name=entry.model_name,
        model_hash=entry.short_hash,
        version=VERSION_TEXT,
        vae=vae_facts(base, files),
        hires_schedule=_differing_schedule(first, second),
        hires_model=_hires_model(context),
        refiner=context.shelf.named(context.refiner).short_title if context.refiner is not None else None,
        idle=plan.idle(),
        spoken=plan.spoken(),
        extra=_pairs(context, batch.first_image + place, seed),
    )
    prompts = {"prompt": first.prompts.prompt, "negative_prompt": first.prompts.negative_prompt}
    return write_infotext((context.described or plan.request).model_copy(update=prompts), facts)


def _pairs(context: RunContext, index: int, seed: int) -> Mapping[str, str]:
    """Return what the infotext of a picture holds of networks and plugins, as the latter leave it."""
    described = Described(index, seed, {**infotext_hashes(*_hashes(context)), **context.plugin_pairs})
    context.hooks.on_infotext(described)
    return described.pairs


def _hires_model(context: RunContext) -> str | None:
    """Return the title of the checkpoint that the second pass has for itself."""
    if context.plan.second is None or context.plan.request.hr_checkpoint in ("", SAME_CHECKPOINT):
        return None
    model = context.shelf.loaded(context.plan.request.hr_checkpoint)
    return context.shelf.named(model).short_title if model is not None else None


def _hashes(context: RunContext) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Return the hashes of LoRAs and of embeddings that the infotext is to hold, by name."""
    request = context.plan.request
    return context.networks.used if request.lora_hashes else {}, context.embeddings if request.embedding_hashes else {}


def _differing_schedule(first: SamplingPass, second: SamplingPass | None) -> str | None:
    """Return the label of the second pass's schedule when it is not that of the first."""
    if second is None or second.schedule_label == first.schedule_label:
        return None
    return second.schedule_label

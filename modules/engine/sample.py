"""One pass over one batch: prompts, noise, solver, refiner, and the events of its steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from modules.core.errors import EaselError
from modules.core.events import PreviewReady, StepDone
from modules.core.parameters import ZERO_TERMINAL_SNR
from modules.core.request import GenerationRequest
from modules.engine.context import RunContext
from modules.engine.denoise import Conditioning, GuidedDenoiser, Model, Part
from modules.engine.families import ModelBundle
from modules.engine.models import LoadedModel
from modules.engine.networks import embedding_hashes
from modules.engine.plan import LATENT_PIXELS, BatchPlan, Plan, SamplingPass
from modules.engine.source import Canvas, open_canvas
from modules.engine.text import EncodedPrompt
from modules.engine.told import extra_channels, told_sizes
from modules.hooks.spec import ExtraNoise, PassPrompts, PassStart, Sampling, Step, StepStart
from modules.library.identify import PIX2PIX
from modules.prompts.schedule import WeightedPrompt, split_parts
from modules.sampling.denoisers import LcmDenoiser, LcmLevels, NoiseLevels, downcasted, zero_terminal_snr
from modules.sampling.noise import BatchNoise, BrownianNoise, NoiseSeeds
from modules.sampling.passes import PassPlan, plan_pass
from modules.sampling.solvers.common import BeforeStep, Noise, OnStep, Watch, unchanged

TRAINED_LAST = 999


def sample_pass(context: RunContext, batch: BatchPlan, which: SamplingPass, latents: Tensor | None) -> Tensor:
    """Return the latents after one pass: (batch, channels, height/8, width/8), scaled by the VAE factor, float32.

    `latents` are those that a second pass begins with; the context's source comes in their place. The context's active
    model is the one at work, and after a refiner has taken over it is that.
    """
    if context.active is None:
        raise RuntimeError("no model is at work")
    request, loaded = context.plan.request, context.active
    bundle, levels = loaded.bundle, levels_of(loaded.bundle, request, which)
    walk = plan_pass(
        which.sampler, which.schedule, levels, which.steps, context.plan.pass_options(bundle.family.aligned_xl),
        which.strength, exact_steps=which.exact_steps,
    )  # fmt: skip
    shape = bundle.latent_shape(which.width, which.height)
    drawn = BatchNoise(_seeds(request, batch), shape, request.noise_source, bundle.plan.device)
    noise = drawn.draw()
    canvas = None
    if context.source is not None:
        canvas = open_canvas(bundle, context.source, request, noise, context.hooks.on_mask_blend)
        latents = canvas.latents
    conditioning = condition(context, loaded, which)
    noise, latents = _begun(context, which, canvas, noise, latents)
    start = _start(walk, noise, latents, context)
    guidance = context.plan.guidance(which, walk.total_steps * which.calls_a_step)
    handover = RefinerHandover(context, which, levels) if _refines(request, which) else None
    model = Model(bundle, levels, conditioning)
    guided = GuidedDenoiser(model, guidance, context.look_at_cancel, handover, context.hooks)
    guided.canvas = canvas if canvas is not None and canvas.painted is not None else None
    sampling = Sampling(
        start,
        walk.sigmas,
        LcmDenoiser(guided, levels) if isinstance(levels, LcmLevels) else guided,
        _noise(request, batch, start, drawn, walk, which),
        _beginner(context, which),
        _watcher(context, batch, which, guided),
        context.plan.passes.index(which),
    )
    sampled = context.hooks.around_sampling(sampling, _Solver(context.plan, which))
    context.plan.acted |= guided.acted
    context.look_at_cancel()
    context.canvas = canvas
    return canvas.blended(sampled) if canvas is not None else sampled


@dataclass(frozen=True, slots=True)
class _Solver:
    """The sampler of a pass, called with what it walks."""

    plan: Plan
    which: SamplingPass

    def __call__(self, sampling: Sampling) -> Tensor:
        """Return the latents at the walk's end."""
        sampler = self.which.sampler
        walked: Tensor = sampler.function()(
            sampling.denoise,
            sampling.latents,
            sampling.sigmas,
            noise=sampling.noise,
            watch=Watch(sampling.before_step, sampling.on_step),
            **self.plan.solver_options(sampler),
        )
        return walked


def _begun(
    context: RunContext, which: SamplingPass, canvas: Canvas | None, noise: Tensor, latents: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """Return the noise and the latents that a pass begins with, as plugins leave them."""
    if not context.hooks.before_pass:
        return noise, latents
    painted = canvas.painted if canvas is not None else None
    begun = PassStart(context.plan.passes.index(which), noise, latents, painted)
    context.hooks.before_pass(begun)
    return begun.noise, begun.latents


def condition(context: RunContext, loaded: LoadedModel, which: SamplingPass) -> Conditioning:
    """Put the networks of a pass into a model, and return its prompts as that model's text encoder sees them."""
    plan = context.plan
    read_with = plan.passes[0] if plan.request.hires_first_networks else which
    context.put_networks(loaded, read_with)
    conditioning = _encoded(context, loaded, which)
    context.put_networks(loaded, which)
    return conditioning


def _encoded(context: RunContext, loaded: LoadedModel, which: SamplingPass) -> Conditioning:
    rules, scale = context.plan.text_rules(), context.plan.request.cfg_scale * which.sampler.guidance_factor

    def encode(text: str, negative: bool = False) -> EncodedPrompt:
        encoded = loaded.conditioner.encode(text, rules, which.timeline)
        context.embeddings.update(embedding_hashes(loaded, encoded.embeddings))
        return told_sizes(encoded, loaded.bundle, context.plan.request, which, negative)

    parts, negative_text = _read_prompts(context, which)
    positive = tuple(Part(encode(part.text), part.weight) for part in parts)
    guided = scale != 1 or [part.weight for part in parts] != [1.0] or which.sampler.needs_unconditional
    negative = encode(negative_text, negative=True) if guided else None
    extra = extra_channels(loaded, which, context.source, context.plan.request)
    return Conditioning(positive, negative, encode("").stages[0].context, extra, _image_scale(context, loaded, parts))


def _read_prompts(context: RunContext, which: SamplingPass) -> tuple[list[WeightedPrompt], str]:
    """Return the parts of a pass's prompt and the negative prompt, as plugins leave them."""
    parts, negative = split_parts(which.prompts.encoded), which.prompts.negative_prompt
    if not context.hooks.on_prompts:
        return list(parts), negative
    index, pictures = context.plan.passes.index(which), context.plan.request.batch_size
    given = PassPrompts(index, pictures, [(part.text, part.weight) for part in parts], negative)
    context.hooks.on_prompts(given)
    return [WeightedPrompt(text, float(weight)) for text, weight in given.parts], given.negative


def _image_scale(context: RunContext, loaded: LoadedModel, parts: Sequence[WeightedPrompt]) -> float | None:
    """Return how strongly a picture guides models that change it by instructions; at 1 they are guided as others are.

    Raises EaselError for a prompt that AND divides.
    """
    scale = context.plan.request.image_cfg_scale
    if loaded.bundle.entry.variant != PIX2PIX or context.source is None or scale == 1:
        return None
    if len(parts) > 1:
        raise EaselError("AND cannot be used with an instruct-pix2pix checkpoint, unless Image CFG Scale is 1.")
    context.plan.acted.add("image_cfg_scale")
    return scale


class RefinerHandover:
    """Lets the refiner take over once the noise has fallen far enough, or enough steps are done."""

    def __init__(self, context: RunContext, which: SamplingPass, levels: NoiseLevels) -> None:
        """Take the noise levels of the model that works until then."""
        self.context = context
        self.which = which
        self.levels = levels
        self._done = False

    def __call__(self, call: int, sigma: float) -> Model | None:
        """Return the refiner when it is due before the `call`-th call (from 0) at `sigma`."""
        request = self.context.plan.request
        if self._done or self._share(call, sigma) < request.refiner_switch_at:
            return None
        self._done = True
        active = self.context.active
        wanted = self.context.shelf.files.checkpoints.find(request.refiner_checkpoint)
        if active is not None and wanted.path == active.bundle.entry.path:
            return None
        refiner = self.context.load_refiner()
        conditioning = condition(self.context, refiner, self.which)
        return Model(refiner.bundle, levels_of(refiner.bundle, request, self.which), conditioning)

    def _share(self, call: int, sigma: float) -> float:
        """Return how much of the way is done: measured on the trained timesteps, as A1111 does since 1.9."""
        if self.context.plan.request.refiner_by_steps:
            return call / (self.which.steps * self.which.calls_a_step)
        nearest = int((self.levels.sigmas - sigma).abs().argmin())
        return (TRAINED_LAST - nearest) / (TRAINED_LAST + 1)


def levels_of(bundle: ModelBundle, request: GenerationRequest, which: SamplingPass) -> NoiseLevels:
    """Return the model's noise levels as the request and the sampler want them."""
    alphas = bundle.levels.alphas_cumprod
    changed = alphas
    # In A1111's order, whose rounding shows.
    if request.downcast_alphas:
        changed = downcasted(changed)
    if request.noise_schedule == ZERO_TERMINAL_SNR:
        changed = zero_terminal_snr(changed)
    levels = bundle.levels if changed is alphas else NoiseLevels(changed)
    return LcmLevels(levels) if which.sampler.consistency else levels


def _refines(request: GenerationRequest, which: SamplingPass) -> bool:
    """Say whether the refiner takes over in this pass."""
    if not request.refines():
        return False
    if not request.enable_hr:
        return True
    second = which.strength is not None
    return request.hires_refiner_pass in ("both passes", "second pass" if second else "first pass")


def _seeds(request: GenerationRequest, batch: BatchPlan) -> NoiseSeeds:
    size = request.seed_size()
    return NoiseSeeds(
        tuple(batch.seeds),
        tuple(batch.subseeds) if request.subseed_strength else (),
        request.subseed_strength,
        (size[1] // LATENT_PIXELS, size[0] // LATENT_PIXELS) if size else None,
        request.ensd,
    )


def _start(walk: PassPlan, noise: Tensor, latents: Tensor | None, context: RunContext) -> Tensor:
    """Return the noisy latents that the solver begins with."""
    request = context.plan.request
    if request.init_image:
        noise = noise * request.noise_multiplier
    start = walk.begin(noise, latents)
    if latents is None or not request.extra_noise:
        return start
    if context.hooks.on_extra_noise:
        extra = ExtraNoise(noise, latents, start, request.extra_noise)
        context.hooks.on_extra_noise(extra)
        noise = extra.noise
    return start + noise * request.extra_noise


def _noise(
    request: GenerationRequest, batch: BatchPlan, start: Tensor, drawn: BatchNoise, walk: PassPlan, which: SamplingPass
) -> Noise:
    """Return the noise of the steps: fresh draws, or a Brownian path over the schedule."""
    if which.sampler.brownian:
        shared = request.shared_brownian
        return BrownianNoise(batch.seeds, start, *walk.span, source=request.noise_source, shared=shared)
    return lambda sigma, sigma_next: drawn.draw()


def _beginner(context: RunContext, which: SamplingPass) -> BeforeStep:
    """Return what lets plugins edit the latents that each step begins with."""
    if not context.hooks.before_step:
        return unchanged

    def begin(index: int, x: Tensor, sigma: float) -> Tensor:
        begun = StepStart(min(index, which.steps - 1), which.steps, x, sigma)
        context.hooks.before_step(begun)
        return begun.latents

    return begin


def _watcher(context: RunContext, batch: BatchPlan, which: SamplingPass, guided: GuidedDenoiser) -> OnStep:
    """Return what tells of every step; the steps of all passes are counted through."""
    passes = context.plan.passes
    before = sum(one.steps for one in passes[: passes.index(which)])
    total = sum(one.steps for one in passes)

    def watch(index: int, x: Tensor, denoised: Tensor) -> None:
        # DPM adaptive takes as many steps as it needs.
        step = before + min(index + 1, which.steps)
        if context.hooks.after_step:
            context.hooks.after_step(Step(min(index, which.steps - 1), which.steps, x, denoised))
        context.sink.publish(StepDone(batch.first_image, len(batch.seeds), step, total))
        if context.sink.wants_preview(step):
            context.sink.publish(PreviewReady(batch.first_image, context.preview(guided.model.bundle, denoised)))

    return watch

"""Every moment in which a plugin may take part, with what it is given: shapes, units, and what may be changed.

There are three kinds. *Notify* tells and takes nothing back. *Edit* hands over a context whose named fields may be
replaced. *Wrap* is called in place of the real thing and calls that itself: once, several times or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from modules.core.ports import CancelToken, RunSink
from modules.core.request import GenerationRequest
from modules.core.result import GenerationResult

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor  # Never imported at run time: the page knows of plugins too, and must not wait for torch.

Kind = Literal["notify", "edit", "wrap"]
Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels; right and bottom are the first outside."""


@dataclass(frozen=True, slots=True)
class Generation:
    """One run that is about to be made; a wrapper may go on with a changed copy (`dataclasses.replace`).

    `request`: its seed is fixed. `sink`: takes events and finished pictures. `done`: indexes of pictures that exist
    already and are not made again. `pictures`: returns a stored picture, the right way up, by the name that the request
    has for it; raises InvalidRequest. `described`: the request that infotexts are to tell of; None: `request`.
    `nested`: makes the pictures of another run inside this one, with the plugins that its request asks for.
    """

    request: GenerationRequest
    sink: RunSink
    cancel: CancelToken
    pictures: Callable[[str], Image]
    nested: Callable[[Generation], GenerationResult]
    done: frozenset[int] = frozenset()
    described: GenerationRequest | None = None


CallNext = Callable[[Generation], GenerationResult]


@dataclass(slots=True)
class BatchStart:
    """A batch that is about to be made. To be changed: `seeds` and `subseeds`, each by values of the same number.

    `indexes` counts over all batches of the request; `seeds` and `subseeds` are in the same order.
    """

    indexes: tuple[int, ...]
    seeds: list[int]
    subseeds: list[int]


@dataclass(slots=True)
class PassPrompts:
    """What of a pass's prompts is encoded; infotexts keep to what was written. To be changed: `parts`, `negative`.

    `parts`: the texts that AND divides, without comments and networks' tags, each with its weight. `index`: as in
    `PassStart`; `pictures`: how many the batch has.
    """

    index: int
    pictures: int
    parts: list[tuple[str, float]]
    negative: str


@dataclass(slots=True)
class PassStart:
    """A pass over a batch that is about to begin; its networks are in the model. To be changed: `noise`, `latents`.

    `index`: 0, or 1 for the second pass of hires fix. `noise`: (batch, channels, height/8, width/8), float32, of unit
    variance; `latents`: of the same shape, clean, scaled by the VAE factor, those that the pass works over; None for a
    pass that begins with noise alone. `painted`: as in `MaskBlend`; None without a mask.
    """

    index: int
    noise: Tensor
    latents: Tensor | None
    painted: Tensor | None


@dataclass(slots=True)
class ExtraNoise:
    """Noise that is added to a picture beyond that of its pass. To be changed: `noise`.

    All are (batch, channels, height/8, width/8), float32. `noise`: of unit variance; `strength`: what it is multiplied
    by. `latents`: clean, scaled by the VAE factor; `noisy`: the same with the noise of the pass.
    """

    noise: Tensor
    latents: Tensor
    noisy: Tensor
    strength: float


@dataclass(frozen=True, slots=True)
class Sampling:
    """A sampler's walk from noisy latents to clean ones, which is about to begin.

    `latents`: (batch, channels, height/8, width/8), float32, with noise of the standard deviation `sigmas[0]`, or of
    the square root of that squared and 1, where a sampler walks over timesteps. `sigmas`: (steps + 1,), falling.
    `denoise(latents, sigma)`: the guided estimate of the clean latents for a `sigma` of (batch,). `noise(sigma,
    sigma_next)`: fresh noise of unit variance for a step between these. `index`: as in `PassStart`. In every step of a
    walk of one's own `before_step(index, latents, sigma)` is to be asked for the latents that it begins with, and
    `on_step(index, latents, denoised)` to be called when the network has seen them.
    """

    latents: Tensor
    sigmas: Tensor
    denoise: Callable[[Tensor, Tensor], Tensor]
    noise: Callable[[float, float], Tensor]
    before_step: Callable[[int, Tensor, float], Tensor]
    on_step: Callable[[int, Tensor, Tensor], None]
    index: int = 0


@dataclass(frozen=True, slots=True)
class Enlarging:
    """A picture between two passes, or one that a run works over, about to be enlarged to `width` x `height` pixels.

    `upscaler`: which one was asked for; a wrapper may have one that Easel does not know.
    """

    picture: Image
    width: int
    height: int
    upscaler: str


Enlarge = Callable[[Enlarging], "Image"]
"""Returns the picture in RGB; one of another size is brought to the right one."""

Walk = Callable[[Sampling], "Tensor"]
"""Returns the clean latents at the end of a walk, scaled by the VAE factor, before a mask's last mixing."""


@dataclass(slots=True)
class ChosenNetworks:
    """The LoRA networks that a pass's prompt asks for, before they are put into a model. To be changed: `uses`.

    `uses`: their files, strengths and contents (`networks.patching.LoraUse`), in the order in which they are added.
    """

    uses: list[Any]


@dataclass(frozen=True, slots=True)
class ModelAtWork:
    """A checkpoint that comes to work. Nothing of it may be changed for longer than the run.

    `checkpoint`: its title. `model`: what the engine has of it (`engine.models.LoadedModel`), with its networks in
    `model.bundle`.
    """

    checkpoint: str
    model: Any


@dataclass(slots=True)
class StepStart:
    """A step of the sampler is about to begin. To be changed: `latents`.

    `index` counts from 0 to `steps` - 1 in its pass. `latents`: (batch, channels, height/8, width/8), float32, with
    noise of the standard deviation `sigma`, or of the square root of that squared and 1, where a sampler walks over
    timesteps.
    """

    index: int
    steps: int
    latents: Tensor
    sigma: float


@dataclass(slots=True)
class ModelInput:
    """What the network is about to be shown. To be changed: `latents`.

    `latents`: (batch, channels, height/8, width/8), float32, noisy, in the scale in which the noise has the standard
    deviation `sigma`: (batch,). `call`: how often the network was called in this pass before.
    """

    latents: Tensor
    sigma: Tensor
    call: int


@dataclass(slots=True)
class NetworkInput:
    """What the network is about to be asked: first for each part of the prompt that AND divides, then for the negative.

    To be changed: all but `sigma` and `call`. `latents`: (prompts, batch, channels, height/8, width/8), float32: the
    noisy latents once for every prompt, the negative prompt last where this call has one; in the scale in which the
    noise has the standard deviation `sigma`: (batch,). `conditionals`: one for each part; `unconditional`: None where
    this call goes without. `call`: how often the network was called in this pass before.
    """

    latents: Tensor
    sigma: Tensor
    conditionals: list[PromptVectors]
    unconditional: PromptVectors | None
    call: int


@dataclass(slots=True)
class PromptVectors:
    """What the network attends to for one prompt.

    `context`: (batch, tokens, width). `pooled`: (batch, width), the prompt in one vector; None for models without.
    """

    context: Tensor
    pooled: Tensor | None = None


@dataclass(frozen=True, slots=True)
class NetworkCall:
    """One call of the network, a row for every prompt and picture: the pictures of the first prompt, of the next, ….

    `latents`: (rows, channels, height/8, width/8), float32, noisy, with noise of the standard deviation `sigma`:
    (rows,). `vectors`: what is attended to, with one row each. `shown`: what the network sees besides, (rows, channels,
    height/8, width/8); None for most. A wrapper may go on with other latents of any size, and with more rows: whole
    repetitions of them.
    """

    latents: Tensor
    sigma: Tensor
    vectors: PromptVectors
    shown: Tensor | None = None


CallNetwork = Callable[[NetworkCall], "Tensor"]
"""Returns estimates of the clean latents, shaped like the call's."""


@dataclass(slots=True)
class NetworkOutput:
    """What the network answered to `NetworkInput`, before the answers are joined. To be changed: `estimates`.

    `estimates`: (prompts, batch, channels, height/8, width/8), float32: estimates of the clean latents (x0), scaled by
    the VAE factor, in the order of the input's `latents`. `negative`: whether the last is that of the negative prompt.
    """

    estimates: Tensor
    negative: bool
    call: int


@dataclass(slots=True)
class Guided:
    """What the network answered, as estimates of the clean latents (x0). To be changed: `guided`.

    All are (batch, channels, height/8, width/8), float32, scaled by the VAE factor. `conditionals`: one for each part
    of the prompt that AND divides; `unconditional`: that of the negative prompt, or the first of `conditionals` where
    the call went without; `guided`: what they are joined to. `latents` and `sigma`, (batch,): what the network saw.
    `weights`: of the parts; `scale`: the CFG scale, 1 where the call went without the negative prompt.
    """

    latents: Tensor
    sigma: Tensor
    conditionals: list[Tensor]
    unconditional: Tensor
    guided: Tensor
    weights: list[float] = field(default_factory=lambda: [1.0])
    scale: float = 1.0


@dataclass(slots=True)
class MaskBlend:
    """Where a picture is painted anew in part: the new and the old latents are mixed. To be changed: `blended`.

    `made`: the new latents, `original`: the picture's own, both (batch, channels, height/8, width/8), float32, scaled
    by the VAE factor; `painted`: (1, 1, height/8, width/8), 1 where is painted, 0 where the original stays. `blended`
    begins as made * painted + original * (1 - painted).

    `level`: the noise level in the sampler's own measure, a scalar tensor: the standard deviation, or the timestep of
    samplers that walk over timesteps; None: the sampling is over and this is the last mixing.
    """

    made: Tensor
    original: Tensor
    painted: Tensor
    level: Tensor | None
    blended: Tensor


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the sampler is done. Nothing may be changed.

    `index` counts from 0 to `steps` - 1 in its pass. `latents`: (batch, channels, height/8, width/8), float32, still
    noisy; `denoised`: the estimate of the clean ones.
    """

    index: int
    steps: int
    latents: Tensor
    denoised: Tensor


@dataclass(slots=True)
class Sampled:
    """The latents of a batch after the last pass, before they are decoded. To be changed: `latents`.

    `latents`: (batch, channels, height/8, width/8), float32, scaled by the VAE factor. `first_image`: index of the
    batch's first picture.
    """

    latents: Tensor
    first_image: int


@dataclass(slots=True)
class Decoded:
    """A batch's pictures just after decoding. To be changed: `pictures`, each of any size.

    `indexes` counts over all batches of the request; `pictures`: 8-bit RGB, in the same order. In inpainting they show
    what was worked on, before it is put back into the original.
    """

    indexes: tuple[int, ...]
    pictures: list[Image]


@dataclass(slots=True)
class Described:
    """The infotext of a picture before it is written. To be changed: `pairs`.

    `pairs`: what stands behind the parameters and before the version, in this order: hashes of networks, and values of
    plugins. Values that hold commas or colons are quoted when they are written.
    """

    index: int
    seed: int
    pairs: dict[str, str]


@dataclass(slots=True)
class Overlay:
    """A picture of inpainting that is about to be put back into the original. To be changed: `overlay`, `mask`.

    `index`: the picture's; `made`: RGB in the size that was worked in. `original`: RGB in the result's size. `overlay`:
    RGBA of that size, which is laid over the result; None: nothing is. `mask`: 8-bit grey of that size, white where was
    painted. `box`: the part of the result that was worked on; None: all of it.

    `latents` and `source`: the picture's latents, made and original, (1, channels, height/8, width/8); `painted`: as in
    `MaskBlend`.
    """

    index: int
    made: Image
    original: Image
    mask: Image
    overlay: Image | None
    box: Box | None
    latents: Tensor
    source: Tensor
    painted: Tensor


@dataclass(slots=True)
class Picture:
    """A finished picture before it is saved. To be changed: `pixels`, of any size, and `infotext`.

    `index` counts over all batches of the request; `pixels`: 8-bit RGB.
    """

    index: int
    seed: int
    pixels: Image
    infotext: str


class RunListener:
    """What a plugin does in one run: a subclass overrides the moments in which it takes part.

    A new one is made for every run, so that it may keep what it needs until the run's end.
    """

    def around_generate(self, generation: Generation, call_next: CallNext) -> GenerationResult:
        """Wrap the whole run, before anything is loaded. `call_next` goes on with this run."""
        return call_next(generation)

    def before_batch(self, batch: BatchStart) -> None:
        """Edit the seeds of a batch before anything of it is made."""

    def on_model(self, model: ModelAtWork) -> None:
        """Take note of a checkpoint that comes to work: for every batch, and when another takes over."""

    def on_networks(self, networks: ChosenNetworks) -> None:
        """Edit which LoRA networks a pass has, and how strong they are, each time before they are put into a model."""

    def on_prompts(self, prompts: PassPrompts) -> None:
        """Edit what is encoded of a pass's prompts."""

    def before_pass(self, begun: PassStart) -> None:
        """Edit the noise and the latents that a pass begins with."""

    def on_extra_noise(self, extra: ExtraNoise) -> None:
        """Edit the noise that is added to a picture besides that of its pass."""

    def around_sampling(self, sampling: Sampling, call_next: Walk) -> Tensor:
        """Wrap a sampler's walk. `call_next` goes on with it."""
        return call_next(sampling)

    def before_step(self, begun: StepStart) -> None:
        """Edit the latents that a step of the sampler begins with."""

    def before_model(self, shown: ModelInput) -> None:
        """Edit what the network is shown, before every call."""

    def before_network(self, asked: NetworkInput) -> None:
        """Edit what the network is asked for every prompt, before every call."""

    def around_network(self, call: NetworkCall, call_next: CallNetwork) -> Tensor:
        """Wrap one call of the network. `call_next` goes on with it."""
        return call_next(call)

    def after_network(self, answered: NetworkOutput) -> None:
        """Edit what the network answered for every prompt, after every call."""

    def on_guidance(self, answer: Guided) -> None:
        """Edit what the network's answers are joined to, after every call."""

    def on_mask_blend(self, blend: MaskBlend) -> None:
        """Edit how new and old latents are mixed, at every call of the network and once at the end of a pass."""

    def after_step(self, step: Step) -> None:
        """Take note of a step of the sampler."""

    def around_upscale(self, enlarging: Enlarging, call_next: Enlarge) -> Image:
        """Wrap the enlarging of a picture, see `Enlarging`. `call_next` goes on with Easel's own upscalers."""
        return call_next(enlarging)

    def after_sampling(self, sampled: Sampled) -> None:
        """Edit the latents of a batch before they are decoded."""

    def on_decoded(self, decoded: Decoded) -> None:
        """Edit a batch's pictures when they are decoded, before they are put back into an original."""

    def on_overlay(self, overlay: Overlay) -> None:
        """Edit what of the original is laid over a picture of inpainting, for each picture."""

    def on_infotext(self, described: Described) -> None:
        """Edit what a picture's infotext holds besides the parameters, for each picture."""

    def on_picture(self, picture: Picture) -> None:
        """Edit a finished picture before it is saved."""


HOOKS: Mapping[str, Kind] = MappingProxyType({
    "around_generate": "wrap",
    "before_batch": "edit",
    "on_model": "notify",
    "on_networks": "edit",
    "on_prompts": "edit",
    "before_pass": "edit",
    "on_extra_noise": "edit",
    "around_sampling": "wrap",
    "before_step": "edit",
    "before_model": "edit",
    "before_network": "edit",
    "around_network": "wrap",
    "after_network": "edit",
    "on_guidance": "edit",
    "on_mask_blend": "edit",
    "after_step": "notify",
    "around_upscale": "wrap",
    "after_sampling": "edit",
    "on_decoded": "edit",
    "on_overlay": "edit",
    "on_infotext": "edit",
    "on_picture": "edit",
})  # fmt: skip
"""Every moment and its kind."""

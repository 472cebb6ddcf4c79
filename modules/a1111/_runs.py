"""One run as A1111 sees it: which `p` is at work, how its batches reach the engine, and which pictures were kept."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from PIL.Image import Image

from modules.a1111 import extra_networks, script_callbacks
from modules.a1111._host import HOST
from modules.a1111._processing import StableDiffusionProcessing, StableDiffusionProcessingImg2Img
from modules.a1111._view import Pictures, inherited_request, request_of
from modules.a1111.script_callbacks import ImageSaveParams
from modules.core.errors import GenerationStopped
from modules.core.events import Event, ImageDone, PreviewReady, Remark, StepDone
from modules.core.extras import FrozenMapping, without_plugin
from modules.core.ports import CancelToken
from modules.core.request import GenerationRequest
from modules.core.result import GeneratedImage, GenerationResult
from modules.hooks.spec import CallNext, Generation
from modules.imaging.infotext import PNG_CHUNK

PLUGIN = "a1111"
ARGUMENTS, SCRIPT, TOKEN = "args", "script", "token"


@dataclass(frozen=True, slots=True)
class Piece:
    """What one call of the engine makes: which of the batch's pictures, by their places in it."""

    places: tuple[int, ...]
    prompt: str
    negative_prompt: str
    seed: int
    subseed: int
    second_pass: tuple[str, str] | None = None


@dataclass(slots=True)
class Run:
    """One run that goes on. `streams`: the pictures of `owner` are kept as soon as they are made, in their order.

    `p`: whose batch is at work. `first`: index of the batch's first picture among those of `p`; `places`: which of them
    the engine makes now. `inside`: the engine is at work, so that further runs must be nested ones. `more`: pictures
    that scripts added to a batch. `at_work`: the pass that goes on, as `_walks.py` has it. `rng`: the noise that `p`
    was given for the batch; `drawn`: what an extension's own has drawn for it.
    """

    generation: Generation
    call_next: CallNext
    pictures: Pictures
    p: Any = None
    owner: Any = None
    streams: bool = False
    top: bool = True
    inside: bool = False
    interrupted: bool = False
    first: int = 0
    places: tuple[int, ...] = ()
    done: set[int] = field(default_factory=set)
    skipped: set[int] = field(default_factory=set)
    kept: list[Image] = field(default_factory=list)
    more: list[Image] = field(default_factory=list)
    at_work: Any = None
    rng: Any = None
    drawn: Any = None

    @property
    def cancel(self) -> CancelToken:
        """How the user stops it."""
        return self.generation.cancel

    def say(self, text: str) -> None:
        """Tell the user something."""
        self.generation.sink.publish(Remark(text))

    def is_kept(self, picture: Image) -> bool:
        """Say whether a picture was saved already."""
        return any(picture is each for each in self.kept)

    def keep(self, p: Any, image: GeneratedImage) -> None:
        """Save a picture for the job, as extensions want it."""
        if script_callbacks.has_any("before_image_saved", "image_saved"):
            name = f"{p.outpath_samples or ''}/{image.index:05d}-{image.seed}.png"
            params = ImageSaveParams(image.pixels, p, name, {PNG_CHUNK: image.infotext})
            script_callbacks.before_image_saved_callback(params)
            image = replace(image, pixels=params.image, infotext=str(params.pnginfo.get(PNG_CHUNK, "")))
        before = _saved_paths()
        self.generation.sink.save(image)
        self.kept.append(image.pixels)
        self.generation.sink.publish(ImageDone(image.index))
        if script_callbacks.has_any("image_saved"):
            fresh = [path for path in _saved_paths() if path not in before]
            if fresh:
                params = ImageSaveParams(image.pixels, p, fresh[-1], {PNG_CHUNK: image.infotext})
                script_callbacks.image_saved_callback(params)


def _saved_paths() -> list[str]:
    """Return the files of the job that runs now."""
    if HOST.services is None or not script_callbacks.has_any("image_saved"):
        return []
    job = HOST.services.jobs.running()
    return [str(image.path) for image in HOST.services.jobs.get(job.id).images] if job is not None else []


class PieceSink:
    """Takes what the engine makes of one piece and hands it on as a part of the whole run."""

    def __init__(self, run: Run, p: Any, places: Sequence[int]) -> None:
        """Take the places in the batch that the engine's indexes stand for."""
        self.images: list[tuple[int, GeneratedImage]] = []
        self._run = run
        self._p = p
        self._places = places

    def publish(self, event: Event) -> None:
        """Hand an event on, with the index that it has in the whole run."""
        run = self._run
        first = run.first + self._places[0]
        if isinstance(event, ImageDone) or (isinstance(event, Remark) and _is_of_foreign_network(event.text)):
            return
        if isinstance(event, StepDone | PreviewReady):
            if run.top and not run.streams:
                first = 0
            event = replace(event, first_image=first)
        if isinstance(event, StepDone) and not run.top:
            return
        run.generation.sink.publish(event)

    def wants_preview(self, step: int) -> bool:
        """Ask the whole run's sink."""
        return self._run.generation.sink.wants_preview(step)

    def save(self, image: GeneratedImage) -> None:
        """Take a picture; it is kept at once where that is how the run goes."""
        place = self._places[image.index]
        index, run = self._run.first + place, self._run
        self.images.append((place, image))
        fresh = index not in run.generation.done and index not in run.done
        if run.streams and self._p is run.owner and fresh and self._p.save_samples():
            run.keep(self._p, replace(image, index=index))
            run.done.add(index)


def _is_of_foreign_network(text: str) -> bool:
    """Say whether the engine complains of a network whose kind an extension has brought."""
    kinds = [*extra_networks.REGISTRY, *extra_networks.ALIASES]
    return any(text.startswith(f"The prompt's <{kind}:") for kind in kinds)


def pieces_of(p: StableDiffusionProcessing, request: GenerationRequest) -> list[Piece]:
    """Return the calls of the engine that a batch takes: one, unless its pictures differ in more than their seeds."""
    second = _second_pass(p)
    rows = list(zip(p.prompts, p.negative_prompts, p.seeds, p.subseeds, strict=False))
    regular = all(
        (prompt, negative) == rows[0][:2]
        and int(seed) == int(rows[0][2]) + (0 if request.subseed_strength else place)
        and (not request.subseed_strength or int(subseed) == int(rows[0][3]) + place)
        for place, (prompt, negative, seed, subseed) in enumerate(rows)
    )
    several = isinstance(p, StableDiffusionProcessingImg2Img) and len(p.init_images or ()) > 1
    if regular and not several and len({*second}) <= 1:
        prompt, negative, seed, subseed = rows[0]
        own = second[0] if second else None
        return [Piece(tuple(range(len(rows))), prompt, negative, int(seed), int(subseed), own)]
    return [
        Piece((place,), prompt, negative, int(seed), int(subseed), second[place] if second else None)
        for place, (prompt, negative, seed, subseed) in enumerate(rows)
    ]


def _second_pass(p: Any) -> list[tuple[str, str]]:
    if not getattr(p, "enable_hr", False) or not p.all_hr_prompts:
        return []
    prompts, negatives = getattr(p, "hr_prompts", None), getattr(p, "hr_negative_prompts", None)
    return list(zip(prompts or (), negatives or (), strict=False))


def piece_request(run: Run, p: StableDiffusionProcessing, piece: Piece) -> GenerationRequest:
    """Return the request for one call of the engine."""
    whole = request_of(p, run.pictures, run.first + piece.places[0])
    own = {
        "prompt": piece.prompt,
        "negative_prompt": piece.negative_prompt,
        "seed": piece.seed,
        "subseed": piece.subseed,
        "batch_count": 1,
        "batch_size": len(piece.places),
    }
    if piece.second_pass is not None:
        own["hr_prompt"], own["hr_negative_prompt"] = (
            "" if second == first else second
            for second, first in zip(piece.second_pass, (piece.prompt, piece.negative_prompt), strict=True)
        )
    return whole.model_copy(update=own)


def make_batch(run: Run, p: StableDiffusionProcessing) -> list[tuple[int, GeneratedImage]]:
    """Have the engine make the present batch of `p`; returns places in the batch and pictures.

    Raises GenerationStopped when the user stopped it.
    """
    made: list[tuple[int, GeneratedImage]] = []
    request = request_of(p, run.pictures)
    for piece in pieces_of(p, request):
        if run.cancel.interrupted():
            raise GenerationStopped
        run.places = piece.places
        sink = PieceSink(run, p, piece.places)
        inner = replace(
            run.generation, request=piece_request(run, p, piece), sink=sink, pictures=run.pictures, done=frozenset(),
            described=None,
        )  # fmt: skip
        run.inside = True
        try:
            result = run.call_next(inner)
        finally:
            run.inside = False
        made += sink.images
        run.skipped |= {run.first + piece.places[index] for index in result.images_skipped}
        if result.interrupted:
            run.interrupted = True
            raise GenerationStopped
    return made


@dataclass(slots=True)
class Handover:
    """A `p` on its way to the run that makes it, and what became of it."""

    p: Any
    answer: Callable[[Any], Any]
    pictures: Pictures | None = None
    result: Any = None


def named_request(request: GenerationRequest, token: str) -> GenerationRequest:
    """Return the request whose run takes up the `p` of a token."""
    others = without_plugin(request.extras, PLUGIN)
    extras = FrozenMapping({**others, PLUGIN: FrozenMapping({TOKEN: token})})
    return request.model_copy(update={"extras": extras})


def nested(run: Run, p: Any, answer: Callable[[Any], Any]) -> Any:
    """Return what `answer(p)` gives in a run inside `run`, which has the engine at work."""
    token = uuid.uuid4().hex
    if p._base is None:  # noqa: SLF001 (its own module's half)
        p._base = inherited_request(run.generation.request)  # noqa: SLF001
    handover = Handover(p, answer, run.pictures)
    request = request_of(p, run.pictures)
    sink = PieceSink(run, None, tuple(itertools.repeat(run.places[0] if run.places else 0, request.image_count() + 1)))
    inner = replace(
        run.generation, request=named_request(request, token), sink=sink, pictures=run.pictures, done=frozenset(),
        described=None,
    )  # fmt: skip
    with HOST.runs.handed(token, handover):
        result: GenerationResult = run.generation.nested(inner)
    if result.interrupted:
        run.interrupted = True
    return handover.result

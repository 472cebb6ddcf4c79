"""The plugin behind all extensions: in every run it calls their scripts and callbacks in A1111's order."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

from PIL.Image import Image

from modules.a1111 import processing
from modules.a1111._axes import AXES, applied
from modules.a1111._cfg import CFG_MOMENTS, SCRIPT_MOMENTS
from modules.a1111._host import HOST
from modules.a1111._infotext import extra_pairs
from modules.a1111._ldm_runs import comes_to_work, undoing
from modules.a1111._lists import enlarged, restored, wants_restoring
from modules.a1111._loader import LOADED
from modules.a1111._model import ModelFacade
from modules.a1111._runs import ARGUMENTS, PLUGIN, SCRIPT, TOKEN, Handover, Run
from modules.a1111._values import Usual
from modules.a1111._view import Pictures, processing_of
from modules.a1111.shared_state import state
from modules.core.parameter import Parameter
from modules.core.result import GeneratedImage, GenerationResult
from modules.hooks.plugins import PluginDescription
from modules.hooks.registry import RunStart
from modules.hooks.spec import CallNext, Decoded, Described, Enlarge, Enlarging, Generation, Picture, RunListener

logger = logging.getLogger(__name__)
OPTIONS = "options"
LONGEST_ARGUMENTS = 50_000_000
_ORIGINAL_INFOTEXT = processing.create_infotext

DESCRIPTION = PluginDescription(
    PLUGIN,
    "Extensions",
    (
        Parameter(ARGUMENTS, "Arguments", "text", "", "The values of scripts' controls as a JSON list.",
                  maximum=LONGEST_ARGUMENTS),
        Parameter(SCRIPT, "Script", "text", "", "The title of the chosen script.", maximum=1000),
        Parameter(AXES, "Axes", "text", "", "Values of extensions' axes of X/Y/Z plot, as JSON.",
                  maximum=LONGEST_ARGUMENTS),
        Parameter(OPTIONS, "Options", "text", "", "Options of extensions for this request alone, as JSON.",
                  maximum=LONGEST_ARGUMENTS),
        Parameter(TOKEN, "Token", "text", "", "Which processing object this run is for.", maximum=64),
    ),
)  # fmt: skip


class ScriptsPlugin:
    """Takes part in every run; registered once, behind all others, so that it is the innermost wrapper."""

    description = DESCRIPTION

    def __init__(self, decode: Callable[[str, Callable[[str], Any]], list[Any]]) -> None:
        """`decode` makes arguments of what the page sent."""
        self._decode = decode

    def listen(self, run: RunStart) -> RunListener:
        """Return what takes part, with the moments that somebody wants."""
        runner = LOADED.img2img if run.request.init_image else LOADED.txt2img
        handover = HOST.runs.take(str(run.values[TOKEN])) if run.values[TOKEN] else None
        runners = [runner, getattr(handover.p, "scripts", None)] if handover is not None else [runner]
        present = [each for each in runners if each is not None]
        few = {name: moment for name, wanted, moment in (*CFG_MOMENTS, *SCRIPT_MOMENTS) if wanted(present)}
        edit = HOST.own_state.get("networks edited by")
        if edit is not None:
            few["on_networks"] = lambda self, networks: edit(networks)
        moments = {**_BASIC_MOMENTS, **few}
        listener: ExtensionsRun = type("ExtensionsRun", (ExtensionsRun,), moments)()
        listener.runner, listener.values, listener.decode = runner, run.values, self._decode
        listener.handover = handover
        return listener


class ExtensionsRun(RunListener):
    """One run. Moments that somebody wants are added by `ScriptsPlugin.listen`, since each costs time."""

    runner: Any
    values: Any
    decode: Any
    handover: Handover | None
    run: Run

    def around_generate(self, generation: Generation, call_next: CallNext) -> GenerationResult:
        """Let the scripts make the run; what they change in models is undone at its end."""
        with undoing(HOST.state("sd_model", ModelFacade)):
            return self._made(generation, call_next)

    def _made(self, generation: Generation, call_next: CallNext) -> GenerationResult:
        pictures = Pictures(generation.pictures)
        if self.handover is not None:
            if self.handover.pictures is not None:
                pictures = Pictures(generation.pictures, self.handover.pictures.own, self.handover.pictures.names)
            return self._of_extension(Run(generation, call_next, pictures), self.handover)
        self.run = Run(generation, call_next, pictures)
        p = processing_of(generation.request, pictures)
        p.override_settings |= json.loads(str(self.values[OPTIONS]) or "{}")
        p.script_args = self._arguments(pictures)
        p.scripts = self.runner
        selected = self.runner.selected(p.script_args)
        self.run.streams, self.run.owner = selected is None, p
        progress = state()
        progress.begin("scripts_img2img" if generation.request.init_image else "scripts_txt2img")
        try:
            with applied(p, str(self.values[AXES])), HOST.runs.inside(self.run):
                processed = self.runner.run(p, *p.script_args) or processing.process_images(p)
        finally:
            progress.end()
        return self._ended(p, processed)

    def _of_extension(self, run: Run, handover: Handover) -> GenerationResult:
        """Make a `p` that an extension made; a job's pictures are kept, those of a run inside another are not."""
        self.run = run
        run.top = HOST.runs.current() is None
        run.streams, run.owner = run.top, handover.p
        with HOST.runs.inside(run):
            handover.result = handover.answer(handover.p)
        if run.top:
            return self._ended(handover.p, handover.result)
        return GenerationResult((), interrupted=run.interrupted)

    def _arguments(self, pictures: Pictures) -> list[Any]:
        """Return the scripts' arguments: those of the request, else what the controls begin with."""
        defaults = self.runner.default_arguments()
        text = str(self.values[ARGUMENTS])
        given = self.decode(text, pictures) if text else []
        usual = [*defaults, *[None] * (len(given) - len(defaults))]
        arguments = [usual[place] if isinstance(value, Usual) else value for place, value in enumerate(given)]
        arguments += defaults[len(given) :]
        script = self.runner.script(str(self.values[SCRIPT])) if self.values[SCRIPT] else None
        if script in self.runner.selectable_scripts:
            arguments[0] = self.runner.selectable_scripts.index(script) + 1
        elif self.values[SCRIPT]:
            self.run.say(f"There is no script {self.values[SCRIPT]} here; the pictures are made without.")
        return arguments

    def _ended(self, p: Any, processed: Any) -> GenerationResult:
        """Keep the pictures that are not kept yet, and say which of the request's exist."""
        run, request = self.run, self.run.generation.request
        count = request.image_count()
        images = list(getattr(processed, "images", None) or ())
        wanted = p.save_samples() or not run.streams
        if not run.streams or wanted:
            next_index = count if run.streams else 0
            for place, picture in enumerate(images):
                if run.is_kept(picture) or not hasattr(picture, "save"):
                    continue
                while next_index in run.generation.done:
                    next_index += 1
                run.keep(p, _generated(processed, place, next_index, bool(request.init_image)))
                run.done.add(next_index)
                next_index += 1
        done = tuple(sorted(run.done | run.generation.done))
        missing = () if run.interrupted else tuple(index for index in range(count) if index not in done)
        return GenerationResult(done, missing, run.interrupted)


def _generated(processed: Any, place: int, index: int, over: bool) -> GeneratedImage:
    seeds, texts = processed.all_seeds or [0], processed.infotexts or [""]
    at = place - int(getattr(processed, "index_of_first_image", 0))
    seed = seeds[at] if 0 <= at < len(seeds) else seeds[0]
    text = texts[place] if place < len(texts) else texts[0]
    return GeneratedImage(index, int(seed), processed.images[place].convert("RGB"), str(text or ""), over)


def _on_infotext(self: ExtensionsRun, described: Described) -> None:
    p = self.run.p
    p.batch_index = self.run.places[described.index]
    described.pairs.update(extra_pairs(p, self.run.first + p.batch_index))


def _on_picture(self: ExtensionsRun, picture: Picture) -> None:
    run, p = self.run, self.run.p
    p.batch_index = run.places[picture.index]
    index = run.first + p.batch_index
    if p.scripts is not None:
        given = processing.postprocess_image_args(picture.pixels, p.batch_index)
        p.scripts.postprocess_image_after_composite(p, given)
        picture.pixels = given.image
    if processing.create_infotext is not _ORIGINAL_INFOTEXT:
        known = {index: picture.infotext}
        with processing.known_texts(p, known):
            picture.infotext = str(processing.create_infotext(
                p, p.prompts, p.seeds, p.subseeds, None, p.iteration, p.batch_index,
                all_negative_prompts=p.negative_prompts,
            ))  # fmt: skip


def _on_decoded(self: ExtensionsRun, decoded: Decoded) -> None:
    run, p = self.run, self.run.p
    if wants_restoring(p):
        decoded.pictures = restored(p, decoded.pictures)
    if p.scripts is None:
        return
    pictures = processing.scripted_batch(p, decoded.pictures)
    run.more += pictures[len(decoded.pictures) :]
    kept = [*pictures[: len(decoded.pictures)], *decoded.pictures[len(pictures) :]]
    for place, picture in enumerate(kept):
        p.batch_index = run.places[place] if place < len(run.places) else place
        given = processing.postprocess_image_args(picture, p.batch_index)
        p.scripts.postprocess_image(p, given)
        kept[place] = given.image.convert("RGB")
    decoded.pictures = kept


def _around_upscale(self: ExtensionsRun, asked: Enlarging, call_next: Enlarge) -> Image:
    return enlarged(self.run, asked, call_next)


_BASIC_MOMENTS = MappingProxyType({
    "on_model": lambda self, model: comes_to_work(model.model),
    "on_infotext": _on_infotext, "on_picture": _on_picture, "on_decoded": _on_decoded,
    "around_upscale": _around_upscale,
})

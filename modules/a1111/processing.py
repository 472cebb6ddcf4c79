"""A1111's modules.processing: `p`, and `process_images`, which may be called from anywhere, also inside a run."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from PIL import Image

from modules.a1111 import _infotext, extra_networks
from modules.a1111._host import HOST
from modules.a1111._outside import as_job
from modules.a1111._parts import begin_noise
from modules.a1111._processed import Processed
from modules.a1111._processing import (
    StableDiffusionProcessing,
    StableDiffusionProcessingImg2Img,
    StableDiffusionProcessingTxt2Img,
)
from modules.a1111._runs import Run, make_batch, nested
from modules.a1111._script_base import PostprocessBatchListArgs, PostprocessImageArgs
from modules.a1111._view import inherited_request
from modules.a1111.images import image_grid, save_image
from modules.a1111.shared_options import options, overridden
from modules.a1111.shared_state import state
from modules.core.errors import GenerationStopped
from modules.core.version import VERSION_TEXT
from modules.imaging.colours import with_colours_of

__all__ = [
    "Processed", "StableDiffusionProcessing", "StableDiffusionProcessingImg2Img", "StableDiffusionProcessingTxt2Img",
]  # fmt: skip

opt_C = 4  # noqa: N816 (A1111's name)
opt_f = 8
_MOST_RANDOM = 4294967294


class DecodedSamples(list[Any]):
    """Pictures that were decoded."""

    already_decoded = True


def program_version() -> str:
    """Return Easel's version as infotexts have it."""
    return VERSION_TEXT


def get_fixed_seed(seed: Any) -> int:
    """Return a seed; a random one for -1, None and ""."""
    if seed in ("", None):
        seed = -1
    if isinstance(seed, str):
        try:
            seed = int(seed)
        except ValueError:
            seed = -1
    return random.SystemRandom().randrange(_MOST_RANDOM) if int(seed) == -1 else int(seed)


def fix_seed(p: StableDiffusionProcessing) -> None:
    """Replace random seeds of `p` by fixed ones."""
    p.seed = get_fixed_seed(p.seed) if not isinstance(p.seed, list) else p.seed
    p.subseed = get_fixed_seed(p.subseed) if not isinstance(p.subseed, list) else p.subseed


def create_infotext(  # noqa: PLR0913 (A1111's signature)
    p: Any, all_prompts: Any, all_seeds: Any, all_subseeds: Any, comments: Any = None, iteration: int = 0,
    position_in_batch: int = 0, use_main_prompt: bool = False, index: int | None = None,
    all_negative_prompts: Any = None,
) -> str:  # fmt: skip
    """Return the infotext of one picture."""
    place = iteration * p.batch_size + position_in_batch if index is None else index
    run = HOST.runs.current()
    lists = (all_prompts, all_negative_prompts or p.all_negative_prompts, all_seeds, all_subseeds)
    return _infotext.text_of(p, 0 if use_main_prompt else place, lists, run)


def process_images(p: StableDiffusionProcessing) -> Processed:
    """Make the pictures of `p`: inside a run at once, elsewhere as a job of the queue, which is waited for."""
    run: Run | None = HOST.runs.current()
    if run is None:
        return as_job(p, complete)
    with HOST.own_code():
        if run.inside:
            return nested(run, p, complete)
        return complete(p)


def complete(p: StableDiffusionProcessing) -> Processed:
    """Make the pictures of `p` in the present run, with its scripts; `process_images_inner` may have been replaced."""
    if p._base is None:  # noqa: SLF001 (its own module's half)
        p._base = inherited_request(HOST.runs.current().generation.request)  # noqa: SLF001
    if p.scripts is not None:
        p.scripts.before_process(p)
    with overridden(p.override_settings or {}, bool(p.override_settings_restore_afterwards)):
        return process_images_inner(p)


def process_images_inner(p: StableDiffusionProcessing) -> Processed:
    """Make the pictures of `p`, batch by batch, in A1111's order of events."""
    run: Run = HOST.runs.current()
    _set_up(p)
    if p.scripts is not None:
        p.scripts.process(p)
    outer = run.p, run.first
    images: list[Image.Image] = []
    texts: list[str] = []
    progress = state()
    if progress.job_count <= 0:
        progress.job_count = p.n_iter
    try:
        _make_all(run, p, images, texts)
    except GenerationStopped:
        run.interrupted = True
    finally:
        run.p, run.first = outer if outer[0] is not None else (p, run.first)
    _infotext.keep_texts(p, texts)
    first = _add_grid(p, images, texts)
    result = Processed(
        p, images, p.all_seeds[0], texts[0] if texts else "", p.all_subseeds[0], infotexts=texts,
        all_prompts=p.all_prompts, all_negative_prompts=p.all_negative_prompts, index_of_first_image=first,
    )  # fmt: skip
    if p.scripts is not None:
        p.scripts.postprocess(p, result)
    return result


def _add_grid(p: StableDiffusionProcessing, images: list[Image.Image], texts: list[str]) -> int:
    """Put a grid before several pictures where `p` and the options want one; returns how many were put there.

    As in A1111 only the infotexts get one entry more.
    """
    chosen = options()
    if p.do_not_save_grid or not (chosen.return_grid or chosen.grid_save):
        return 0
    if len(images) < 2 and (chosen.grid_only_if_multiple or not images):
        return 0
    grid, text = image_grid(images, p.batch_size), texts[0] if texts else ""
    if chosen.grid_save and p.outpath_grids:
        save_image(
            grid, p.outpath_grids, "grid", p.all_seeds[0], p.all_prompts[0], chosen.grid_format, info=text,
            short_filename=not chosen.grid_extended_filename, p=p, grid=True,
        )  # fmt: skip
    if not chosen.return_grid:
        return 0
    images.insert(0, grid)
    texts.insert(0, text)
    return 1


def _set_up(p: StableDiffusionProcessing) -> None:
    """Fix seeds and prompts for every picture."""
    seed, subseed = (get_fixed_seed(each) if not isinstance(each, list) else each for each in (p.seed, p.subseed))
    p.setup_prompts()
    count = len(p.all_prompts)
    varied = bool(p.subseed_strength)
    p.all_seeds = seed if isinstance(seed, list) else [int(seed) + (0 if varied else place) for place in range(count)]
    p.all_subseeds = subseed if isinstance(subseed, list) else [int(subseed) + place for place in range(count)]
    if not isinstance(p.seed, list):
        p.seed, p.subseed = seed, subseed


def _make_all(run: Run, p: StableDiffusionProcessing, images: list[Image.Image], texts: list[str]) -> None:
    p.init(p.all_prompts, p.all_seeds, p.all_subseeds)
    for batch in range(p.n_iter):
        p.iteration = batch
        if run.cancel.interrupted() or (batch and run.cancel.stopping_after_current()):
            run.interrupted = True
            return
        run.first = batch * p.batch_size
        indexes = range(run.first, run.first + p.batch_size)
        if run.streams and p is run.owner and run.generation.done.issuperset(indexes):
            continue
        cut_batch(p, batch)
        begin_noise(run, p)
        given = {"prompts": p.prompts, "seeds": p.seeds, "subseeds": p.subseeds}
        if p.scripts is not None:
            p.scripts.before_process_batch(p, batch_number=batch, **given)
        if not p.prompts:
            return
        p.parse_extra_network_prompts()
        if not p.disable_extra_networks:
            extra_networks.activate(p, p.extra_network_data)
        if p.scripts is not None:
            p.scripts.process_batch(p, batch_number=batch, **given)
        active, run.p = run.p, p
        try:
            made = make_batch(run, p)
        finally:
            run.p = active
            if not p.disable_extra_networks:
                extra_networks.deactivate(p, p.extra_network_data)
        images += [image.pixels for _, image in sorted(made, key=lambda pair: pair[0])]
        texts += [image.infotext for _, image in sorted(made, key=lambda pair: pair[0])]
        images += run.more
        texts += [texts[-1] if texts else ""] * len(run.more)
        run.more = []
        state().nextjob()


def cut_batch(p: Any, batch: int) -> None:
    """Give `p` the prompts and seeds of one batch."""
    part = slice(batch * p.batch_size, (batch + 1) * p.batch_size)
    p.prompts, p.negative_prompts = p.all_prompts[part], p.all_negative_prompts[part]
    p.seeds, p.subseeds = p.all_seeds[part], p.all_subseeds[part]
    if getattr(p, "all_hr_prompts", None):
        p.hr_prompts, p.hr_negative_prompts = p.all_hr_prompts[part], p.all_hr_negative_prompts[part]


def setup_color_correction(image: Image.Image) -> Image.Image:
    """Return what `apply_color_correction` needs of the picture whose colours are wanted."""
    return image.convert("RGB")


def apply_color_correction(correction: Any, original_image: Image.Image) -> Image.Image:
    """Return a picture with the colours of another."""
    return with_colours_of(original_image.convert("RGB"), correction)


def uncrop(image: Image.Image, dest_size: tuple[int, int], paste_loc: tuple[int, int, int, int]) -> Image.Image:
    """Return a picture at its place in an empty larger one: (x, y, width, height)."""
    left, top, width, height = paste_loc
    whole = Image.new("RGBA", dest_size)
    whole.paste(image.resize((width, height), Image.Resampling.LANCZOS), (left, top))
    return whole


def apply_overlay(image: Image.Image, paste_loc: Any, overlay: Image.Image | None) -> tuple[Image.Image, Image.Image]:
    """Return a picture below an overlay, at its place, and the picture without the overlay."""
    if overlay is None:
        return image, image.copy()
    if paste_loc is not None:
        image = uncrop(image, (overlay.width, overlay.height), paste_loc)
    plain = image.copy()
    whole = image.convert("RGBA")
    whole.alpha_composite(overlay)
    return whole.convert("RGB"), plain


def create_binary_mask(image: Image.Image, round: bool = True) -> Image.Image:  # noqa: A002 (A1111's name)
    """Return the mask that a picture stands for: its transparency where it has any, else its brightness."""
    if image.mode == "RGBA" and image.getextrema()[-1] != (255, 255):
        alpha = image.split()[-1].convert("L")
        return alpha.point(lambda value: 255 if value > 128 else 0) if round else alpha
    return image.convert("L")


def images_of(tensor: Any) -> list[Image.Image]:
    """Return the pictures of a tensor: (batch, 3, height, width) from 0 to 1."""
    values = np.clip(255.0 * np.moveaxis(tensor.detach().float().cpu().numpy(), 1, 3), 0, 255)
    return [Image.fromarray(picture.round().astype(np.uint8)) for picture in values]


def postprocess_image_args(picture: Image.Image, index: int) -> PostprocessImageArgs:
    """Return a picture as scripts are given it."""
    return PostprocessImageArgs(picture, index)


def scripted_batch(p: Any, pictures: list[Image.Image]) -> list[Image.Image]:
    """Return a batch's pictures as scripts leave them; those that nobody touches stay what they are."""
    names = ("postprocess_batch", "postprocess_batch_list")
    if not any(any(p.scripts.list_scripts_for_method(name)) for name in names) or len({x.size for x in pictures}) != 1:
        return list(pictures)
    arrays = [np.moveaxis(np.asarray(picture.convert("RGB"), dtype=np.float32) / 255, 2, 0) for picture in pictures]
    tensor = torch.from_numpy(np.stack(arrays))
    p.scripts.postprocess_batch(p, tensor, batch_number=p.iteration)
    params = PostprocessBatchListArgs(list(tensor))
    p.scripts.postprocess_batch_list(p, params, batch_number=p.iteration)
    made: list[Image.Image] = []
    for place, image in enumerate(params.images):
        untouched = place < len(arrays) and np.array_equal(image.detach().cpu().numpy(), arrays[place])
        made.append(pictures[place] if untouched else images_of(image.unsqueeze(0))[0])
    return made


@contextmanager
def known_texts(p: Any, texts: dict[int, str]) -> Iterator[None]:
    """Have `create_infotext` answer with texts of the engine's for some pictures of `p`, by index."""
    before = getattr(p, _infotext.TEXTS, None)
    setattr(p, _infotext.TEXTS, texts)
    try:
        yield
    finally:
        setattr(p, _infotext.TEXTS, before)

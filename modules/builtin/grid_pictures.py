"""What scripts share that make a grid of their pictures: the parameters, and the grid as an added picture."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from PIL import Image

from modules.core.errors import PluginFailed
from modules.core.parameter import RANDOM_SEED, Parameter
from modules.core.request import LARGEST_RANDOM_SEED, GenerationRequest
from modules.hooks.job_hooks import FinishedPart, FinishedPicture
from modules.imaging.grids import GridLayout
from modules.imaging.parsing import join_infotext, parse_infotext

LARGEST_MEGAPIXELS = 200.0
VERSION_KEY = "Version"
Megapixels = Callable[[], float]
"""Returns how many megapixels a grid must stay below."""


def usual_megapixels() -> float:
    """Return A1111's default."""
    return LARGEST_MEGAPIXELS


def margin_parameter() -> Parameter:
    """Return the parameter of the space between the pictures."""
    return Parameter(
        "margin_size", "Grid margins (px)", "integer", 0, "The space between the pictures of the grid.",
        minimum=0, maximum=500,
    )  # fmt: skip


def random_seed() -> int:
    """Return a seed as -1 stands for."""
    return random.SystemRandom().randrange(LARGEST_RANDOM_SEED)


def with_fixed_seeds(request: GenerationRequest) -> GenerationRequest:
    """Return the request with seed and variation seed fixed, even where the latter does nothing yet."""
    values = {"seed": request.seed, "subseed": request.subseed}
    return request.model_copy(
        update={name: random_seed() if value == RANDOM_SEED else value for name, value in values.items()}
    )


def first_pictures(parts: Sequence[FinishedPart]) -> list[FinishedPicture | None]:
    """Return the first picture of each part, None where it has none."""
    return [part.pictures[0] if part.pictures else None for part in parts]


def largest_size(pictures: Sequence[FinishedPicture | None]) -> tuple[int, int]:
    """Return the width and height in which every picture has room; reads no pixels."""
    sizes = []
    for picture in pictures:
        opened = opened_picture(picture)
        if opened is not None:
            with opened:
                sizes.append(opened.size)
    return max((width for width, _ in sizes), default=1), max((height for _, height in sizes), default=1)


def opened_picture(picture: FinishedPicture | None) -> Image.Image | None:
    """Return a picture, or None where there is none, or its file is gone."""
    try:
        return picture.open() if picture is not None else None
    except OSError:
        return None


def told_too_large(title: str, megapixels: float, largest: float) -> str:
    """Return what is said of a grid that is too large."""
    return (
        f"{title}: the grid would have {megapixels:.0f} megapixels; allowed are less than {largest:g} (Maximum image"
        " size in the settings). The pictures themselves are there."
    )


def check_layout(title: str, layout: GridLayout, largest: float, sheets: int = 1) -> None:
    """Raise PluginFailed when so many grids of a layout are together too large."""
    megapixels = layout.megapixels() * sheets
    if megapixels >= largest:
        raise PluginFailed(told_too_large(title, megapixels, largest))


def with_pairs(infotext: str, pairs: Mapping[str, str]) -> str:
    """Return an infotext with further pairs before its version, which stands last."""
    found = parse_infotext(infotext)
    if not found.pairs:
        return infotext
    own = {key: value for key, value in found.pairs.items() if key != VERSION_KEY}
    last = {VERSION_KEY: found.pairs[VERSION_KEY]} if VERSION_KEY in found.pairs else {}
    return join_infotext(replace(found, pairs={**own, **pairs, **last}))

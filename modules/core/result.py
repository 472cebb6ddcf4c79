"""What comes out of the engine."""

from __future__ import annotations

from dataclasses import dataclass

from PIL.Image import Image


@dataclass(frozen=True, slots=True)
class GeneratedImage:
    """One finished picture.

    `index` counts from 0 over all batches of the request; `pixels` is 8-bit RGB of height x width;
    `infotext` is the text that is written into the file; `over_picture`: img2img made it.
    """

    index: int
    seed: int
    pixels: Image
    infotext: str
    over_picture: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where pictures are saved instead of where they always are; "" leaves that as it is.

    `folder`: absolute, or below the outputs folder. `stem`: the file's name without its ending; one that is taken gets
    a number behind it. `series`: the picture is one of a series of this name among the grids: series-0000-SEED.
    """

    folder: str = ""
    stem: str = ""
    series: str = ""


AS_ALWAYS = Place()


@dataclass(frozen=True, slots=True)
class GenerationResult:
    """How a run ended: which images exist now, and whether the user stopped it or skipped some."""

    images_done: tuple[int, ...]
    images_skipped: tuple[int, ...] = ()
    interrupted: bool = False

"""Is a picture what its infotext says? The request that it was made from, and the comparison with what that gives."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from PIL import Image, ImageChops, ImageStat

from modules.core.errors import FieldProblem, InvalidRequest
from modules.core.parameters import NO_VAE, PARAMETERS
from modules.core.request import MASK_FIELDS, PICTURE_FIELDS, GenerationRequest
from modules.imaging.infotext import infotext_values
from modules.imaging.metadata import read_infotext
from modules.imaging.parsing import Infotext, parse_infotext
from modules.imaging.versions import compatibility
from modules.web.checkpoints import CheckpointChooser
from modules.web.pasting import Paster
from modules.web.services import WebServices
from modules.web.verify_facts import Fact, Making

NEEDED = ("steps", "sampler", "seed", "width", "height")
"""Without these an infotext leaves open how its picture was made."""
CANNOT = "a picture with the infotext of txt2img"
BRIGHTEST = 255
_BROKEN = (OSError, ValueError, SyntaxError)
"""What Pillow raises for pixels that cannot be decoded."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A picture and the request that its infotext says it was made from."""

    content: bytes
    request: GenerationRequest
    making: Making
    found: tuple[Fact, ...] = ()


@dataclass(frozen=True, slots=True)
class Difference:
    """How far two pictures are apart: per channel from 0 to 255, and the percentage of pixels that differ at all.

    `picture`: the absolute difference as PNG, `amplified` so many times. All of it None when the sizes differ.
    `made_size`: width and height of the second picture.
    """

    identical: bool
    made_size: tuple[int, int]
    largest: int | None = None
    mean: float | None = None
    share: float | None = None
    picture: bytes | None = None
    amplified: float | None = None


def read_claim(
    content: bytes, services: WebServices, chooser: CheckpointChooser, job: tuple[GenerationRequest, str] | None = None
) -> Claim:
    """Return what a picture's file claims; `job`: the request that made it, if that is known, and its infotext.

    The request tells which picture img2img began with, and what else of that is in no infotext.
    What the infotext does not name was at its default; present options do not count. Raises InvalidRequest for a
    picture that cannot be made again, saying why.
    """
    found = read_infotext(content)
    infotext = found.infotext or (parse_infotext(job[1]) if job else None)
    if infotext is None or not infotext.pairs:
        _refuse("Infotext", "none", CANNOT)
    size = _decoded(content).size
    pairs = {**infotext.pairs, **compatibility(infotext.pairs, infotext.prompt)}
    pictures = _pictures_of(job[0]) if job else {}
    if not pictures:
        _refuse_img2img(pairs)
    values, notes = Paster(services).values(Infotext(infotext.prompt, infotext.negative_prompt, pairs))
    missing = [PARAMETERS[name].label for name in NEEDED if name not in values]
    if missing:
        _refuse("Infotext", f"nothing usable as {', '.join(missing)}", f"{CANNOT} that says these ({' '.join(notes)})")
    wanted: dict[str, object] = {
        # No VAE is named where the checkpoint's own decoded the picture.
        "vae": NO_VAE,
        # Comments are never written; what still looks like one was none, since they were switched off.
        "comments": "#" not in infotext.prompt + infotext.negative_prompt,
        **values,
        **pictures,
        "extras": job[0].extras if job else {},
        "checkpoint": values.get("checkpoint") or _checkpoint(pairs, services, chooser),
    }
    request = GenerationRequest.checked(wanted, services.lists)
    return Claim(content, request, Making(infotext, found.source, found.format, size, tuple(notes)))


def compare_pictures(original: bytes, made: bytes) -> Difference:
    """Compare the pixels of two picture files, as 8-bit RGB."""
    first, second = _decoded(original), _decoded(made)
    if first.size != second.size:
        return Difference(False, second.size)
    difference = ImageChops.difference(first, second)
    red, green, blue = difference.split()
    # How many pixels are off by so much in the channel that is furthest off.
    counts = ImageChops.lighter(ImageChops.lighter(red, green), blue).histogram()
    pixels = first.width * first.height
    largest = max(value for value, count in enumerate(counts) if count)
    factor = BRIGHTEST / largest if largest else 1.0
    out = io.BytesIO()
    difference.point(lambda value: round(value * factor)).save(out, "PNG")
    return Difference(
        identical=largest == 0,
        made_size=second.size,
        largest=largest,
        mean=sum(ImageStat.Stat(difference).mean) / 3,
        share=100 * (pixels - counts[0]) / pixels,
        picture=out.getvalue(),
        amplified=factor,
    )


def _decoded(content: bytes) -> Image.Image:
    """Return a picture's pixels. Raises InvalidRequest."""
    try:
        return Image.open(io.BytesIO(content)).convert("RGB")
    except _BROKEN as error:
        _refuse("Image", f"pixels that cannot be read ({type(error).__name__})", "a whole picture", error)


def _pictures_of(request: GenerationRequest) -> dict[str, object]:
    """Return what an infotext does not say of the pictures that a request began with; nothing where it had none."""
    if not request.init_image:
        return {}
    return {
        name: getattr(request, name)
        for name in ("init_image", "mask_image", *PICTURE_FIELDS, *MASK_FIELDS)
        if PARAMETERS[name].infotext is None
    }


def _refuse_img2img(pairs: Mapping[str, str]) -> None:
    repeats_two_passes = infotext_values(Infotext(pairs=pairs)).get("enable_hr")
    if "Denoising strength" in pairs and not repeats_two_passes:
        _refuse("Infotext", "that of img2img, which began with another picture", CANNOT)


def _checkpoint(pairs: Mapping[str, str], services: WebServices, chooser: CheckpointChooser) -> str:
    """Return the checkpoint in use for an infotext that names none; one that is named but not here is refused."""
    named = " ".join(filter(None, (pairs.get("Model"), pairs.get("Model hash"))))
    if named:
        usable = ", ".join(entry.title for entry in services.files.checkpoints.entries() if entry.usable)
        _refuse("Model", f"{named}, which is not here", f"one of {usable}")
    current = chooser.current()
    return current.title if current is not None else ""


def _refuse(label: str, value: str, allowed: str, cause: Exception | None = None) -> NoReturn:
    raise InvalidRequest([FieldProblem("image", label, value, allowed)]) from cause

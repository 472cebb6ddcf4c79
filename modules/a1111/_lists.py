"""Lists that extensions add to, as the form and the settings offer them: upscalers, samplers and face restorers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image

from modules.a1111 import face_restoration, sd_samplers, sd_schedulers, shared, upscaler
from modules.a1111._host import HOST
from modules.a1111._loader import LOADED
from modules.a1111._owners import owner_of
from modules.a1111.shared_options import options
from modules.hooks.spec import Enlarge, Enlarging
from modules.imaging.resize import PIXEL_UPSCALERS
from modules.settings.schema import Option
from modules.web.panels import RESTORES_FACES

RESTORER = "face_restoration_model"
_SECTION = "Face restoration"


def connect_lists() -> None:
    """Offer what extensions have added on the form; to be called when they are loaded."""
    upscaler.add_upscalers(_derived_upscalers())
    more = getattr(HOST.connected, "lists", None)
    if more is None or not hasattr(more, "more"):
        return
    names = upscaler.foreign_names
    more.more.update(
        upscalers=names, pixel_upscalers=names, samplers=_sampler_names, schedulers=_scheduler_names
    )


def disconnect_lists() -> None:
    """Offer Easel's own alone."""
    more = getattr(HOST.services, "lists", None)
    if more is not None and hasattr(more, "more"):
        more.more.clear()


def _derived_upscalers() -> Iterator[type[Any]]:
    """Yield the classes of loaded extensions that are derived from Upscaler, as A1111 finds them."""
    for module in LOADED.modules.values():
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, upscaler.Upscaler) and value.__module__ == module.__name__:
                yield value


def _sampler_names() -> list[str]:
    return [each.name for each in sd_samplers.all_samplers]


def _scheduler_names() -> list[str]:
    return [each.label for each in sd_schedulers.schedulers]


def enlarged(run: Any, asked: Enlarging, call_next: Enlarge) -> Image.Image:
    """Return a picture as an extension's upscaler enlarges it; one that fails is reported, and Lanczos does it."""
    found = upscaler.foreign_upscaler(asked.upscaler)
    if found is None:
        return call_next(asked)
    with HOST.guarding(owner_of(type(found.scaler)), "hook", f"upscaler {asked.upscaler}"):
        return upscaler.enlarged_by(found, asked.picture, asked.width, asked.height).convert("RGB")
    run.say(f"The upscaler {asked.upscaler} failed; {PIXEL_UPSCALERS[1]} enlarged the picture.")
    return call_next(replace(asked, upscaler=PIXEL_UPSCALERS[1]))


def offer_restorers() -> None:
    """Have the settings ask for face restoration where an extension has brought a face restorer."""
    names = tuple(str(each.name()) for each in shared.face_restorers)
    if not names:
        return
    HOST.connected.settings.declare([
        Option(RESTORES_FACES, "Restore faces", "flag", False, _SECTION, "In every picture, by the model below."),
        Option(
            RESTORER, "Face restoration model", "choice", names[0], _SECTION, "Which of those that extensions brought.",
            choices=names,
        ),
    ])  # fmt: skip


def wants_restoring(p: Any) -> bool:
    """Say whether the faces of a run's pictures are to be restored: as `p` says, else as the options do."""
    wanted = options().face_restoration if p.restore_faces is None else p.restore_faces
    return bool(wanted) and bool(shared.face_restorers)


def restored(p: Any, pictures: list[Image.Image]) -> list[Image.Image]:
    """Return pictures with restored faces, and note the model in the infotext; the old ones where that fails."""
    restorer = face_restoration.chosen()
    if restorer is None:
        return pictures
    with HOST.guarding(owner_of(type(restorer)), "hook", f"face restorer {restorer.name()}"):
        made = [Image.fromarray(face_restoration.restore_faces(np.array(each.convert("RGB")))) for each in pictures]
        p.extra_generation_params["Face restoration"] = restorer.name()
        return made
    return pictures

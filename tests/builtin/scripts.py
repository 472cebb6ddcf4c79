"""Scripts that make several requests of one: what they make, and the pictures that they add to finished ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from PIL import Image

from modules.core.request import GenerationRequest
from modules.hooks.job_hooks import Expander, FinishedJob, FinishedPart, FinishedPicture, JobFinisher
from tests.fakes import infotext, paint
from tests.lists import NoLists

Values = dict[str, Any]


def request_of(plugin: Expander, values: Values, **fields: object) -> GenerationRequest:
    """Return a small request that asks for a plugin."""
    small = {"prompt": "a cat", "seed": 10, "steps": 2, "width": 64, "height": 64}
    name = plugin.description.name
    return GenerationRequest.checked({**small, **fields, "extras": {name: plugin.description.checked(values)}})


def expanded(plugin: Expander, values: Values, **fields: object) -> Sequence[GenerationRequest]:
    """Return what the plugin makes of a small request."""
    request = request_of(plugin, values, **fields)
    made = plugin.expand(request, request.extras[plugin.description.name], NoLists())
    assert made is not None
    return made


def finished(
    plugin: Expander, values: Values, missing: Callable[[int], bool] = lambda number: False, **fields: object
) -> FinishedJob:
    """Return the job of a small request with its pictures painted, and what the plugin adds."""
    asked = request_of(plugin, values, **fields)
    parts = [
        FinishedPart(made, () if missing(number) else (_painted(made),))
        for number, made in enumerate(expanded(plugin, values, **fields))
    ]
    job = FinishedJob(asked, asked.extras[plugin.description.name], parts)
    assert isinstance(plugin, JobFinisher)
    plugin.after_job(job)
    return job


def _painted(request: GenerationRequest) -> FinishedPicture:
    return FinishedPicture(request.seed, infotext(request, 0), lambda: paint(request, 0))


def cell_of(grid: Image.Image, picture: Image.Image, column: int, row: int, columns: int, rows: int) -> bool:
    """Say whether a picture stands in a place of a grid, counted from its lower right corner."""
    left, top = grid.width - (columns - column) * picture.width, grid.height - (rows - row) * picture.height
    return grid.crop((left, top, left + picture.width, top + picture.height)).tobytes() == picture.tobytes()

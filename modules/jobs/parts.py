"""The parts of a job as the database keeps them: the first request whole, of the others what differs from it."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from modules.core.request import GenerationRequest
from modules.core.result import Place
from modules.jobs.model import Origin, Part

REMEMBERED_PARTS = 5000
"""How many parts are kept in memory so that they need not be read again: some 25 MB."""


def write_parts(parts: Sequence[Part]) -> tuple[str, str]:
    """Return the first request as JSON, and the list of all parts, which is empty for one that is nothing besides."""
    first = parts[0].request
    if tuple(parts) == (Part(first),):
        return first.model_dump_json(), ""
    base = first.model_dump(mode="json")
    return first.model_dump_json(), json.dumps([_written(part, base) for part in parts])


def write_origins(origins: Sequence[Origin]) -> str:
    """Return what plugins made a job's parts of; empty where none did."""
    written = [
        {"plugin": origin.plugin, "first": origin.first, "count": origin.count, "folder": origin.place.folder,
         "stem": origin.place.stem, "request": origin.request.model_dump(mode="json")}
        for origin in origins
    ]  # fmt: skip
    return json.dumps(written) if written else ""


def read_origins(text: str) -> tuple[Origin, ...]:
    """Return what `write_origins` was given."""
    return tuple(
        Origin(each["plugin"], GenerationRequest.model_validate(each["request"]), each["first"], each["count"],
               Place(each["folder"], each["stem"]))
        for each in (json.loads(text) if text else ())
    )  # fmt: skip


class PartReader:
    """Reads parts, which never change once a job was added, and remembers those of the jobs that were read last."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[Part, ...]] = OrderedDict()

    def __call__(self, job_id: str, request: str, parts: str) -> tuple[Part, ...]:
        """Return the parts of a job from its two columns."""
        if not parts:
            return (Part(GenerationRequest.model_validate_json(request)),)
        if job_id not in self._known:
            base = json.loads(request)
            self._known[job_id] = tuple(_read(each, base) for each in json.loads(parts))
        self._known.move_to_end(job_id)
        read = self._known[job_id]
        while len(self._known) > 1 and sum(map(len, self._known.values())) > REMEMBERED_PARTS:
            self._known.popitem(last=False)
        return read


def _written(part: Part, base: dict[str, Any]) -> dict[str, Any]:
    values = part.request.model_dump(mode="json")
    changes = {name: value for name, value in values.items() if value != base[name]}
    rest = {"folder": part.place.folder, "stem": part.place.stem, "name": part.name}
    return {"request": changes} | {key: text for key, text in rest.items() if text}


def _read(written: dict[str, Any], base: dict[str, Any]) -> Part:
    request = GenerationRequest.model_validate(base | written["request"])
    return Part(request, Place(written.get("folder", ""), written.get("stem", "")), written.get("name", ""))

"""Where requests become jobs: what plugins make of them is put in their place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from modules.core.errors import FieldProblem, InvalidRequest
from modules.jobs.model import Job, Origin, Part, Purpose
from modules.web.services import WebServices

MOST_PARTS = 20_000
"""How many requests one job may have."""


@dataclass(frozen=True, slots=True)
class Submission:
    """The parts of a job, and what plugins made them of."""

    parts: tuple[Part, ...]
    origins: tuple[Origin, ...] = ()


def expand_parts(parts: Sequence[Part], services: WebServices) -> Submission:
    """Return the parts with those in whose place plugins want others replaced.

    Raises InvalidRequest, and PluginFailed when a plugin fails.
    """
    expanded: list[Part] = []
    origins: list[Origin] = []
    for part in parts:
        expansion = services.plugins.expand(part.request, services.lists)
        if expansion is None:
            expanded.append(part)
            continue
        if not expansion.requests:
            raise InvalidRequest([FieldProblem("script", expansion.title, "no picture", "at least one picture")])
        count = len(expansion.requests)
        origins.append(Origin(expansion.plugin, part.request, len(expanded), count, part.place))
        about = f"{part.name}, " if part.name else ""
        for number, request in enumerate(expansion.requests, start=1):
            expanded.append(Part(request, part.place, f"{about}{expansion.title}, {number} of {count}"))
        if len(expanded) > MOST_PARTS:
            allowed = f"at most {MOST_PARTS} requests in one job"
            raise InvalidRequest([FieldProblem("script", expansion.title, str(len(expanded)), allowed)])
    return Submission(tuple(expanded), tuple(origins))


def submit(parts: Sequence[Part], services: WebServices, owner: str | None, purpose: Purpose) -> Job:
    """Put one job into the queue, of these parts or what plugins make of them; raises as `expand_parts`."""
    made = expand_parts(parts, services)
    return services.jobs.submit_parts(made.parts, owner, purpose, made.origins)

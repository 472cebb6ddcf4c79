"""What a plugin may do with a whole job: make several requests of one, and add pictures when all of them are made.

Other than the moments of `spec.py` these are no part of a run: `expand` is called where a request becomes a job,
`after_job` when the last of the job's pictures is made, maybe in another process.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from modules.core.errors import EaselError, PluginFailed
from modules.core.extras import PluginValues
from modules.core.request import ChoiceLists, GenerationRequest
from modules.hooks.plugins import Expansion, PluginDescription

if TYPE_CHECKING:
    from PIL.Image import Image

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FinishedPicture:
    """A picture of a job that lies on disk. `open` reads its pixels only when they are used; raises OSError."""

    seed: int
    infotext: str
    open: Callable[[], Image]


@dataclass(frozen=True, slots=True)
class FinishedPart:
    """One request of a job with its pictures; those that were skipped or could not be made are missing."""

    request: GenerationRequest
    pictures: tuple[FinishedPicture, ...]


@dataclass(frozen=True, slots=True)
class AddedPicture:
    """A picture that a plugin adds to a job, such as a grid.

    `series`: what its file is called: series-0000-SEED. `draw` is called when the picture is about to be saved, and
    not at all where that was done before a kill.
    """

    series: str
    seed: int
    infotext: str
    draw: Callable[[], Image]


@dataclass(slots=True)
class FinishedJob:
    """What was made of a request by `expand`. To be changed: `added`, `hides_parts`.

    `request`: the one that was expanded; `values`: the plugin's own in it. `parts` come in the order in which `expand`
    gave them. `added` must be the same whenever it is asked for the same job. `hides_parts`: the gallery shows what was
    added alone, if there is any.
    """

    request: GenerationRequest
    values: PluginValues
    parts: Sequence[FinishedPart]
    added: list[AddedPicture] = field(default_factory=list)
    hides_parts: bool = False


@runtime_checkable
class Expander(Protocol):
    """A plugin that makes several requests of one."""

    @property
    def description(self) -> PluginDescription:
        """What the plugin is called and asked for."""

    def expand(
        self, request: GenerationRequest, values: PluginValues, lists: ChoiceLists
    ) -> Sequence[GenerationRequest] | None:
        """Return the requests that become one job instead of `request`; None: it stays as it is.

        `values`: the plugin's own in the request; `lists`: the names that may be chosen now. The requests should no
        longer name the plugin in their extras (`without_plugin`). A seed of -1 is replaced by a random one later.
        Raises InvalidRequest.
        """


@runtime_checkable
class JobFinisher(Protocol):
    """A plugin that adds pictures to the jobs that it expanded."""

    @property
    def description(self) -> PluginDescription:
        """What the plugin is called and asked for."""

    def after_job(self, job: FinishedJob) -> None:
        """Edit. Add pictures when a job is over that `expand` made the requests of."""


def expand_request(plugins: Iterable[object], request: GenerationRequest, lists: ChoiceLists) -> Expansion | None:
    """Return what the first plugin makes of a request that asks for it and expands it; None when none does.

    Raises InvalidRequest, and PluginFailed when the plugin fails.
    """
    for plugin in plugins:
        if not isinstance(plugin, Expander) or plugin.description.name not in request.extras:
            continue
        described = plugin.description
        try:
            requests = plugin.expand(request, described.checked(request.extras[described.name]), lists)
        except EaselError:
            raise
        except Exception as error:  # The border between plugins and us.
            raise _failed(described, "expand", error) from error
        if requests is not None:
            return Expansion(described.name, described.title, tuple(requests))
    return None


def finish_job(plugins: Iterable[object], name: str, job: FinishedJob) -> None:
    """Have the plugin of this id add its pictures to a job. Raises PluginFailed when it is gone or fails."""
    found = [plugin for plugin in plugins if isinstance(plugin, Expander) and plugin.description.name == name]
    if not found:
        raise PluginFailed(f"There is no plugin {name} here any more; what it adds to its pictures is missing.")
    plugin = found[0]
    if not isinstance(plugin, JobFinisher):
        return
    described = plugin.description
    try:
        plugin.after_job(job)
    except EaselError:
        raise
    except Exception as error:  # The border between plugins and us.
        raise _failed(described, "after_job", error) from error
    job.added = [replace(added, draw=_guarded(described, added.draw)) for added in job.added]


def _guarded(described: PluginDescription, draw: Callable[[], Image]) -> Callable[[], Image]:
    """Return `draw` as a function that raises nothing but our own errors."""

    def guarded() -> Image:
        try:
            return draw()
        except EaselError:
            raise
        except Exception as error:  # The border between plugins and us.
            raise _failed(described, "after_job", error) from error

    return guarded


def _failed(described: PluginDescription, where: str, error: Exception) -> PluginFailed:
    logger.error("The plugin %s failed in %s.", described.name, where, exc_info=error)
    reason = "there is too little memory" if isinstance(error, MemoryError) else f"{type(error).__name__}: {error}"
    return PluginFailed(f"{described.title} failed: {reason}.")

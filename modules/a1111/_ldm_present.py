"""Which of the engine's models counts for extensions now."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from modules.a1111 import sd_models
from modules.a1111._host import HOST
from modules.a1111._placeholders import NotInEasel
from modules.a1111._runs import Run
from modules.engine.models import LoadedModel, ModelShelf
from modules.library.choices import CHECKPOINT_OPTION

_LONGEST_WAIT, _WAIT = 60.0, 0.1
_RUNNER = "job-runner"
"""The thread that loads models, which must not wait for them."""


class NoModel(NotInEasel):
    """Raised when no model is in memory whose inside could be seen."""


@dataclass(slots=True)
class Present:
    """The model that the engine uses now, and those that were made ready for a run before it, by their names."""

    at_work: LoadedModel | None = None
    prepared: dict[str, LoadedModel] = field(default_factory=dict)


def present() -> Present:
    """Return what is known."""
    state: Present = HOST.state("present models", Present)
    return state


def present_model() -> LoadedModel:
    """Return the model at work, else the one that the run will use, else the chosen one. Raises NoModel."""
    engine = HOST.connected.jobs.engine()
    shelf: ModelShelf | None = getattr(engine, "shelf", None)
    if shelf is None:
        raise NoModel("No model is in memory yet: the engine is still starting.")
    run: Run | None = HOST.runs.current()
    if run is None:
        return _chosen(shelf)
    state = present()
    if run.inside and state.at_work is not None:
        return state.at_work
    return _of_run(shelf, run, state)


def present_info() -> sd_models.CheckpointInfo:
    """Return the checkpoint at work, else that of the run, else the chosen one; nothing is loaded for it."""
    run: Run | None = HOST.runs.current()
    if run is None:
        return sd_models.select_checkpoint()
    at_work = present().at_work
    if run.inside and at_work is not None:
        return sd_models.CheckpointInfo(at_work.bundle.entry)
    return sd_models.CheckpointInfo(HOST.connected.files.checkpoints.find(_wanted(run)))


def _wanted(run: Run) -> str:
    overrides = getattr(run.p or run.owner, "override_settings", None) or {}
    return str(overrides.get(CHECKPOINT_OPTION) or run.generation.request.checkpoint)


def _of_run(shelf: ModelShelf, run: Run, state: Present) -> LoadedModel:
    """Return the model that a run will use, with its VAE, loading it if need be."""
    request, wanted = run.generation.request, _wanted(run)
    if wanted not in state.prepared:
        files = shelf.files
        entry = files.checkpoints.find(wanted)
        vae = files.vaes.resolve(request.vae, entry.path) if files.vaes is not None else None
        loaded = shelf.get(wanted, run.generation.sink, None, vae)
        loaded.set_vae(vae)
        state.prepared[wanted] = loaded
    return state.prepared[wanted]


def _chosen(shelf: ModelShelf) -> LoadedModel:
    """Return the chosen checkpoint, waiting for a while when it is not in memory."""
    title = sd_models.select_checkpoint().title
    loaded = shelf.loaded(title)
    if loaded is None and threading.current_thread().name != _RUNNER:
        HOST.connected.jobs.preload(title)
        until = time.monotonic() + _LONGEST_WAIT
        while loaded is None and time.monotonic() < until:
            time.sleep(_WAIT)
            loaded = shelf.loaded(title)
    if loaded is None:
        raise NoModel(f"The model {title} is not in memory.")
    return loaded

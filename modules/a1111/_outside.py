"""`process_images` called where nothing runs, such as in a button of an extension: a job of Easel's queue."""

from __future__ import annotations

import io
import threading
import uuid
from collections.abc import Callable
from typing import Any

from PIL import Image

from modules.a1111._host import HOST
from modules.a1111._runs import Handover, named_request
from modules.a1111._view import Pictures, request_of
from modules.core.errors import EaselError, PluginFailed
from modules.jobs.model import ENDED_STATES, Job, JobState, Purpose

LOOK_SECONDS = 0.2


def as_job(p: Any, answer: Callable[[Any], Any]) -> Any:
    """Return what `answer(p)` gives in a job, once that has ended. Raises PluginFailed when it fails."""
    services = HOST.connected
    pictures = Pictures(services.inputs.load)
    stored = StoredPictures(pictures)
    request = request_of(p, stored)
    token = uuid.uuid4().hex
    handover = Handover(p, answer, pictures)
    purpose = Purpose.KEEP if p.save_samples() else Purpose.HANDOVER
    with HOST.runs.handed(token, handover), HOST.own_code():
        job = _ended(services.jobs.submit(named_request(request, token), purpose=purpose))
    if purpose is Purpose.HANDOVER:
        services.jobs.remove(job.id)
    if job.state is JobState.FAILED:
        raise PluginFailed(job.error or "The pictures could not be made.")
    if handover.result is None:
        raise PluginFailed("The job was taken out of the queue before it was done.")
    return handover.result


class StoredPictures(Pictures):
    """Pictures that are kept on the disk, since a job outlives what is in memory."""

    def __init__(self, known: Pictures) -> None:
        super().__init__(known.fallback, known.own, known.names)

    def name_of(self, picture: Image.Image) -> str:
        """Return the name under which the picture is kept from now on."""
        known = self.names.get(id(picture))
        if known is not None and self.own.get(known) is picture:
            return known
        file = io.BytesIO()
        picture.save(file, "PNG")
        name = HOST.connected.inputs.keep(file.getvalue())
        self.own[name], self.names[id(picture)] = picture, name
        return name


def _ended(job: Job) -> Job:
    """Return a job once it has ended."""
    jobs, changed = HOST.connected.jobs, threading.Event()
    unsubscribe = jobs.subscribe(lambda message: changed.set(), watches=False)
    try:
        while True:
            found = jobs.get(job.id)
            if found.state in ENDED_STATES:
                return found
            changed.wait(LOOK_SECONDS)
            changed.clear()
    except EaselError as error:
        raise PluginFailed(f"The job is gone: {error}") from error
    finally:
        unsubscribe()

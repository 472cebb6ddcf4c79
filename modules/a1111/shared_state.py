"""A1111's modules.shared_state: what runs now, as extensions read and steer it."""

from __future__ import annotations

import datetime as dt
import logging
import time
from typing import Any

from modules.a1111._host import HOST

log = logging.getLogger(__name__)


class State:
    """`state`. Interrupting and skipping act on Easel's running job; what is read is that of the run that goes on."""

    def __init__(self) -> None:
        self.job = ""
        self.job_no = 0
        self.job_count = 0
        self.job_timestamp = "0"
        self.processing_has_refined_job_count = False
        self.sampling_step = 0
        self.sampling_steps = 0
        self.current_latent: Any = None
        self.current_image: Any = None
        self.current_image_sampling_step = 0
        self.id_live_preview = 0
        self.textinfo: str | None = None
        self.time_start: float | None = None
        self.server_start = time.time()
        self.need_restart = False
        self.oom = False
        self._interrupted = False
        self._skipped = False
        self._stopping = False

    @property
    def interrupted(self) -> bool:
        """Whether what runs now is to stop."""
        run = HOST.runs.latest()
        return self._interrupted or (run is not None and run.cancel.interrupted())

    @interrupted.setter
    def interrupted(self, value: bool) -> None:
        self._interrupted = bool(value)

    @property
    def skipped(self) -> bool:
        """Whether what is sampled now is given up."""
        return self._skipped

    @skipped.setter
    def skipped(self, value: bool) -> None:
        self._skipped = bool(value)

    @property
    def stopping_generation(self) -> bool:
        """Whether what runs now ends after this batch."""
        run = HOST.runs.latest()
        return self._stopping or (run is not None and run.cancel.stopping_after_current())

    @stopping_generation.setter
    def stopping_generation(self, value: bool) -> None:
        self._stopping = bool(value)

    def skip(self) -> None:
        """Give up the batch that is sampled now."""
        self._skipped = True
        if HOST.services is not None:
            HOST.services.jobs.skip()

    def interrupt(self) -> None:
        """Stop the running job."""
        self._interrupted = True
        if HOST.services is not None:
            HOST.services.jobs.interrupt()

    def stop_generating(self) -> None:
        """End the running job after this batch."""
        self._stopping = True
        if HOST.services is not None:
            HOST.services.jobs.stop_after_current()

    def begin(self, job: str = "(unknown)") -> None:
        """Note that something begins."""
        self.__init__()  # type: ignore[misc]
        self.job, self.time_start = job, time.time()
        self.job_timestamp = dt.datetime.now().strftime("%Y%m%d%H%M%S")  # noqa: DTZ005 (A1111 has local time)

    def end(self) -> None:
        """Note that it has ended."""
        self.job, self.job_count = "", 0
        self._interrupted = self._skipped = self._stopping = False

    def nextjob(self) -> None:
        """Note that one of several is done."""
        self.job_no += 1
        self.sampling_step = 0
        self.current_image_sampling_step = 0

    def dict(self) -> dict[str, Any]:
        """Return the numbers as the API has them."""
        return {
            "skipped": self.skipped,
            "interrupted": self.interrupted,
            "stopping_generation": self.stopping_generation,
            "job": self.job,
            "job_count": self.job_count,
            "job_timestamp": self.job_timestamp,
            "job_no": self.job_no,
            "sampling_step": self.sampling_step,
            "sampling_steps": self.sampling_steps,
        }

    def assign_current_image(self, image: Any) -> None:
        """Keep a picture as the one that is shown."""
        self.current_image = image
        self.id_live_preview += 1

    def set_current_image(self) -> None:
        """Do nothing: previews are made by the engine."""

    def do_set_current_image(self) -> None:
        """Do nothing: previews are made by the engine."""

    def request_restart(self) -> None:
        """Note the wish; only a person restarts Easel."""
        self.need_restart = True


def state() -> State:
    """Return the one `state`."""
    return HOST.state("state", State)

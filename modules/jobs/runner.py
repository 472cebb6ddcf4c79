"""The thread that works off the queue, one job after the other, and never dies of a job."""

from __future__ import annotations

import contextlib
import errno
import logging
import sqlite3
import threading
from collections.abc import Callable

from modules.core.errors import EaselError, ModelUnavailable, StorageFailed
from modules.jobs.cancel import RunCancel
from modules.jobs.finishing import finish_parts
from modules.jobs.model import Job, JobState
from modules.jobs.part_runs import run_parts
from modules.jobs.ports import Pool
from modules.jobs.sink import JobSink, PreloadSink, RunServices

logger = logging.getLogger(__name__)

WRITE_AGAIN_SECONDS = 2.0
"""How long to wait before a job's end that could not be written (disk full) is written again."""
LONGEST_GOODBYE_SECONDS = 20.0
"""How long `close` waits for the running job's current step."""
LOADING_GOODBYE_SECONDS = 1.0
"""How long `close` waits when no job runs, only an engine or a checkpoint is being loaded."""


class JobRunner:
    """Takes the first waiting job, runs it on the pool, writes down how it ended, and takes the next."""

    def __init__(self, services: RunServices, pool: Pool) -> None:
        self._services = services
        self._pool = pool
        self._changed = threading.Condition()
        self._closing = False
        self._current: tuple[str, RunCancel] | None = None
        self._preload: str | None = None
        self._thread = threading.Thread(target=self._work, name="job-runner", daemon=True)

    def start(self) -> None:
        """Begin to work; a second call changes nothing."""
        with self._changed:
            if not self._closing and self._thread.ident is None:
                self._thread.start()

    def close(self) -> bool:
        """Stop the running job at its next step, so that it waits again, and end the thread.

        Returns False when the thread is in something that cannot be stopped; as a daemon it ends with the process,
        and a job that it runs goes on at the next start all the same.
        """
        with self._changed:
            self._closing = True
            if self._current is not None:
                self._current[1].shut_down()
            patience = LOADING_GOODBYE_SECONDS if self._current is None else LONGEST_GOODBYE_SECONDS
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join(patience)
        return not self._thread.is_alive()

    def pause(self) -> None:
        """Let no job begin once this has returned."""
        with self._changed:
            self._services.board.pause("")

    def wake(self) -> None:
        """Look at the queue again: a job was added, or the pause is over."""
        with self._changed:
            self._changed.notify_all()

    def preload(self, checkpoint: str) -> None:
        """Load a checkpoint as soon as no job waits; of several, the newest wish counts."""
        with self._changed:
            self._preload = checkpoint
            self._changed.notify_all()

    def steer(self, action: Callable[[RunCancel], None], job_id: str | None) -> bool:
        """Do something to the cancel token of the running job, if it is `job_id` or that is None; says whether."""
        with self._changed:
            if self._current is None or job_id not in (None, self._current[0]):
                return False
            action(self._current[1])
            return True

    def _work(self) -> None:
        while True:
            with self._changed:
                job = self._claim()
                while job is None and self._preload is None and not self._closing:
                    self._changed.wait()
                    job = self._claim()
                if job is not None:
                    cancel = RunCancel()
                    self._current = (job.id, cancel)
                elif self._closing:
                    return
                else:
                    checkpoint, self._preload = self._preload or "", None
            if job is not None:
                self._run(job, cancel)
            else:
                self._load(checkpoint)

    def _claim(self) -> Job | None:
        if self._closing or self._services.board.pause_reason() is not None:
            return None
        try:
            return self._services.store.claim_next()
        except StorageFailed as error:
            logger.error("The next job cannot begin. %s", error)
            self._pause(error)
            return None

    def _run(self, job: Job, cancel: RunCancel) -> None:
        logger.info("Job %s begins: %d picture(s).", job.id, job.image_count() - len(job.done()))
        self._tell(job.id)
        state, reason = self._outcome(job, cancel)
        with self._changed:
            self._current = None
        self._write_end(job.id, state, reason)
        logger.info("Job %s: %s.%s", job.id, state, f" {reason}" if reason else "")
        self._tell(job.id)

    def _outcome(self, job: Job, cancel: RunCancel) -> tuple[JobState, str | None]:
        """Run the job; whatever goes wrong ends this job alone. `waiting` means that the server is closing."""
        try:
            with contextlib.closing(JobSink(job, self._services)) as sink:
                result = run_parts(job, self._pool, sink, cancel)
                if not result.interrupted or cancel.user_stopped():
                    result.afterwards = finish_parts(job.id, sink, self._services)
        except ModelUnavailable as error:
            self._services.board.model_failed(sink.checkpoint(), str(error))
            return JobState.FAILED, str(error)
        except StorageFailed as error:
            if _disk_is_full(error):
                self._pause(error)
            return JobState.FAILED, str(error)
        except EaselError as error:
            return JobState.FAILED, str(error)
        except Exception as error:  # One of the three borders: no job may end the runner.
            logger.exception("Job %s failed in a way that nobody foresaw.", job.id)
            return JobState.FAILED, _in_plain_words(error)
        if result.interrupted:
            return (JobState.INTERRUPTED if cancel.user_stopped() else JobState.WAITING), result.complaint()
        return (JobState.FAILED if result.all_failed() else JobState.FINISHED), result.complaint()

    def _write_end(self, job_id: str, state: JobState, reason: str | None) -> None:
        """Write down how the job ended, trying again while the disk refuses it.

        A closing server does not wait, since a job that is still marked as running goes on at the next start.
        """
        store = self._services.store
        while True:
            try:
                store.settle_claims(self._services.saver.discard)
                if state is JobState.WAITING:
                    store.put_back(job_id)
                else:
                    store.end(job_id, state, reason)
                    store.prune(self._services.rules().keep_ended)
                return
            except StorageFailed as error:
                if self._services.board.pause_reason() is None:
                    logger.error("The end of job %s (%s) cannot be written yet. %s", job_id, state, error)
                self._pause(error)
            with self._changed:
                if self._changed.wait_for(lambda: self._closing, WRITE_AGAIN_SECONDS):
                    return

    def _load(self, checkpoint: str) -> None:
        try:
            self._pool.preload(checkpoint, PreloadSink(self._services.board))
        except EaselError as error:
            logger.warning("The model %s was not loaded. %s", checkpoint or "of the settings", error)
            self._services.board.model_failed(checkpoint, str(error))
        except Exception as error:  # The same border: the runner outlives a broken model.
            logger.exception("Loading the model %s failed in a way that nobody foresaw.", checkpoint)
            self._services.board.model_failed(checkpoint, _in_plain_words(error))

    def _pause(self, error: StorageFailed) -> None:
        mend = "Free some space" if _disk_is_full(error) else "Mend it"
        self._services.board.pause(f"{error} The queue is paused. {mend}, then resume it.")
        self._services.announcer.queue_changed()

    def _tell(self, job_id: str) -> None:
        self._services.announcer.job_changed(job_id)
        self._services.announcer.queue_changed()


def _in_plain_words(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "There is too little memory for this picture; choose a smaller size or batch."
    return f"Something unexpected went wrong ({type(error).__name__}: {error}). The log has the details."


def _disk_is_full(error: BaseException | None) -> bool:
    """Look for a full disk or quota among the causes of an error."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        if isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorname", "").startswith("SQLITE_FULL"):
            return True
        error = error.__cause__
    return False

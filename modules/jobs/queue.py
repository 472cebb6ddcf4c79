"""The one façade through which pages, API and commands deal with jobs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from modules.core.errors import FieldProblem, InvalidRequest, StorageFailed
from modules.core.ports import Engine
from modules.core.request import GenerationRequest
from modules.jobs.board import Board, Listener
from modules.jobs.cancel import RunCancel
from modules.jobs.local_pool import LocalPool
from modules.jobs.messages import Announcer
from modules.jobs.model import Job, JobState, Origin, Part, Purpose
from modules.jobs.ports import (
    AfterJob,
    EngineFactory,
    JobRules,
    JobRulesSource,
    PictureSaver,
    Pool,
    nothing_after,
)
from modules.jobs.preview import PreviewEncoder
from modules.jobs.progress import Progress
from modules.jobs.runner import JobRunner
from modules.jobs.sink import RunServices
from modules.jobs.store import JobStore

STATE_FOLDER = ".easel"
DATABASE = "jobs.sqlite"


class JobQueue:
    """Everything that can be asked of and done to jobs. Safe to use from all threads; nothing here waits for a run.

    Jobs can be submitted at once, and begin after `start`.
    """

    def __init__(self, services: RunServices, pool: Pool) -> None:
        self._store = services.store
        self._saver = services.saver
        self._board = services.board
        self._announcer = services.announcer
        self._encoder = services.encoder
        self._pool = pool
        self._runner = JobRunner(services, pool)

    def recover(self) -> list[Job]:
        """Let the job that a killed server left half-done wait again, first; call it before `start`."""
        return self._store.recover(self._saver.discard)

    def start(self) -> None:
        """Let the waiting jobs begin."""
        self._runner.start()

    def close(self) -> bool:
        """Stop the running job so that it goes on at the next start, and close everything.

        Returns False when the engine is in something that cannot be stopped, such as loading a checkpoint.
        """
        stopped = self._runner.close()
        self._encoder.close()
        self._store.close()
        return stopped

    def submit(
        self, request: GenerationRequest, owner: str | None = None, purpose: Purpose = Purpose.KEEP
    ) -> Job:
        """Queue a request and return at once; a seed of -1 is replaced by the one that the job keeps."""
        return self.submit_parts([Part(request)], owner, purpose)

    def submit_parts(
        self,
        parts: Sequence[Part],
        owner: str | None = None,
        purpose: Purpose = Purpose.KEEP,
        origins: Sequence[Origin] = (),
    ) -> Job:
        """Queue several requests as one job and return at once; each seed of -1 is replaced by one of its own.

        `origins`: what plugins made them of, who add their pictures at the end.
        """
        if not parts:
            raise InvalidRequest([FieldProblem("parts", "Parts", "an empty list", "at least one request")])
        fixed = [replace(part, request=part.request.with_fixed_seed()) for part in parts]
        job = self._store.add(fixed, owner, purpose, origins)
        self._try_again(job.id)
        return job

    def get(self, job_id: str) -> Job:
        """Return one job. Raises JobNotFound."""
        return self._store.get(job_id)

    def waiting(self) -> list[Job]:
        """Return the waiting jobs, first to run first."""
        return self._store.waiting()

    def running(self) -> Job | None:
        """Return the job that runs now."""
        return self._store.running()

    def ended(self, limit: int, offset: int = 0) -> list[Job]:
        """Return the ended jobs, newest first."""
        return self._store.ended(limit, offset)

    def latest(self) -> Job | None:
        """Return the job that a page shows: the running one, else the last that has pictures or failed."""
        return self._store.latest_shown()

    def cancel(self, job_id: str) -> Job:
        """Take a waiting job out of the queue. Raises JobStateConflict when it does not wait."""
        job = self._store.cancel(job_id)
        self._tell(job_id)
        return job

    def retry(self, job_id: str) -> Job:
        """Run an ended job again, as the last of the queue.

        A failed, interrupted or cancelled one keeps its pictures and makes the missing ones; a finished one becomes
        a new job of the same requests and seeds. Raises JobStateConflict for a job that waits or runs.
        """
        job = self._store.get(job_id)
        if job.state is JobState.FINISHED:
            return self.submit_parts(job.parts, job.owner, job.purpose, job.origins)
        job = self._store.requeue(job_id)
        self._try_again(job_id)
        return job

    def move(self, job_id: str, before: str | None) -> None:
        """Put a waiting job before another waiting one, or last when `before` is None."""
        self._store.move(job_id, before)
        self._announcer.queue_changed()

    def remove(self, job_id: str) -> None:
        """Forget a waiting or ended job; its pictures stay on disk, unless its purpose is another."""
        self._store.remove(job_id)
        self._announcer.job_removed(job_id)
        self._announcer.queue_changed()

    def interrupt(self, job_id: str | None = None) -> bool:
        """Stop the running job at its next step and keep its finished pictures.

        With `job_id` only if that one runs, so that a late click does not hit the next job; says whether it did.
        """
        return self._runner.steer(RunCancel.interrupt, job_id)

    def skip(self, job_id: str | None = None) -> bool:
        """Give up the batch that is sampled now and go on with the next; `job_id` as in `interrupt`."""
        return self._runner.steer(RunCancel.skip, job_id)

    def stop_after_current(self, job_id: str | None = None) -> bool:
        """End the running job once its current batch is finished; `job_id` as in `interrupt`."""
        return self._runner.steer(RunCancel.stop_after_current, job_id)

    def pause(self) -> None:
        """Let no further job begin; the running one goes on."""
        self._runner.pause()
        self._announcer.queue_changed()

    def resume(self) -> None:
        """Let jobs begin again."""
        self._board.resume()
        self._announcer.queue_changed()
        self._runner.wake()

    @property
    def paused(self) -> bool:
        """Say whether the queue is paused, by the user or because the disk is full."""
        return self._board.pause_reason() is not None

    def preload(self, checkpoint: str) -> None:
        """Have the engine and this checkpoint ready as soon as no job waits; "" means the default one."""
        self._runner.preload(checkpoint)

    def count_tokens(self, text: str, checkpoint: str = "") -> tuple[int, int] | None:
        """Return tokens and chunk length as `Engine.count_tokens`; None while the engine still starts."""
        return self._pool.count_tokens(text, checkpoint)

    def inspect(self, request: GenerationRequest, field: str) -> dict[str, Any] | None:
        """Return how a prompt is understood as `Engine.inspect`; None while the engine still starts."""
        return self._pool.inspect(request, field)

    def engine(self) -> Engine | None:
        """Return the engine, for those who look into it; None while it still starts. Only the runner lets it work."""
        return self._pool.engine()

    def progress(self) -> Progress | None:
        """Return how far the running job is."""
        return self._board.progress()

    def preview(self, job_id: str) -> bytes | None:
        """Return the newest preview of a job as JPEG."""
        return self._board.preview(job_id)

    def subscribe(self, listener: Listener, watches: bool = True) -> Callable[[], None]:
        """Call `listener` with each message, from any thread, until the returned function is called.

        `watches`: it wants previews to be made.
        """
        return self._board.subscribe(listener, watches)

    def digests(self) -> frozenset[str]:
        """Return the content hashes of pictures that listed jobs need."""
        return self._store.digests()

    def snapshot(self) -> dict[str, Any]:
        """Return the message that a page gets first; subscribe before, so that nothing is missed."""
        return self._announcer.snapshot()

    def job_message(self, job: Job) -> dict[str, Any]:
        """Return a job as it stands in messages."""
        return self._announcer.job(job)

    def _try_again(self, job_id: str) -> None:
        """Tell of a job that waits now; who adds one wants it run, so a pause that Easel itself made ends."""
        if self._board.pause_reason():
            self._board.resume()
        self._tell(job_id)
        self._runner.wake()

    def _tell(self, job_id: str) -> None:
        self._announcer.job_changed(job_id)
        self._announcer.queue_changed()


def state_folder(outputs: Path) -> Path:
    """Return the folder for what Easel itself keeps beside the pictures, made if need be. Raises StorageFailed."""
    folder = outputs / STATE_FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageFailed(
            f"The folder {folder} cannot be made: {error.strerror}. Pictures and the queue are kept there;"
            " mend its permissions or choose another folder with --data-dir."
        ) from error
    return folder


def open_queue(
    outputs: Path,
    saver: PictureSaver,
    engine_factory: EngineFactory,
    rules: JobRulesSource = JobRules,
    after_job: AfterJob = nothing_after,
) -> JobQueue:
    """Build the queue of an outputs folder. Raises StorageFailed when nothing can be written there."""
    store = JobStore(state_folder(outputs) / DATABASE, outputs)
    board = Board()
    services = RunServices(store, saver, board, Announcer(store, board, outputs), PreviewEncoder(), rules, after_job)
    return JobQueue(services, LocalPool(engine_factory, board))

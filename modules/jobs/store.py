"""The queue on disk: an SQLite database in WAL mode, one transaction per change, each synced before it returns.

What a killed process leaves behind is put right by `recover`: a picture counts only when its file is there with the
hash that was written down before the file got its name.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from modules.core.errors import JobNotFound, JobStateConflict, StorageFailed
from modules.core.result import GeneratedImage
from modules.jobs.migrations import migrate
from modules.jobs.model import ENDED_STATES, OWN, Job, JobImage, JobState, Origin, Part, Purpose, Standing
from modules.jobs.parts import PartReader, read_origins, write_origins, write_parts

BUSY_SECONDS = 10.0
"""How long a transaction waits for another process's before it gives up."""
FRONT = "(SELECT COALESCE(MIN(position), 0) - 1 FROM jobs)"
BACK = "(SELECT COALESCE(MAX(position), 0) + 1 FROM jobs)"
HAS_PICTURE = "(COALESCE(json_extract(request, '$.init_image'), '') != '')"
ENDED_MARKS = ", ".join("?" for _ in ENDED_STATES)
DIGEST = re.compile(r"\b[0-9a-f]{64}\b")
CONTINUABLE = (JobState.FAILED, JobState.INTERRUPTED, JobState.CANCELLED)


class JobStore:
    """All jobs of one outputs folder. Safe to use from several threads: one connection behind one lock.

    Every method raises StorageFailed when the database cannot be read or written.
    """

    def __init__(self, path: Path, outputs: Path) -> None:
        self._path = path
        self._outputs = outputs
        self._lock = threading.RLock()
        self._read_parts = PartReader()
        with self._translated_errors():
            self._connection = _connect(path)
            migrate(self._connection, str(path))

    def close(self) -> None:
        """Close the database; every change is on disk already."""
        with self._lock:
            self._connection.close()

    def add(
        self,
        parts: Sequence[Part],
        owner: str | None = None,
        purpose: Purpose = Purpose.KEEP,
        origins: Sequence[Origin] = (),
    ) -> Job:
        """Append a waiting job of at least one part; the seeds of their requests must be fixed."""
        job = Job(
            secrets.token_hex(8), JobState.WAITING, tuple(parts), time.time(), owner=owner, purpose=purpose,
            origins=tuple(origins),
        )  # fmt: skip
        columns = "id, state, position, request, parts, created, owner, purpose, origins"
        with self._transaction() as database:
            database.execute(
                f"INSERT INTO jobs ({columns}) VALUES (?, ?, {BACK}, ?, ?, ?, ?, ?, ?)",
                (job.id, job.state, *write_parts(parts), job.created, owner, purpose, write_origins(origins)),
            )
        return job

    def get(self, job_id: str) -> Job:
        """Return one job. Raises JobNotFound."""
        jobs = self._select("id = ?", (job_id,))
        if not jobs:
            raise JobNotFound(f"There is no job {job_id}; it may have been removed.")
        return jobs[0]

    def waiting(self) -> list[Job]:
        """Return the waiting jobs, first to run first."""
        return self._select("state = ? ORDER BY position", (JobState.WAITING,))

    def running(self) -> Job | None:
        """Return the job that runs now."""
        jobs = self._select("state = ?", (JobState.RUNNING,))
        return jobs[0] if jobs else None

    def ended(self, limit: int, offset: int = 0) -> list[Job]:
        """Return jobs that need no more work, newest first."""
        condition = f"state IN ({ENDED_MARKS}) ORDER BY finished DESC, position DESC LIMIT ? OFFSET ?"
        return self._select(condition, (*ENDED_STATES, limit, offset))

    def latest_shown(self, over_picture: bool | None = None) -> Job | None:
        """Return the running job, else the last one that has pictures or failed.

        `over_picture`: only of those that work over a picture, or of those that do not.
        """
        kind = "" if over_picture is None else f" AND {HAS_PICTURE} = {int(over_picture)}"
        condition = f"""purpose != ?{kind}
            AND (state = ? OR (state != ? AND (state = ? OR id IN (SELECT job FROM images WHERE saved))))
            ORDER BY state = ? DESC, finished DESC, position DESC LIMIT 1"""
        states = (Purpose.HANDOVER, JobState.RUNNING, JobState.WAITING, JobState.FAILED, JobState.RUNNING)
        jobs = self._select(condition, states)
        return jobs[0] if jobs else None

    def digests(self) -> frozenset[str]:
        """Return the content hashes that requests of listed jobs name, whatever for."""
        with self._lock, self._translated_errors():
            rows = self._connection.execute("SELECT request, parts, origins FROM jobs").fetchall()
        return frozenset(digest for row in rows for text in row if text for digest in DIGEST.findall(text))

    def claim_next(self) -> Job | None:
        """Mark the first waiting job as running and return it."""
        with self._transaction() as database:
            row = database.execute(
                "SELECT id FROM jobs WHERE state = ? ORDER BY position LIMIT 1", (JobState.WAITING,)
            ).fetchone()
            if row is None:
                return None
            database.execute(
                "UPDATE jobs SET state = ?, started = ?, finished = NULL, error = NULL WHERE id = ?",
                (JobState.RUNNING, time.time(), row["id"]),
            )
        return self.get(row["id"])

    def claim_picture(
        self, job_id: str, image: GeneratedImage, path: Path, sha256: str, standing: Standing = OWN
    ) -> None:
        """Write down where a picture is about to be put and what its file will hash to."""
        columns = "job, number, seed, path, sha256, infotext, added, kept, shown"
        with self._transaction() as database:
            database.execute(
                f"INSERT OR REPLACE INTO images ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (job_id, image.index, str(image.seed), self._relative(path), sha256, image.infotext,
                 standing.added, standing.kept, standing.shown),
            )  # fmt: skip

    def confirm_picture(self, job_id: str, index: int) -> None:
        """Note that the claimed picture is in its place."""
        with self._transaction() as database:
            database.execute("UPDATE images SET saved = 1 WHERE job = ? AND number = ?", (job_id, index))

    def hide_own(self, job_id: str) -> None:
        """Let the gallery show only what plugins added to a job."""
        with self._transaction() as database:
            database.execute("UPDATE images SET shown = 0 WHERE job = ? AND NOT added", (job_id,))

    def settle_claims(self, discard: Callable[[Path], None]) -> None:
        """Decide about the pictures that were claimed and never confirmed: those whose file is there are confirmed.

        The others are forgotten, and `discard` is told of each, so that it clears away what is left of its file.
        """
        with self._transaction() as database:
            for row in database.execute("SELECT job, number, path, sha256 FROM images WHERE NOT saved").fetchall():
                path, key = self._outputs / row["path"], (row["job"], row["number"])
                if _has_hash(path, row["sha256"]):
                    database.execute("UPDATE images SET saved = 1 WHERE job = ? AND number = ?", key)
                else:
                    discard(path)
                    database.execute("DELETE FROM images WHERE job = ? AND number = ?", key)

    def set_skipped(self, job_id: str, indexes: Iterable[int]) -> None:
        """Write down which pictures the user skipped."""
        with self._transaction() as database:
            database.execute("UPDATE jobs SET skipped = ? WHERE id = ?", (json.dumps(sorted(indexes)), job_id))

    def end(self, job_id: str, state: JobState, error: str | None = None) -> None:
        """Mark a job as ended."""
        with self._transaction() as database:
            database.execute(
                "UPDATE jobs SET state = ?, finished = ?, error = ? WHERE id = ?", (state, time.time(), error, job_id)
            )

    def put_back(self, job_id: str) -> None:
        """Make a running job wait again, before all others."""
        with self._transaction() as database:
            database.execute(f"UPDATE jobs SET state = ?, position = {FRONT} WHERE id = ?", (JobState.WAITING, job_id))

    def cancel(self, job_id: str) -> Job:
        """Take a waiting job out of the queue. Raises JobStateConflict when it is not waiting."""
        self._transition(
            job_id,
            (JobState.WAITING,),
            f"state = '{JobState.CANCELLED}', finished = ?",
            (time.time(),),
            "Only a waiting job can be cancelled",
        )
        return self.get(job_id)

    def requeue(self, job_id: str) -> Job:
        """Let a failed, interrupted or cancelled job wait again, after all others; its pictures stay.

        What plugins added is forgotten, since it is made again of all pictures.
        """
        # Under one lock, or the job could begin before that is forgotten.
        with self._lock:
            self._transition(
                job_id,
                CONTINUABLE,
                f"state = '{JobState.WAITING}', position = {BACK}, finished = NULL, error = NULL",
                (),
                "Only a job that has ended can be tried again",
            )
            self._drop_added(job_id)
        return self.get(job_id)

    def move(self, job_id: str, before: str | None) -> None:
        """Put a waiting job before another waiting one, or last. Raises JobStateConflict, JobNotFound."""
        with self._transaction() as database:
            rows = database.execute("SELECT id FROM jobs WHERE state = ? ORDER BY position", (JobState.WAITING,))
            order = [row["id"] for row in rows]
            for wanted in (job_id, before):
                if wanted is not None and wanted not in order:
                    raise JobStateConflict(f"Only waiting jobs can be moved; this one is {self.get(wanted).state}.")
            if before == job_id:
                return
            order.remove(job_id)
            order.insert(order.index(before) if before is not None else len(order), job_id)
            first = database.execute("SELECT COALESCE(MIN(position), 0) FROM jobs").fetchone()[0]
            database.executemany(
                "UPDATE jobs SET position = ? WHERE id = ?",
                [(first + number, moved) for number, moved in enumerate(order)],
            )

    def remove(self, job_id: str) -> None:
        """Forget an ended or waiting job. Raises JobStateConflict when it runs.

        Its pictures stay on disk, unless it is not their purpose to be kept.
        """
        if self.get(job_id).state is JobState.RUNNING:
            raise JobStateConflict("A running job cannot be removed; interrupt it first.")
        self._delete_unkept("id = ?", (job_id,))
        with self._transaction() as database:
            database.execute("DELETE FROM jobs WHERE id = ? AND state != ?", (job_id, JobState.RUNNING))

    def prune(self, keep: int) -> None:
        """Forget the oldest ended jobs but `keep`; what becomes of their pictures is as with `remove`."""
        oldest = f"state IN ({ENDED_MARKS}) ORDER BY finished DESC, position DESC LIMIT -1 OFFSET ?"
        self._delete_unkept(oldest, (*ENDED_STATES, keep))
        with self._transaction() as database:
            database.execute(
                f"""DELETE FROM jobs WHERE id IN (
                    SELECT id FROM jobs WHERE state IN ({ENDED_MARKS})
                    ORDER BY finished DESC, position DESC LIMIT -1 OFFSET ?)""",
                (*ENDED_STATES, keep),
            )

    def recover(self, discard: Callable[[Path], None]) -> list[Job]:
        """Put right what a killed process left, and return the jobs that wait again; `discard` as above."""
        self.settle_claims(discard)
        with self._transaction() as database:
            rows = database.execute("SELECT id FROM jobs WHERE state = ?", (JobState.RUNNING,)).fetchall()
        for row in rows:
            self.put_back(row["id"])
        # Whoever waited for these is gone.
        for job in self._select("purpose = ?", (Purpose.HANDOVER,)):
            self.remove(job.id)
        return [job for job in self.waiting() if job.id in {row["id"] for row in rows}]

    def _drop_added(self, job_id: str) -> None:
        for image in self.get(job_id).images:
            if image.standing.added and not image.standing.kept:
                with contextlib.suppress(OSError):
                    image.path.unlink(missing_ok=True)
        with self._transaction() as database:
            database.execute("DELETE FROM images WHERE job = ? AND added", (job_id,))
            database.execute("UPDATE images SET shown = 1 WHERE job = ?", (job_id,))

    def _delete_unkept(self, condition: str, values: tuple[object, ...]) -> None:
        """Delete the files of those pictures of the jobs that are not for keeping."""
        for job in self._select(condition, values):
            if job.state is JobState.RUNNING:
                continue
            for image in job.images:
                if image.standing.kept if image.standing.added else job.purpose is Purpose.KEEP:
                    continue
                with contextlib.suppress(OSError):
                    image.path.unlink(missing_ok=True)

    def _select(self, condition: str, values: tuple[object, ...]) -> list[Job]:
        with self._lock, self._translated_errors():
            rows = self._connection.execute(f"SELECT * FROM jobs WHERE {condition}", values).fetchall()
            marks = ", ".join("?" for _ in rows)
            pictures = self._connection.execute(
                f"SELECT * FROM images WHERE saved AND job IN ({marks}) ORDER BY number", [row["id"] for row in rows]
            ).fetchall()
            parts = [self._read_parts(row["id"], row["request"], row["parts"]) for row in rows]
        found: dict[str, list[JobImage]] = {row["id"]: [] for row in rows}
        for picture in pictures:
            path = self._outputs / picture["path"]
            standing = Standing(bool(picture["added"]), bool(picture["kept"]), bool(picture["shown"]))
            image = JobImage(picture["number"], int(picture["seed"]), path, picture["infotext"], standing)
            found[picture["job"]].append(image)
        return [_job(row, of_row, tuple(found[row["id"]])) for row, of_row in zip(rows, parts, strict=True)]

    def _transition(
        self, job_id: str, allowed: tuple[JobState, ...], change: str, values: tuple[object, ...], rule: str
    ) -> None:
        marks = ", ".join("?" for _ in allowed)
        with self._transaction() as database:
            changed = database.execute(
                f"UPDATE jobs SET {change} WHERE id = ? AND state IN ({marks})", (*values, job_id, *allowed)
            ).rowcount
            if not changed:
                raise JobStateConflict(f"{rule}; this one is {self.get(job_id).state}.")

    def _relative(self, path: Path) -> str:
        return str(path.relative_to(self._outputs) if path.is_relative_to(self._outputs) else path)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Hold the lock, and commit at the end or take everything back."""
        with self._lock, self._translated_errors(), self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            yield self._connection

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StorageFailed(f"The queue {self._path} cannot be used: {error}.") from error


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, check_same_thread=False, isolation_level=None)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def _job(row: sqlite3.Row, parts: tuple[Part, ...], images: tuple[JobImage, ...]) -> Job:
    return Job(
        id=row["id"],
        state=JobState(row["state"]),
        parts=parts,
        created=row["created"],
        started=row["started"],
        finished=row["finished"],
        error=row["error"],
        owner=row["owner"],
        images=images,
        skipped=tuple(json.loads(row["skipped"])),
        purpose=Purpose(row["purpose"]),
        origins=read_origins(row["origins"]),
    )


def _has_hash(path: Path, sha256: str) -> bool:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == sha256
    except OSError:
        return False

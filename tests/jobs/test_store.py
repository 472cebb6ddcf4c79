"""The database itself: versions, claims, threads."""

import hashlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from modules.core.errors import StorageFailed
from modules.core.result import GeneratedImage
from modules.jobs.migrations import MIGRATIONS, migrate
from modules.jobs.model import JobState, Part
from modules.jobs.store import JobStore
from tests.jobs.conftest import small

PICTURE = GeneratedImage(0, 7, Image.new("RGB", (1, 1)), "a pear")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[JobStore]:
    opened = JobStore(tmp_path / "jobs.sqlite", tmp_path)
    yield opened
    opened.close()


def test_the_database_is_in_wal_mode_and_synced_at_every_commit(store: JobStore) -> None:
    values = [store._connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
    assert values == ["wal", 2]


def test_a_new_database_goes_through_every_migration(store: JobStore) -> None:
    assert store._connection.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS)


def test_a_failing_migration_leaves_the_version_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modules.jobs.migrations.MIGRATIONS", (("CREATE TABLE a (b)",), ("CREATE TABLE c (d)", "oops")))
    connection = sqlite3.connect(tmp_path / "x.sqlite", isolation_level=None)
    with pytest.raises(sqlite3.OperationalError):
        migrate(connection, "x.sqlite")
    assert connection.execute("PRAGMA user_version").fetchone()[0] == 1
    assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("a",)]
    connection.close()


def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    newer = sqlite3.connect(path)
    newer.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    newer.close()
    with pytest.raises(StorageFailed, match="newer Easel"):
        JobStore(path, tmp_path)


def test_jobs_are_there_after_reopening(tmp_path: Path) -> None:
    first = JobStore(tmp_path / "jobs.sqlite", tmp_path)
    job = first.add([Part(small(seed=2**63 - 1))], owner="ann")
    first.close()
    second = JobStore(tmp_path / "jobs.sqlite", tmp_path)
    assert second.get(job.id) == job
    second.close()


@pytest.mark.parametrize(("content", "kept"), [(b"the file", True), (b"another file", False), (None, False)])
def test_a_claim_counts_only_with_its_file_and_hash(
    content: bytes | None, kept: bool, store: JobStore, tmp_path: Path
) -> None:
    job = store.add([Part(small())])
    store.claim_next()
    path = tmp_path / "00000-7.png"
    store.claim_picture(job.id, PICTURE, path, hashlib.sha256(b"the file").hexdigest())
    assert store.get(job.id).images == ()
    if content is not None:
        path.write_bytes(content)
    discarded: list[Path] = []
    assert [waiting.id for waiting in store.recover(discarded.append)] == [job.id]
    assert [image.path for image in store.get(job.id).images] == ([path] if kept else [])
    assert discarded == ([] if kept else [path])
    assert store.get(job.id).state is JobState.WAITING


def test_a_recovered_job_goes_before_those_that_waited(store: JobStore) -> None:
    interrupted, waiting = store.add([Part(small())]), store.add([Part(small())])
    store.claim_next()
    store.recover(lambda _: None)
    assert [job.id for job in store.waiting()] == [interrupted.id, waiting.id]


def test_every_job_is_claimed_once_by_many_threads(store: JobStore) -> None:
    jobs = [store.add([Part(small(seed=seed))]) for seed in range(30)]
    claimed: list[str] = []

    def claim() -> None:
        while (job := store.claim_next()) is not None:
            claimed.append(job.id)

    threads = [threading.Thread(target=claim) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == sorted(job.id for job in jobs)


def test_pictures_are_found_after_the_outputs_folder_was_moved(tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    before.mkdir()
    store = JobStore(before / "jobs.sqlite", before)
    job = store.add([Part(small())])
    store.claim_picture(job.id, PICTURE, before / "day" / "00000-7.png", "0" * 64)
    store.confirm_picture(job.id, 0)
    store.close()
    before.rename(after)
    moved = JobStore(after / "jobs.sqlite", after)
    assert moved.get(job.id).images[0].path == after / "day" / "00000-7.png"
    moved.close()


def test_the_pictures_that_jobs_name_are_known_in_all_their_parts(store: JobStore) -> None:
    first, second, third = (letter * 64 for letter in "abc")
    store.add([Part(small(init_image=first, mask_image=second, prompt="d" * 65))])
    store.add([Part(small(init_image=first)), Part(small(init_image=third))])
    assert store.digests() == {first, second, third}

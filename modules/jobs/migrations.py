"""The queue's tables, as numbered steps: a database of any earlier version is brought up to date when opened.

A step that has been released is never edited; a change is a new step. `PRAGMA user_version` counts those done.
"""

from __future__ import annotations

import sqlite3

from modules.core.errors import StorageFailed

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        # `position` orders the waiting jobs; `skipped` is a JSON list of indexes.
        """CREATE TABLE jobs (
            id TEXT PRIMARY KEY,
            state TEXT NOT NULL,
            position INTEGER NOT NULL,
            request TEXT NOT NULL,
            created REAL NOT NULL,
            started REAL,
            finished REAL,
            error TEXT,
            owner TEXT,
            skipped TEXT NOT NULL DEFAULT '[]'
        )""",
        "CREATE INDEX jobs_by_state ON jobs (state, position)",
        # `saved` is 0 between the claim of a file's name and the moment the file is in its place.
        # `path` is relative to the outputs folder, so that the folder can be moved; `seed` may exceed 64 bits.
        """CREATE TABLE images (
            job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
            number INTEGER NOT NULL,
            seed TEXT NOT NULL,
            path TEXT NOT NULL,
            sha256 TEXT NOT NULL,
            infotext TEXT NOT NULL,
            saved INTEGER NOT NULL DEFAULT 0,
            PRIMARY KEY (job, number)
        )""",
    ),
    ("ALTER TABLE jobs ADD COLUMN purpose TEXT NOT NULL DEFAULT 'keep'",),
    # A JSON list of the parts as `jobs/parts.py` writes it; empty for a job of `request` alone.
    ("ALTER TABLE jobs ADD COLUMN parts TEXT NOT NULL DEFAULT ''",),
    (
        # A JSON list of what plugins made the parts of, as `jobs/parts.py` writes it; empty where none did.
        "ALTER TABLE jobs ADD COLUMN origins TEXT NOT NULL DEFAULT ''",
        # `added`: a plugin added it after the last part; `kept` says of such a one whether its file stays.
        "ALTER TABLE images ADD COLUMN added INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE images ADD COLUMN kept INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE images ADD COLUMN shown INTEGER NOT NULL DEFAULT 1",
    ),
)


def migrate(connection: sqlite3.Connection, path: str) -> None:
    """Bring the database up to date; each step happens whole or not at all. Raises StorageFailed if it is newer."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > len(MIGRATIONS):
        raise StorageFailed(
            f"The queue {path} was written by a newer Easel (version {version} of its tables, {len(MIGRATIONS)} known"
            " here). Update Easel, or choose another folder with --data-dir."
        )
    for number, statements in enumerate(MIGRATIONS[version:], start=version + 1):
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            for statement in statements:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")

"""One file from the web to its place: resumed, counted, hashed, looked at, and renamed only when all is right.

What has come so far lies beside its place as NAME.part, with what is needed to go on in NAME.part.json: the server's
mark for this very content. A server that has other content by now, or knows no parts, begins again.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Protocol

from modules.core.errors import DownloadFailed, StorageFailed, TaskCancelled
from modules.library.downloads.meters import SpeedMeter, size_text
from modules.library.downloads.web_client import Answer, Asking, ConnectionBroken, WebClient
from modules.library.model_kinds import SAFE_ENDING, is_pickle
from modules.library.pickles import read_pickled
from modules.library.reading import UnreadableFile, read_header

PART_ENDING = ".part"
SPARE_BYTES = 64 * 1024 * 1024
"""So much must stay free on the disk."""
RETRY_SECONDS = (1.0, 3.0, 10.0, 30.0)
"""How long to wait before a broken connection is tried again; bytes that came in between begin the row anew."""
READ_BYTES = 1024 * 1024

Report = Callable[[float, str], None]


class Hash(Protocol):
    """A running SHA-256."""

    def update(self, data: bytes, /) -> None:
        """Take more bytes."""

    def hexdigest(self) -> str:
        """Return the hash of what was taken, in hex."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be fetched, and what is known of it; see `RemoteFile`.

    `model`: the file must be a model; False for the small files of a diffusers folder.
    """

    url: str = field(repr=False)
    target: Path
    size: int | None = None
    sha256: str | None = None
    allow_http: bool = False
    model: bool = True

    @property
    def part(self) -> Path:
        """Where the file grows."""
        return self.target.with_name(self.target.name + PART_ENDING)

    @property
    def marks(self) -> Path:
        """Where the server's mark is kept meanwhile."""
        return self.part.with_name(self.part.name + ".json")


@dataclass(frozen=True, slots=True)
class TransferRules:
    """What a transfer needs of the outside: free bytes of a folder, seconds to wait, and the time."""

    free_space: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free
    retry_seconds: tuple[float, ...] = RETRY_SECONDS
    clock: Callable[[], float] = time.monotonic


class Transfer:
    """Fetches one file. Used once, by one thread."""

    def __init__(
        self,
        order: Order,
        client: WebClient,
        report: Report,
        cancelled: Callable[[], bool],
        rules: TransferRules | None = None,
    ) -> None:
        self._order = order
        self._client = client
        self._report = report
        self._cancelled = cancelled
        self._rules = rules or TransferRules()
        self._meter = SpeedMeter(self._rules.clock)
        self._hash: Hash = hashlib.sha256()
        self._have = 0
        self._total = order.size

    def run(self) -> str:
        """Fetch the file and return its SHA-256. Raises DownloadFailed, StorageFailed, TaskCancelled.

        A file that is not what was announced is thrown away; after anything else the part stays, to be gone on with.
        """
        order = self._order
        with _writing_to(order.target):
            if order.target.exists():
                return self._finished_before()
            order.target.parent.mkdir(parents=True, exist_ok=True)
            self._take_up()
            self._fetch_all()
            digest = self._check()
            _put_in_place(order.part, order.target)
            order.marks.unlink(missing_ok=True)
        return digest

    def _finished_before(self) -> str:
        """Return the hash of the file that is there, if it is what a killed server could not finish telling of."""
        order = self._order
        same = order.part.exists() and order.part.samefile(order.target)
        if same or order.sha256 is not None or (order.marks.exists() and not order.part.exists()):
            with order.target.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            if order.sha256 in (None, digest):
                discard(order)
                return digest
        raise DownloadFailed(f"{order.target.name} is there already, and nothing is ever overwritten.")

    def _take_up(self) -> None:
        """Count and hash what an earlier run has left."""
        order = self._order
        if not order.part.is_file() or not (_validator(order) or order.sha256):
            return
        size = order.part.stat().st_size
        with order.part.open("rb") as file:
            while chunk := file.read(READ_BYTES):
                self._stop_if_cancelled()
                self._hash.update(chunk)
                self._have += len(chunk)
                self._report(0.0, f"looking at the {size_text(size)} that are here already")

    def _fetch_all(self) -> None:
        failures = 0
        while self._total is None or self._have < self._total or not self._order.part.exists():
            before = self._have
            try:
                if self._fetch_once():
                    return
            except ConnectionBroken as error:
                failures = 1 if self._have > before else failures + 1
                if failures > len(self._rules.retry_seconds):
                    raise
                self._pause(self._rules.retry_seconds[failures - 1], str(error))

    def _fetch_once(self) -> bool:
        """Ask for what is missing and write it; says whether the server has told that this is all."""
        order = self._order
        headers = {}
        if self._have:
            headers["Range"] = f"bytes={self._have}-"
            validator = _validator(order)
            if validator:
                headers["If-Range"] = validator
        with self._client.open(order.url, Asking(headers, order.allow_http, self._cancelled)) as answer:
            if self._have and (answer.status == 416 or (answer.status == 206 and _range_start(answer) != self._have)):
                self._begin_again()
                return False
            if answer.status not in (200, 206):
                raise self._unavailable(answer)
            if answer.status == 200:
                self._begin_again()
            self._note(answer)
            with order.part.open("ab") as file:
                self._write(answer, file)
        if self._total is not None and self._have < self._total:
            raise ConnectionBroken(f"{answer.host}: the connection broke.")
        return True

    def _unavailable(self, answer: Answer) -> DownloadFailed:
        refusal = answer.refusal(self._order.target.name)
        return ConnectionBroken(str(refusal)) if answer.status >= 500 else refusal

    def _note(self, answer: Answer) -> None:
        """Take down how large the file is and by what it can be gone on with; see whether there is room for it."""
        order = self._order
        length = answer.headers.get("content-length", "")
        total = self._have + int(length) if length.isdecimal() else None
        if total is not None and order.size is not None and total != order.size and order.sha256 is None:
            raise DownloadFailed(
                f"{answer.host} has {total:,} bytes where {order.size:,} were announced; it is another file."
            )
        self._total = total or self._total
        missing = (self._total or 0) - self._have
        free = self._rules.free_space(order.target.parent)
        if free < missing + SPARE_BYTES:
            raise StorageFailed(
                f"{order.target.name} needs {size_text(missing)} more, and {order.target.parent} has only"
                f" {size_text(free)} free. Free some space, then try again."
            )
        mark = answer.headers.get("etag", "")
        mark = answer.headers.get("last-modified", "") if not mark or mark.startswith("W/") else mark
        order.marks.write_text(json.dumps({"validator": mark}), encoding="utf-8")

    def _write(self, answer: Answer, file: BinaryIO) -> None:
        start = b"" if self._have == 0 and self._order.model else None
        for chunk in answer.chunks():
            self._stop_if_cancelled()
            if start is not None:
                start += chunk
                if len(start) < 16 and self._total is not None and len(start) < self._total:
                    continue
                check_start(start, self._order.target.name, answer.host)
                chunk, start = start, None
            file.write(chunk)
            self._hash.update(chunk)
            self._have += len(chunk)
            if self._total is not None and self._have > self._total:
                self._throw_away()
                raise DownloadFailed(f"{answer.host} sent more bytes than it had announced.")
            self._meter.add(len(chunk))
            self._report(*self._meter.progress(self._have, self._total))

    def _check(self) -> str:
        """Return the hash of the whole file once everything about it is right; else throw it away."""
        order, digest = self._order, self._hash.hexdigest()
        problem = ""
        if order.sha256 is not None and digest != order.sha256.lower():
            problem = f"its SHA-256 is {digest[:16]}… where {order.sha256[:16].lower()}… was expected"
        elif order.model:
            problem = _unreadable(order.part, order.target.name)
        if problem:
            self._throw_away()
            raise DownloadFailed(f"{order.target.name} was thrown away: {problem}.")
        return digest

    def _begin_again(self) -> None:
        self._hash = hashlib.sha256()
        self._have = 0
        self._order.part.write_bytes(b"")

    def _throw_away(self) -> None:
        discard(self._order)
        self._hash, self._have = hashlib.sha256(), 0

    def _pause(self, seconds: float, reason: str) -> None:
        fraction = self._have / self._total if self._total else 0.0
        self._report(fraction, f"{reason} Trying again …")
        until = self._rules.clock() + seconds
        while self._rules.clock() < until:
            self._stop_if_cancelled()
            time.sleep(min(0.1, seconds))

    def _stop_if_cancelled(self) -> None:
        if self._cancelled():
            raise TaskCancelled("The download was cancelled.")


def check_start(start: bytes, name: str, host: str) -> None:
    """Look at the first bytes of what should be a model. Raises DownloadFailed."""
    if start[:2] == b"PK" and is_pickle(name):
        return
    if name.lower().endswith(SAFE_ENDING) and len(start) > 8 and start[8:9] in b"{ \n\t" and not any(start[5:8]):
        return
    text = start[:512].lstrip().lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        raise DownloadFailed(
            f"{host} sent a web page instead of {name}; most likely it wants a sign-in. Set your token for that site,"
            " or accept the model's licence there first."
        )
    raise DownloadFailed(f"What {host} sent as {name} is no model file of that kind.")


def discard(order: Order) -> None:
    """Delete what an unfinished download has left."""
    for path in (order.part, order.marks):
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def _validator(order: Order) -> str:
    """Return the server's mark for the content of the part, "" when it gave none."""
    try:
        return str(json.loads(order.marks.read_text(encoding="utf-8"))["validator"])
    except (OSError, ValueError, LookupError, TypeError):
        return ""


def _range_start(answer: Answer) -> int:
    """Return at which byte a partial answer begins, -1 when it does not tell."""
    first = answer.headers.get("content-range", "").removeprefix("bytes ").partition("-")[0]
    return int(first) if first.isdecimal() else -1


def _unreadable(path: Path, name: str) -> str:
    """Return why the file cannot be a model, "" when it can."""
    try:
        if is_pickle(name):
            read_pickled(path)
        else:
            read_header(path)
    except UnreadableFile as error:
        return str(error)
    return ""


def _put_in_place(part: Path, target: Path) -> None:
    """Give the finished file its name, unless there is a file of that name by now."""
    with part.open("rb") as file:
        os.fsync(file.fileno())
    try:
        os.link(part, target)
    except FileExistsError as error:
        raise DownloadFailed(f"{target.name} is there already, and nothing is ever overwritten.") from error
    except OSError:
        # A file system without links.
        if target.exists():
            raise DownloadFailed(f"{target.name} is there already, and nothing is ever overwritten.") from None
        os.replace(part, target)
    else:
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def _writing_to(target: Path) -> Iterator[None]:
    """Say in plain words why a file cannot be written."""
    try:
        yield
    except OSError as error:
        full = "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else error.strerror or str(error)
        raise StorageFailed(f"{target.name} cannot be written to {target.parent}: {full}.") from error

"""Jobs for a caller who waits: an API client or a verification. Nothing here blocks the event loop."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from fastapi import HTTPException, Request
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from modules.core.errors import EaselError, JobNotFound
from modules.jobs.model import ENDED_STATES
from modules.jobs.queue import JobQueue

LOOK_AGAIN_SECONDS = 5.0
"""How often a job is looked up although nothing was heard of it, should a message have got lost."""

logger = logging.getLogger(__name__)


async def until_ended(jobs: JobQueue, job_id: str) -> None:
    """Return once the job needs no more work, or is gone."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()

    def note(message: dict[str, Any]) -> None:
        if _tells_of_end(message, job_id):
            loop.call_soon_threadsafe(ended.set)

    unsubscribe = jobs.subscribe(note, watches=False)
    try:
        while not await run_in_threadpool(_has_ended, jobs, job_id):
            try:
                await asyncio.wait_for(ended.wait(), LOOK_AGAIN_SECONDS)
            except TimeoutError:
                continue
    finally:
        unsubscribe()


async def ended_before_gone(jobs: JobQueue, job_id: str, request: Request) -> bool:
    """Return True once the job has ended, False when whoever waits for it has left before."""
    waiting = asyncio.create_task(until_ended(jobs, job_id))
    leaving = asyncio.create_task(_until_gone(request))
    try:
        await asyncio.wait({waiting, leaving}, return_when=asyncio.FIRST_COMPLETED)
        return waiting.done()
    finally:
        for task in (waiting, leaving):
            task.cancel()
        await asyncio.gather(waiting, leaving, return_exceptions=True)


async def discard(jobs: JobQueue, job_id: str) -> None:
    """Stop the job if it still works, and remove it with its pictures; one that is gone already is fine."""
    if await run_in_threadpool(_stop_waiting, jobs, job_id):
        await until_ended(jobs, job_id)
        await run_in_threadpool(_remove, jobs, job_id)


async def read_body(request: Request) -> bytes:
    """Return a request's body. Raises HTTPException when the caller leaves in the middle of it."""
    try:
        return await request.body()
    except ClientDisconnect as error:
        raise HTTPException(400, "The request was cut off.") from error


def _tells_of_end(message: dict[str, Any], job_id: str) -> bool:
    if message["type"] == "removed":
        return bool(message["id"] == job_id)
    return message["type"] == "job" and message["job"]["id"] == job_id and message["job"]["state"] in ENDED_STATES


def _has_ended(jobs: JobQueue, job_id: str) -> bool:
    try:
        return jobs.get(job_id).state in ENDED_STATES
    except JobNotFound:
        return True


async def _until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        continue


def _stop_waiting(jobs: JobQueue, job_id: str) -> bool:
    """Remove a job that does not run; return True for one that runs, which was told to stop."""
    _remove(jobs, job_id)
    return jobs.interrupt(job_id)


def _remove(jobs: JobQueue, job_id: str) -> None:
    """Remove a job; one that cannot be removed now goes at the next start at the latest."""
    try:
        jobs.remove(job_id)
    except EaselError as error:
        logger.debug("Job %s was not removed: %s", job_id, error)

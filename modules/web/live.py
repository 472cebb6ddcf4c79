"""The WebSocket that tells every open page of jobs, previews and results.

A page that connects, whether it is new, reloaded, in a second browser or back after a cut network, first gets a
snapshot of everything, then each change. Nothing is ever asked over this socket.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from fastapi import APIRouter
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from modules.jobs.queue import JobQueue
from modules.jobs.tasks import TaskBoard

BEAT_SECONDS = 5.0
"""After so long a silence the page is told that the connection still stands."""
MOST_WAITING_MESSAGES = 1000
"""A page that is so far behind is cut off; it comes back and gets a snapshot."""
TRY_AGAIN_LATER = 1013


class Mailbox:
    """The messages that one page has yet to be sent. `put` may be called from any thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._messages: deque[dict[str, Any]] = deque()
        self._arrived = asyncio.Event()

    def put(self, message: dict[str, Any]) -> None:
        """Add a message; the loop may be gone when the server shuts down, and then nobody waits for it."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._append, message)

    async def take(self) -> dict[str, Any]:
        """Return the next message, or a beat when none comes for a while."""
        if not self._messages:
            self._arrived.clear()
            try:
                await asyncio.wait_for(self._arrived.wait(), BEAT_SECONDS)
            except TimeoutError:
                return {"type": "beat"}
        return self._messages.popleft()

    def overflowing(self) -> bool:
        """Say whether the page is too slow to keep up."""
        return len(self._messages) > MOST_WAITING_MESSAGES

    def _append(self, message: dict[str, Any]) -> None:
        # Only the newest progress counts, so a slow page is not sent all that it missed.
        newest_only = message["type"] in ("progress", "tasks")
        if newest_only and self._messages and self._messages[-1]["type"] == message["type"]:
            self._messages.pop()
        self._messages.append(message)
        self._arrived.set()


def make_live_router(jobs: JobQueue, tasks: TaskBoard) -> APIRouter:
    """Return the route of the socket."""
    router = APIRouter()

    @router.websocket("/easel/live")
    async def live(socket: WebSocket) -> None:
        """Serve one page until it goes."""
        await socket.accept()
        mailbox = Mailbox(asyncio.get_running_loop())
        leave = (jobs.subscribe(mailbox.put), tasks.subscribe(mailbox.put))

        def snapshot() -> Mapping[str, Any]:
            return {**jobs.snapshot(), "tasks": tasks.message()["tasks"]}

        watcher = asyncio.create_task(_wait_until_gone(socket))
        sender = asyncio.create_task(_send_all(socket, snapshot, mailbox))
        try:
            await asyncio.wait({watcher, sender}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for unsubscribe in leave:
                unsubscribe()
            for task in (watcher, sender):
                task.cancel()
            await asyncio.gather(watcher, sender, return_exceptions=True)

    return router


def for_browser(value: Any) -> Any:
    """Return a message with every seed as text, since JavaScript's numbers are exact only up to 2**53."""
    if isinstance(value, Mapping):
        return {
            key: str(item) if key in ("seed", "subseed") and isinstance(item, int) else for_browser(item)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [for_browser(item) for item in value]
    return value


async def _send_all(socket: WebSocket, snapshot: Callable[[], Mapping[str, Any]], mailbox: Mailbox) -> None:
    """Send the snapshot, then every message as it comes."""
    with contextlib.suppress(WebSocketDisconnect):
        await socket.send_json(for_browser(await asyncio.to_thread(snapshot)))
        while not mailbox.overflowing():
            await socket.send_json(for_browser(await mailbox.take()))
        await socket.close(TRY_AGAIN_LATER)


async def _wait_until_gone(socket: WebSocket) -> None:
    """Return when the page has left."""
    with contextlib.suppress(WebSocketDisconnect):
        while socket.client_state is WebSocketState.CONNECTED:
            await socket.receive()

"""Tells each open tab that something changed, by one WebSocket per tab; the tab then fetches what it shows."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from andon.access.roles import Right
from andon.access.speaking import Speaker
from andon.database import reading
from api.auth import speaker_of
from api.context import Context
from api.rights import needs
from ticketing import store

log = logging.getLogger(__name__)
router = APIRouter()


EVERY_S = 0.5
"""How often the change number is looked at while a tab is open."""
SESSION_EVERY_S = 1.0
"""How often it is looked whether the session of a tab, or the key of a program, still stands."""

SESSION_OVER = 1008
"""The code that such a socket is closed with (RFC 6455, 7.4.1: policy violation)."""


class Watch:
    """Looks at the change number once for the whole process, however many tabs wait, and not at all if none does."""

    def __init__(self, database: Engine, every_s: float = EVERY_S) -> None:
        self._database = database
        self._every_s = every_s
        self.number = -1
        self._moved = asyncio.Condition()
        self.tabs = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Look from here to the end of the block."""
        task = asyncio.create_task(self._look(), name="live-watch")
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def after(self, seen: int) -> int:
        """Wait until the number is another than `seen` and give it."""
        async with self._moved:
            await self._moved.wait_for(lambda: self.number not in {seen, -1})
            return self.number

    def _read(self) -> int:
        with reading(self._database) as conn:
            return store.change_number(conn)

    async def _look(self) -> None:
        while True:
            if self.tabs:
                try:
                    number = await asyncio.to_thread(self._read)
                except SQLAlchemyError:
                    log.exception("the change number could not be read: open pages go stale until it can")
                    number = self.number
                if number != self.number:
                    async with self._moved:
                        self.number = number
                        self._moved.notify_all()
            await asyncio.sleep(self._every_s)


@router.websocket("/live", dependencies=[needs(Right.READ)])
async def live(socket: WebSocket) -> None:
    """One tab: `{"changed": n}` at once and whenever the number moves, nothing else. What the tab sends is ignored."""
    watch: Watch = socket.app.state.watch
    await socket.accept()
    watch.tabs += 1
    tasks = [asyncio.create_task(_hint(socket, watch), name="live-hints")]
    speaker = speaker_of(socket)
    if speaker.account:
        tasks.append(asyncio.create_task(_end_with(speaker, socket), name="live-session"))
    try:
        while (await socket.receive())["type"] != "websocket.disconnect":
            pass
    finally:
        watch.tabs -= 1
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError, WebSocketDisconnect, RuntimeError):
                await task


async def _hint(socket: WebSocket, watch: Watch) -> None:
    seen = -1
    while True:
        seen = await watch.after(seen)
        await socket.send_json({"changed": seen})


async def _end_with(speaker: Speaker, socket: WebSocket) -> None:
    """Close the socket when its session or key has ended; a tab then asks to sign in."""
    context: Context = socket.app.state.context
    assert context.desk is not None  # noqa: S101 - who has an account got in there
    stands = True
    while stands:
        await asyncio.sleep(SESSION_EVERY_S)
        stands = await asyncio.to_thread(context.desk.stands, speaker, context.now())
    await socket.close(SESSION_OVER)

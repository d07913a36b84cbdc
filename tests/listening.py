"""A listener around a journal, as one `async with`, and journals that hold back or fail on demand."""

import asyncio
import contextlib
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from andon.clock import wall
from andon.events import Json
from andon.ports import Journal, Record, SourceContext
from ingest.credentials import hash_password
from ingest.journal import SqliteJournal
from ingest.listener import Parameters, run

WAIT_S = 10.0
CHEAP_HASH = hash_password("secret", log_cost=4)
"""Of the password `secret`; a real one costs 50 ms."""


@dataclass
class Listening:
    """A running listener and what it has said."""

    port: int
    task: "asyncio.Task[None]"
    stopping: asyncio.Event
    at: SourceContext
    status: list[Mapping[str, Json]] = field(default_factory=list)

    async def stop(self) -> float:
        """Stop it cleanly; gives how many seconds that took."""
        began = time.monotonic()
        self.stopping.set()
        await asyncio.wait_for(self.task, WAIT_S)
        return time.monotonic() - began


@contextlib.asynccontextmanager
async def listening(
    journal: Journal, *, devices: Path | None = None, **settings: object
) -> AsyncIterator[Listening]:
    """A listener on a free port for the user `press` with the password `secret`, and for the devices of a file."""
    settings = {"port": 0, "users": {"press": {"password": CHEAP_HASH}}, **settings}
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    stopping, status = asyncio.Event(), list[Mapping[str, Json]]()
    parameters = Parameters.model_validate(settings)
    with tempfile.TemporaryDirectory() as folder:
        at = SourceContext(
            journal,
            wall,
            stopping,
            lambda where: address.done() or address.set_result(where),
            status.append,
            Path(folder),
            devices=devices,
        )
        task = asyncio.create_task(run(parameters, at), name="listener")
        await asyncio.wait({task, address}, return_when=asyncio.FIRST_COMPLETED, timeout=WAIT_S)
        if not address.done():
            await task
        listener = Listening(int(address.result().rpartition(":")[2]), task, stopping, at, status)
        try:
            yield listener
        finally:
            if not task.done():
                await listener.stop()


class GatedJournal(SqliteJournal):
    """A journal that commits only while its gate is open."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.gate = threading.Event()
        self.gate.set()
        self.asked = threading.Event()

    def append(self, records: Sequence[Record]) -> int:
        """Wait for the gate, then append."""
        self.asked.set()
        if not self.gate.wait(WAIT_S):
            raise TimeoutError("nobody opened the gate")
        return super().append(records)


async def until(true: Callable[[], bool], what: str = "") -> None:
    """Wait until it is true, at most 10 s."""
    give_up_s = time.monotonic() + WAIT_S
    while not true():
        if time.monotonic() > give_up_s:
            raise AssertionError(f"not within {WAIT_S:.0f} s: {what or true}")
        await asyncio.sleep(0.005)

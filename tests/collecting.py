"""A collector around a journal, as one `async with`."""

import asyncio
import contextlib
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from andon.clock import wall
from andon.events import Json
from andon.ports import Journal, Record, RecordKind, SourceContext
from ingest.journal import SqliteJournal
from ingest.mqtt import Parameters, run

WAIT_S = 10.0


@dataclass
class Collecting:
    """A running collector and what it has said."""

    task: "asyncio.Task[None]"
    stopping: asyncio.Event
    ready: "asyncio.Future[str]"
    status: list[Mapping[str, Json]]
    at: SourceContext

    async def stop(self) -> float:
        """Stop it cleanly; gives how many seconds that took."""
        began = time.monotonic()
        self.stopping.set()
        await asyncio.wait_for(self.task, WAIT_S)
        return time.monotonic() - began


@contextlib.asynccontextmanager
async def collecting(
    journal: Journal, port: int, *, folder: Path | None = None, **settings: object
) -> AsyncIterator[Collecting]:
    """A collector of the broker on this port, which tries again soon."""
    settings = {
        "host": "127.0.0.1",
        "client_id": "andon-test",
        "retry_min_s": 0.02,
        "retry_max_s": 0.05,
        "drop_counters": [],  # a scripted broker would have to answer
        **settings,
    }
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    stopping, status = asyncio.Event(), list[Mapping[str, Json]]()
    parameters = Parameters.model_validate({"port": port, **settings})
    keeping = contextlib.nullcontext(folder) if folder else tempfile.TemporaryDirectory()
    with keeping as kept:
        at = SourceContext(journal, wall, stopping, ready.set_result, status.append, Path(kept))
        task = asyncio.create_task(run(parameters, at), name="collector")
        collector = Collecting(task, stopping, ready, status, at)
        try:
            yield collector
        finally:
            task.cancel()  # as if killed; `stop` is for tests that mean it
            await asyncio.wait({task})
            ready.cancel()


async def ready(collector: Collecting) -> None:
    """Wait until it is subscribed."""
    await asyncio.wait_for(asyncio.shield(collector.ready), WAIT_S)


def messages(journal: SqliteJournal) -> list[bytes]:
    """The bodies of the messages in the journal."""
    return [record.body for record in journal.read(0, 100_000) if record.kind == RecordKind.MESSAGE]


class SteppedJournal(SqliteJournal):
    """A journal that commits as often as it was allowed to."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._allowed = threading.Semaphore(0)
        self.free = False
        self.waiting = threading.Event()

    def allow(self) -> None:
        """Let one commit pass."""
        self._allowed.release()

    def let_go(self) -> None:
        """Let all commits pass from now on."""
        self.free = True
        self._allowed.release()

    def append(self, records: Sequence[Record]) -> int:
        """Wait until it is allowed, then append."""
        if not self.free:
            self.waiting.set()
            if not self._allowed.acquire(timeout=WAIT_S):
                raise TimeoutError("nobody allowed the commit")
            self.waiting.clear()
        return super().append(records)

"""Many messages, one fsync: collects what connections bring and makes it durable together, in order.

A commit begins as soon as the one before has ended, but not within 2 ms of that one's beginning: at 5,000 messages/s
a fast disk was synced 1,450 times a second otherwise, and a message cost 87 to 102 µs of CPU instead of 50
(measured); flash wears out by it too. An alarm does not wait. The event loop never waits for the disk: appending
happens on one thread of its own, and what became durable is told back on the loop, in the order it was added.
"""

import asyncio
import logging
import math
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from andon.clock import Now
from andon.ports import Journal, Record
from ingest.errors import JournalFull
from ingest.own_records import missing

PACE_S = 0.002
"""The least time between the beginnings of two commits without an alarm."""
_ALARM = b"/_event/"
_log = logging.getLogger(__name__)


class GroupCommit:
    """The queue before one journal. An `async with`; leaving it ends the thread, after `drain` if all shall be kept.

    `bound_records` and `bound_bytes` (payload bytes) say when it is `full`: then whoever reads a socket stops
    reading it, and `on_change(full)` tells when that begins and ends. Only what is added although it is full
    goes beyond, so that nothing read needs to be thrown away. What may be lost (QoS 0) is not added when
    `may_lose` is true, but counted with `lose`, and stands in the journal as one GAP record per commit.

    When the disk is full the queue is full too (`stalled` says why) and the same commit is tried again each
    `retry_s` seconds. Any other failure of the journal is set on `failure`; nothing is acknowledged after it.
    """

    def __init__(
        self,
        journal: Journal,
        now: Now,
        *,
        on_change: Callable[[bool], None],
        bound_records: int = 20_000,
        bound_bytes: int = 32 * 1024 * 1024,
        pace_s: float = PACE_S,
        retry_s: float = 1.0,
    ) -> None:
        self._journal = journal
        self._now = now
        self._on_change = on_change
        self._bound_records, self._bound_bytes = bound_records, bound_bytes
        self._pace_s, self._retry_s = pace_s, retry_s
        self._pending: list[Record] = []
        self._waiting: list[Callable[[], None]] = []
        self._committing: list[Record] = []
        self._told: list[Callable[[], None]] = []
        self._bytes = 0
        self._committing_bytes = 0
        self._start_at: asyncio.Handle | None = None
        self._began_s = -math.inf
        self._urgent = False
        self._lost = 0
        self._lost_from_ns = 0
        self._retry: asyncio.TimerHandle | None = None
        self.full = False
        self.stalled: str | None = None
        self.overflow = 0

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._idle = asyncio.Event()
        self._idle.set()
        self.failure: asyncio.Future[bool] = self._loop.create_future()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for timer in (self._retry, self._start_at):
            if timer is not None:
                timer.cancel()
        # A commit on its way is waited for: its records are unacknowledged, not lost.
        await self._loop.run_in_executor(None, self._thread.shutdown)
        self.failure.cancel()

    @property
    def may_lose(self) -> bool:
        """Whether what comes without a promise has to be left out now: half of the bound is for what has one."""
        return (
            len(self._pending) + len(self._committing) >= self._bound_records // 2
            or self._bytes >= self._bound_bytes // 2
        )

    def lose(self, count: int = 1) -> None:
        """Count messages that were left out; the next commit says so in a GAP record."""
        if not self._lost:
            self._lost_from_ns = self._now()
        self._lost += count
        self.overflow += count

    def add(
        self, records: Sequence[Record], durable: Callable[[], None] | None = None, *, urgent: bool = False
    ) -> None:
        """Commit these records with what else is waiting; `durable` is called on the loop once they are on disk.

        An alarm (an `_event` topic), or what is `urgent` for another reason, is committed without a wait.
        """
        self._pending += records
        self._bytes += sum(len(record.body) for record in records)
        self._urgent = self._urgent or urgent or any(_ALARM in record.topic for record in records)
        if durable is not None:
            self._waiting.append(durable)
        self._idle.clear()
        self._plan()
        self._judge()

    async def drain(self) -> None:
        """Wait until all that was added is durable and told; for ever while the disk is full."""
        await self._idle.wait()

    def _plan(self) -> None:
        """Begin the next commit when it is time; those who were read in this turn of the loop are all in it."""
        if self._committing:
            return
        wait_s = 0.0 if self._urgent else self._began_s + self._pace_s - self._loop.time()
        if self._start_at is not None:
            if not self._urgent or not isinstance(self._start_at, asyncio.TimerHandle):
                return
            self._start_at.cancel()
        later = self._loop.call_later
        self._start_at = later(wait_s, self._start) if wait_s > 0 else self._loop.call_soon(self._start)

    def _start(self) -> None:
        self._start_at, self._urgent = None, False
        self._began_s = self._loop.time()
        if self._lost:
            self._pending.append(missing(self._lost_from_ns, self._now(), "qos0_overflow", self._lost))
            self._lost = 0
        self._committing, self._pending = self._pending, []
        self._told, self._waiting = self._waiting, []
        self._committing_bytes = self._bytes
        self._append()

    def _append(self) -> None:
        self._thread.submit(self._journal.append, self._committing).add_done_callback(self._tell)

    def _tell(self, appended: Future[int]) -> None:
        self._loop.call_soon_threadsafe(self._ended, appended)

    def _ended(self, appended: Future[int]) -> None:
        error = appended.exception()
        if isinstance(error, JournalFull):
            self._stall(error)
            return
        if error is not None:
            if not self.failure.done():
                self.failure.set_exception(error)
            return
        self._recover()
        told, self._told, self._committing = self._told, [], []
        self._bytes -= self._committing_bytes
        for durable in told:
            durable()
        if self._pending:
            self._plan()
        else:
            self._idle.set()
        self._judge()

    def _stall(self, error: JournalFull) -> None:
        if self.stalled is None:
            _log.error("the disk is full: reading stops until there is space", extra={"error": str(error)})
        self.stalled = str(error)
        self._judge()
        self._retry = self._loop.call_later(self._retry_s, self._append)

    def _recover(self) -> None:
        if self.stalled is not None:
            _log.warning("there is space again: reading goes on")
            self.stalled = None

    def _judge(self) -> None:
        """Say so when the queue has become full, and when half of it is free again."""
        records = len(self._pending) + len(self._committing)
        share = 0.5 if self.full else 1.0
        full = (
            self.stalled is not None
            or records >= self._bound_records * share
            or self._bytes >= self._bound_bytes * share
        )
        if full != self.full:
            self.full = full
            self._on_change(full)

"""Many messages, one fsync: collects what connections bring and makes it durable together, in order.

What costs is not the message but the wake-up: at 5,000 messages/s each woke the loop by itself, was read by itself
and synced with two others (75 us of CPU a message, measured). So a commit waits until as many messages are there as
came together last time, for at most 10 ms since the one before began, and meanwhile the loop naps for some milliseconds
at a time: the sockets gather. A client that sends one message and waits for its answer is not slowed, as more is
not expected of it; an alarm does not wait. Appending happens on one thread of its own, and what became durable is
told back on the loop, in the order it was added.
"""

import asyncio
import logging
import math
import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from types import TracebackType
from typing import Self

from andon.clock import Now
from andon.events import GapCause
from andon.ports import Journal, Record
from ingest.errors import JournalFull
from ingest.own_records import missing

PACE_S = 0.010
"""How long after the beginning of the last commit more messages are waited for."""
_NAP_MIN_S, _NAP_MAX_S = 0.000_25, 0.010
_FEW = 32
"""Who brings more than this in one turn of the loop needs no nap."""
_PUT_OFF_MAX = 64
ALARM = b"/_event"
"""What the topic of an alarm holds: nothing is waited for once it is there."""
_log = logging.getLogger(__name__)


class Expectation:
    """How many messages a commit is worth waiting for, and how long a nap: as came together last time.

    Now and then a quarter more is tried for: where messages flow by themselves more will come, and that is kept up;
    where clients wait for their answers nothing more comes, and the next try is put off twice as long.
    """

    __slots__ = ("_left", "_napped_s", "_naps", "_put_off", "_trying", "count", "nap_s")

    def __init__(self) -> None:
        self.count = 1
        self.nap_s = _NAP_MIN_S
        self._trying = False
        self._left = self._put_off = 1
        self._naps, self._napped_s = 0, 0.0

    def nap(self) -> float:
        """How long the next nap is."""
        self._naps += 1
        self._napped_s += self.nap_s
        return self.nap_s

    def judge(self, came: int, *, late: bool) -> None:
        """Learn from a commit of `came` messages; `late` if it was waited for in vain."""
        if self._naps:  # one nap should do, and be no longer than it has to be
            self.nap_s = self._napped_s if self._naps > 1 else max(_NAP_MIN_S, self.nap_s * 0.9)
            self.nap_s = min(self.nap_s, _NAP_MAX_S)
            self._naps, self._napped_s = 0, 0.0
        if late and came < self.count:
            self.count = max(1, came)
            if self._trying:
                self._put_off = min(_PUT_OFF_MAX, 2 * self._put_off)
            self._trying, self._left = False, self._put_off
            return
        if self._trying:
            self._put_off = 1
        self._left -= 1
        self._trying = self._trying or self._left <= 0
        if self._trying:
            self.count = came + came // 4 + 1


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
        self._expects = Expectation()
        self._gathering: asyncio.Handle | None = None
        self._fresh = 0
        self._napping = False
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
        self._orders: SimpleQueue[list[Record] | None] = SimpleQueue()
        self._error: Exception | None = None
        self._written = threading.Lock()  # free from the end of a commit until the loop has taken note of it
        self._written.acquire()
        self._thread = threading.Thread(target=self._write, name="journal")
        self._thread.start()
        self._idle = asyncio.Event()
        self._idle.set()
        self.failure: asyncio.Future[bool] = self._loop.create_future()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for timer in (self._retry, self._gathering):
            if timer is not None:
                timer.cancel()
        # A commit on its way is waited for: its records are unacknowledged, not lost.
        self._orders.put(None)
        await self._loop.run_in_executor(None, self._thread.join)
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
        self._urgent = self._urgent or urgent or any(ALARM in record.topic for record in records)
        if durable is not None:
            self._waiting.append(durable)
        self._fresh += len(records)
        self._idle.clear()
        self._plan()
        self._judge()

    async def drain(self) -> None:
        """Wait until all that was added is durable and told; for ever while the disk is full."""
        await self._idle.wait()

    def _plan(self) -> None:
        """Look at it after all that is being read in this turn of the loop has been added."""
        if self._gathering is None:
            self._gathering = self._loop.call_later(0, self._gather)

    def _gather(self) -> None:
        """Begin the next commit if it is time, or nap where each message would wake us by itself."""
        self._gathering = None
        few, self._fresh = self._fresh < _FEW, 0
        if not self._committing:
            left_s = self._began_s + self._pace_s - self._loop.time()
            if self._urgent or left_s <= 0 or len(self._pending) >= self._expects.count:
                self._start(late=left_s <= 0)
            else:
                self._plan()
        if few:
            self._nap(self._expects.nap_s if self._committing else min(left_s, self._expects.nap()))

    def _nap(self, wait_s: float) -> None:
        """Let the sockets gather for so long, or until the commit on its way has ended."""
        self._napping = True
        ended = self._written.acquire(timeout=wait_s)
        self._napping = False
        if ended or self._written.acquire(blocking=False):  # it may have ended while we woke
            self._ended()

    def _start(self, *, late: bool) -> None:
        if not self._urgent:
            self._expects.judge(len(self._pending), late=late)
        self._urgent = False
        self._began_s = self._loop.time()
        if self._lost:
            self._pending.append(missing(self._lost_from_ns, self._now(), GapCause.QOS0_OVERFLOW, self._lost))
            self._lost = 0
        self._committing, self._pending = self._pending, []
        self._told, self._waiting = self._waiting, []
        self._committing_bytes = self._bytes
        self._append()

    def _append(self) -> None:
        self._orders.put(self._committing)

    def _write(self) -> None:
        """What the thread does: append what is ordered, and say so."""
        while (records := self._orders.get()) is not None:
            try:
                self._journal.append(records)
                self._error = None
            except Exception as error:  # noqa: BLE001 -- it is judged on the loop
                self._error = error
            self._written.release()
            if not self._napping:
                self._loop.call_soon_threadsafe(self._hear)

    def _hear(self) -> None:
        """Take note of a commit that has ended, unless the loop heard of it in its nap."""
        if self._written.acquire(blocking=False):
            self._ended()

    def _ended(self) -> None:
        error = self._error
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

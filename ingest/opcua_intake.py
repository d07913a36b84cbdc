"""Between the network and the journal: a bounded queue whose overflow is counted and becomes a gap."""

import asyncio
import errno
import logging
from collections import deque
from collections.abc import Callable
from itertools import islice

from andon.clock import Now
from andon.events import GapCause, Json
from andon.ports import Journal, Record
from ingest.opcua_conditions import Memory
from ingest.opcua_words import gap_record

TAKE_AT_MOST = 500
RETRY_S = 1.0
log = logging.getLogger(__name__)


class Intake:
    """Takes records from the network loop at once, and appends them to the journal on a thread, in order.

    `memory` is told of records before and after the journal has them; `lost` of what found no room, from when
    to when.
    """

    def __init__(
        self,
        journal: Journal,
        now: Now,
        limit: int,
        *,
        memory: Memory | None = None,
        lost: Callable[[int, int], None] = lambda _from_ns, _to_ns: None,
    ) -> None:
        self._journal = journal
        self._now = now
        self._memory = memory
        self.limit = limit
        self.lost = lost
        self._waiting: deque[Record] = deque()
        self._filled = asyncio.Event()
        self._closing = False
        self._lost = 0
        self._lost_from_ns: int | None = None
        self._room = asyncio.Event()
        self.received = 0
        self.last_received_ns: int | None = None
        self.overflow = 0
        self.gaps = 0

    def message(self, record: Record) -> None:
        """Take a message; with no room it is counted, and said once there is room again."""
        self.received += 1
        self.last_received_ns = record.received_ns
        if self._is_full(record.received_ns):
            self._lost += 1
            self.overflow += 1
        else:
            self._put(record)

    async def behind(self, record: Record) -> None:
        """Take a message of the past: it waits until the present has half of the room to itself."""
        while len(self._waiting) > self.limit // 2:
            self._room.clear()
            await self._room.wait()
        self.received += 1
        self._put(record)

    def gap(
        self,
        from_ns: int,
        to_ns: int | None,
        cause: str,
        *,
        asset: str | None = None,
        point: str | None = None,
        backfilled: bool = False,
    ) -> None:
        """Take note of missing data; with no room it is part of the gap that the lack of room makes."""
        if not self._is_full(from_ns):
            self.gaps += not backfilled
            self._put(
                gap_record(
                    from_ns, to_ns, cause, self._now(), asset=asset, point=point, backfilled=backfilled
                )
            )

    def note(self, record: Record) -> None:
        """Take a notice; they are few, and there is always room."""
        self._put(record)

    def facts(self) -> dict[str, Json]:
        """The counts, for people."""
        return {
            "received": self.received,
            "last_received_ns": self.last_received_ns,
            "overflow": self.overflow,
            "gaps": self.gaps,
            "waiting": len(self._waiting),
        }

    def close(self) -> None:
        """Nothing comes any more: let `write` end when all is written."""
        self._closing = True
        self._filled.set()

    async def write(self) -> None:
        """Append until closed and empty. OSError if the journal fails; a full disk is waited for."""
        while True:
            await self._filled.wait()
            self._filled.clear()
            while self._waiting:
                batch = list(islice(self._waiting, TAKE_AT_MOST))
                if not await self._append(batch):
                    if self._closing:
                        log.error("stopped with no space for the journal", extra={"lost": len(self._waiting)})
                        return
                    await asyncio.sleep(RETRY_S)
                    continue
                for _ in batch:
                    self._waiting.popleft()
                self._room.set()
            self._tell_loss()
            if self._closing and not self._waiting:
                return

    async def _append(self, batch: list[Record]) -> bool:
        try:
            await asyncio.to_thread(self._keep, batch)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            log.warning(
                "no space for the journal; OPC UA data waits in memory", extra={"waiting": len(self._waiting)}
            )
            return False
        return True

    def _keep(self, batch: list[Record]) -> None:
        if self._memory is not None:
            self._memory.before(batch)
        self._journal.append(batch)
        if self._memory is not None:
            self._memory.after(batch)

    def _is_full(self, from_ns: int) -> bool:
        """Whether there is no room; if so, data from `from_ns` on is missing. If not, what was lost has been said."""
        if len(self._waiting) >= self.limit:
            self._lost_from_ns = from_ns if self._lost_from_ns is None else min(from_ns, self._lost_from_ns)
            return True
        self._tell_loss()
        return False

    def _tell_loss(self) -> None:
        if self._lost_from_ns is not None:
            now_ns = self._now()
            self._put(gap_record(self._lost_from_ns, now_ns, GapCause.OVERFLOW, now_ns, count=self._lost))
            self.gaps += 1
            self.lost(self._lost_from_ns, now_ns)
            self._lost, self._lost_from_ns = 0, None

    def _put(self, record: Record) -> None:
        self._waiting.append(record)
        self._filled.set()

"""What was missed is read from the server's history, where it keeps one, behind the live data and at a bounded rate.

Values that had come all the same are duplicates by their node, time and value; the others are older than what is
known already, so they are stored and not judged. A gap is filled when every item of it could be read to its end, and
from a value that was known before: a server that lost its memory in a restart has no history to show, and says Good.
"""

import asyncio
import contextlib
import math
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.uaerrors import UaError

from andon.clock import Now
from andon.events import SECOND_NS, Json, nanoseconds
from ingest.opcua_calls import Calls
from ingest.opcua_intake import Intake
from ingest.opcua_items import Watched
from ingest.opcua_words import node_id, status_name, value_of, value_record

MOST_HOLES = 500
AFTER_S = 1.0
"""A historian writes a little later than it is told."""
MARGIN_NS = 10 * SECOND_NS
"""Read more than the gap, because the server's clock is not ours: too much is a duplicate, too little is lost."""
PAGE = 1000
MOST_BACK_NS = 24 * 3600 * SECOND_NS
"""Before the gap: an item that changes seldom had its last value long ago."""
RELEASE_S = 1.0
TRIES = 3
_HISTORY_READ = int(ua.AccessLevelType.HistoryRead)
_GOOD = {StatusCodes.Good, StatusCodes.GoodNoData, StatusCodes.GoodMoreData}
_NO_VALUE = {StatusCodes.BadBoundNotFound, StatusCodes.BadBoundNotSupported}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Hole:
    """A gap that may be filled: its items and from when on each is missing, in the time of the values' source."""

    from_ns: int
    to_ns: int
    cause: str
    since_ns: dict[Watched, int]
    asset: str | None = None
    point: str | None = None
    complete: bool = True
    tries: int = 0
    noticed_s: float = field(default_factory=time.monotonic)


class Named(Protocol):
    """Knows the server's namespaces as they were read last."""

    @property
    def namespaces(self) -> Sequence[str]:
        """Their URIs by index."""


class Backfill:
    """The holes that wait to be filled, over all connections of one run."""

    def __init__(self, intake: Intake, now: Now, values_per_s: float) -> None:
        self._intake = intake
        self._now = now
        self.values_per_s = values_per_s
        self._holes: deque[Hole] = deque()
        self._more = asyncio.Event()
        self.filled = self.left = self.values = 0
        self.refused = ""

    def note(self, hole: Hole) -> None:
        """Fill this when there is time; with too many waiting it is left as it is."""
        if not self.values_per_s:
            return
        if len(self._holes) >= MOST_HOLES or not hole.since_ns:
            self.left += 1
            return
        self._holes.append(hole)
        self._more.set()

    def facts(self) -> dict[str, Json]:
        """For people: gaps filled, left open and still waiting, values read, and why the last was left."""
        return {
            "filled": self.filled,
            "left": self.left,
            "waiting": len(self._holes),
            "values": self.values,
            "refused": self.refused,
        }

    async def work(self, calls: Calls, server: Named) -> None:
        """Fill what waits, one after the other, as long as the connection lasts; what it cuts short waits for the next."""
        while True:
            self._more.clear()
            while self._holes:
                hole = self._holes[0]
                await asyncio.sleep(hole.noticed_s + AFTER_S - time.monotonic())
                await self._try(hole, calls, server.namespaces)
                self._holes.popleft()
                self._end(hole)
            await self._more.wait()

    async def _try(self, hole: Hole, calls: Calls, namespaces: Sequence[str]) -> None:
        """Fill a hole; a server that cannot answer is not asked for ever, and loses nobody the connection."""
        while hole.since_ns:
            if hole.tries >= TRIES:
                self._leave(hole, "the server did not answer")
                return
            hole.tries += 1
            try:
                await self._fill(hole, calls, namespaces)
            except (OSError, UaError) as error:
                self.refused = str(error) or type(error).__name__
                await asyncio.sleep(AFTER_S)

    def _end(self, hole: Hole) -> None:
        if not hole.complete:
            self.left += 1
            return
        self.filled += 1
        self._intake.gap(
            hole.from_ns, hole.to_ns, hole.cause, asset=hole.asset, point=hole.point, backfilled=True
        )

    async def _fill(self, hole: Hole, calls: Calls, namespaces: Sequence[str]) -> None:
        """Each item that has a history; what was read stays read if the connection ends in between."""
        nodes = self._nodes(hole, namespaces)
        levels = await calls.read(list(nodes.values()), AttributeIds.UserAccessLevel)
        for (watched, node), told in zip(nodes.items(), levels, strict=True):
            level = told.Value.Value if told.Value is not None else None
            if isinstance(level, int) and level & _HISTORY_READ:
                await self._read(hole, watched, node, calls)
            else:
                self._leave(hole, f"{watched.node} has no history")
            del hole.since_ns[watched]

    def _nodes(self, hole: Hole, namespaces: Sequence[str]) -> Mapping[Watched, ua.NodeId]:
        nodes = {}
        for watched in list(hole.since_ns):
            reason = f"{watched.node} has states or alarms, which are not read from history"
            try:
                node = node_id(watched.node, namespaces)
            except ValueError as error:
                node, reason = None, str(error)
            if node is not None and watched.has_plain_history:
                nodes[watched] = node
            else:
                self._leave(hole, reason)
                del hole.since_ns[watched]
        return nodes

    def _leave(self, hole: Hole, reason: str) -> None:
        hole.complete, self.refused = False, reason

    async def _read(self, hole: Hole, watched: Watched, node: ua.NodeId, calls: Calls) -> None:
        """All pages of one item; a continuation point that is not followed to its end is given back."""
        details = ua.ReadRawModifiedDetails(
            IsReadModified=False,
            StartTime=_datetime(hole.since_ns[watched]),
            EndTime=_datetime(max(hole.to_ns, watched.last_ns) + MARGIN_NS),
            NumValuesPerNode=ua.UInt32(PAGE),
            ReturnBounds=True,
        )
        wanted = ua.HistoryReadValueId(node)
        reaches_back = False
        try:
            while True:
                page = await calls.history(details, wanted)
                status = int(page.StatusCode.value)
                if status & 0xFFFF_0000 not in _GOOD:
                    self._leave(hole, f"{watched.node}: {status_name(status)}")
                    return
                came = page.HistoryData.DataValues if isinstance(page.HistoryData, ua.HistoryData) else ()
                before, wanted.ContinuationPoint = wanted.ContinuationPoint, page.ContinuationPoint
                earliest_ns = await self._take(watched, came or ())
                reaches_back = reaches_back or earliest_ns <= hole.since_ns[watched]
                if not wanted.ContinuationPoint:
                    break
                if wanted.ContinuationPoint == before and not came:
                    self._leave(hole, f"{watched.node}: the history does not go on")
                    return
        finally:
            if wanted.ContinuationPoint:
                await _release(calls, details, wanted)
        if not reaches_back:
            self._leave(hole, f"the history of {watched.node} begins after the gap")

    async def _take(self, watched: Watched, came: Sequence[ua.DataValue]) -> float:
        """Journal a page, and wait as long as it may take: live data goes first. Gives the time of its first value."""
        item, now_ns, earliest_ns = watched.item, self._now(), math.inf
        for told in came:
            value = value_of(told)
            if value.source_time is None or value.status & 0xFFFF_0000 in _NO_VALUE:
                continue
            record = value_record(item.asset, item.channel, watched.node, value, now_ns, backfilled=True)
            await self._intake.behind(record)
            self.values += 1
            earliest_ns = min(earliest_ns, nanoseconds(value.source_time))
        await asyncio.sleep(len(came) / self.values_per_s)
        return earliest_ns


async def _release(calls: Calls, details: ua.ReadRawModifiedDetails, wanted: ua.HistoryReadValueId) -> None:
    """Give a continuation point back; servers have few."""
    with contextlib.suppress(OSError, UaError):
        async with asyncio.timeout(RELEASE_S):
            await calls.history(details, wanted, release=True)


def _datetime(at_ns: int) -> datetime:
    return _EPOCH + timedelta(microseconds=max(at_ns, 0) // 1000)

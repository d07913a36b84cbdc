"""What a historizing OPC UA server remembers of its variables: the last values of each, read page by page.

The library's own store gives no continuation point where a client limits the page, so that a client which reads one
page and stops would pass its tests; and it answers for nodes without a history as if nothing had happened.
"""

import itertools
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from asyncua import ua
from asyncua.common.utils import ServiceError
from asyncua.server.history import HistoryManager
from asyncua.server.internal_server import InternalServer
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.status_codes import StatusCodes

PAGE = 1000
MOST_POINTS = 8
"""Continuation points that are kept; a client that does not release its own runs out of them."""
_HISTORY_READ = int(ua.AccessLevelType.HistoryRead)
_RAW = 0x400
"""InfoType DataValue, historian bits raw: the same value has other flags live and in history (OPC 10000-11, 4.4)."""


class History(HistoryManager):
    """The histories of the variables that were given to `keep`; stands where the library's manager would."""

    def __init__(self, server: InternalServer, page: int = PAGE) -> None:
        super().__init__(server)
        self._space = server.aspace
        self._page = page
        self._values: dict[ua.NodeId, deque[ua.DataValue]] = {}
        self._rest: dict[bytes, list[ua.DataValue]] = {}
        self._number = itertools.count(1)
        self.reads = 0

    async def keep(self, node: ua.NodeId, most: int) -> None:
        """Remember the last `most` values of a variable from now on, and say so in its attributes."""
        values = self._values[node] = deque[ua.DataValue](maxlen=most)

        async def note(_handle: int, value: ua.DataValue) -> None:
            values.append(value)

        self._space.add_datachange_callback(node, AttributeIds.Value, note)
        for attribute in (AttributeIds.AccessLevel, AttributeIds.UserAccessLevel):
            level = self._space.read_attribute_value(node, attribute).Value
            told = ua.Variant(
                (int(level.Value) if level is not None else 1) | _HISTORY_READ, ua.VariantType.Byte
            )
            await self._space.write_attribute_value(node, attribute, ua.DataValue(told))
        historizing = ua.DataValue(ua.Variant(Value=True, VariantType=ua.VariantType.Boolean))
        await self._space.write_attribute_value(node, AttributeIds.Historizing, historizing)

    async def read_history(self, params: ua.HistoryReadParameters) -> list[ua.HistoryReadResult]:
        """The HistoryRead service for raw values; only source times are kept, so only they can be asked for."""
        self.reads += 1
        if params.ReleaseContinuationPoints:
            for wanted in params.NodesToRead:
                self._rest.pop(wanted.ContinuationPoint or b"", None)
            return [ua.HistoryReadResult() for _ in params.NodesToRead]
        if params.TimestampsToReturn is not ua.TimestampsToReturn.Source:
            raise ServiceError(StatusCodes.BadTimestampsToReturnInvalid)
        details = params.HistoryReadDetails
        if not isinstance(details, ua.ReadRawModifiedDetails) or details.IsReadModified:
            return [_refused(StatusCodes.BadHistoryOperationUnsupported) for _ in params.NodesToRead]
        return [self._read(details, wanted) for wanted in params.NodesToRead]

    @property
    def points(self) -> int:
        """Continuation points that nobody has read to the end or released."""
        return len(self._rest)

    def _read(
        self, details: ua.ReadRawModifiedDetails, wanted: ua.HistoryReadValueId
    ) -> ua.HistoryReadResult:
        if wanted.ContinuationPoint:
            rest = self._rest.pop(wanted.ContinuationPoint, None)
            return (
                _refused(StatusCodes.BadContinuationPointInvalid)
                if rest is None
                else self._answer(details, rest)
            )
        kept = self._values.get(wanted.NodeId)
        if kept is None:
            return _refused(StatusCodes.BadHistoryOperationUnsupported)
        start, end = _utc(details.StartTime), _utc(details.EndTime)
        timed = [(_utc(value.SourceTimestamp), value) for value in kept if value.SourceTimestamp is not None]
        found = [_told(value) for at, value in timed if start <= at <= end]
        if details.ReturnBounds:
            before = [_told(value) for at, value in timed if at <= start][-1:]
            after = [_told(value) for at, value in timed if at >= end][:1]
            found = [value for value in found if value not in before + after]
            found = [*(before or [_no_bound(start)]), *found, *(after or [_no_bound(end)])]
        return self._answer(details, found)

    def _answer(
        self, details: ua.ReadRawModifiedDetails, found: Sequence[ua.DataValue]
    ) -> ua.HistoryReadResult:
        most = min(int(details.NumValuesPerNode) or self._page, self._page)
        result = ua.HistoryReadResult()
        result.HistoryData = ua.HistoryData(list(found[:most]))
        if not found:
            result.StatusCode = ua.StatusCode(ua.UInt32(StatusCodes.GoodNoData))
        if len(found) > most:
            if len(self._rest) >= MOST_POINTS:
                return _refused(StatusCodes.BadNoContinuationPoints)
            point = b"%d" % next(self._number)
            self._rest[point] = list(found[most:])
            result.ContinuationPoint = point
        return result


def _refused(status: int) -> ua.HistoryReadResult:
    return ua.HistoryReadResult(StatusCode=ua.StatusCode(ua.UInt32(status)))


def _raw(value: ua.DataValue) -> ua.StatusCode:
    status = int(value.StatusCode.value) if value.StatusCode is not None else 0
    return ua.StatusCode(ua.UInt32(status | _RAW))


def _told(value: ua.DataValue) -> ua.DataValue:
    return replace(value, StatusCode=_raw(value), ServerTimestamp=None)


def _no_bound(at: datetime) -> ua.DataValue:
    """What stands for a bounding value that is not there (OPC 10000-11, 6.4.3)."""
    status = ua.StatusCode(ua.UInt32(StatusCodes.BadBoundNotFound))
    return ua.DataValue(None, status, SourceTimestamp=ua.DateTime.fromtimestamp(at.timestamp(), UTC))


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)

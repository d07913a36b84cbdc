"""What is asked of an OPC UA server: each call has its time, and no more at once than the server takes.

Servers say how much they take (OperationLimits), and small controllers take less than they say: a call that is
refused for its size is made again in halves.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from asyncua import ua
from asyncua.client.client import Client
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.uaerrors import UaStatusCodeError

T = TypeVar("T")
R = TypeVar("R")
CREATE, READ, HISTORY = "MaxMonitoredItemsPerCall", "MaxNodesPerRead", "MaxNodesPerHistoryReadData"
_LIMITS = {
    name: ua.NodeId(ua.Int32(getattr(ObjectIds, f"Server_ServerCapabilities_OperationLimits_{name}")))
    for name in (CREATE, READ, HISTORY)
}
_TOO_MUCH = {
    StatusCodes.BadTooManyOperations,
    StatusCodes.BadEncodingLimitsExceeded,
    StatusCodes.BadRequestTooLarge,
    StatusCodes.BadResponseTooLarge,
    StatusCodes.BadTcpMessageTooLarge,
}
_REFRESH = (
    ua.NodeId(ua.Int32(ObjectIds.ConditionType)),
    ua.NodeId(ua.Int32(ObjectIds.ConditionType_ConditionRefresh)),
)


class Calls:
    """The calls of one connection; `limits` is what the server says it takes at once, 0 for no limit."""

    def __init__(self, client: Client, timeout_s: float, at_once: int) -> None:
        self._client = client
        self._session = client.uaclient.session
        self._timeout_s = timeout_s
        self._at_once = at_once
        self.limits: dict[str, int] = {}

    async def learn_limits(self) -> None:
        """Read how much the server takes at once; one that does not say takes what we are told to ask."""
        values = [ua.ReadValueId(node, AttributeIds.Value) for node in _LIMITS.values()]
        params = ua.ReadParameters(TimestampsToReturn=ua.TimestampsToReturn.Neither, NodesToRead=values)
        async with asyncio.timeout(self._timeout_s):
            found = await self._session.read(params)
        for name, told in zip(_LIMITS, found, strict=True):
            value = told.Value.Value if told.Value is not None else None
            self.limits[name] = value if isinstance(value, int) and not isinstance(value, bool) else 0

    async def namespaces(self) -> Sequence[str]:
        """The URIs of the server's namespaces by their index, as they are now."""
        async with asyncio.timeout(self._timeout_s):
            return list(await self._client.get_namespace_array())

    async def subscribe(
        self, params: ua.CreateSubscriptionParameters, published: Callable[[ua.PublishResult], None]
    ) -> ua.CreateSubscriptionResult:
        """Create a subscription whose messages go to `published`."""
        async with asyncio.timeout(self._timeout_s):
            return await self._session.create_subscription(params, published)

    async def create(
        self, subscription: ua.UInt32, requests: Sequence[ua.MonitoredItemCreateRequest]
    ) -> list[ua.MonitoredItemCreateResult]:
        """Create monitored items: one result each, with its own status."""

        async def call(part: Sequence[ua.MonitoredItemCreateRequest]) -> list[ua.MonitoredItemCreateResult]:
            params = ua.CreateMonitoredItemsParameters(subscription, ua.TimestampsToReturn.Both, list(part))
            return await self._session.create_monitored_items(params)

        def refused(status: ua.StatusCode) -> ua.MonitoredItemCreateResult:
            return ua.MonitoredItemCreateResult(StatusCode=status)

        return await self._in_parts(requests, self._most(CREATE), call, refused)

    async def delete(self, subscription: ua.UInt32, handles: Sequence[int]) -> None:
        """Delete monitored items; one that is not there any more is as good as deleted."""

        async def call(part: Sequence[int]) -> list[ua.StatusCode]:
            numbers = [ua.UInt32(handle) for handle in part]
            return await self._session.delete_monitored_items(
                ua.DeleteMonitoredItemsParameters(subscription, numbers)
            )

        await self._in_parts(handles, self._most(CREATE), call, lambda status: status)

    async def read(
        self, nodes: Sequence[ua.NodeId], attribute: AttributeIds = AttributeIds.Value
    ) -> list[ua.DataValue]:
        """Read an attribute of each node: one value each, with its own status."""

        async def call(part: Sequence[ua.NodeId]) -> list[ua.DataValue]:
            wanted = [ua.ReadValueId(node, attribute) for node in part]
            return await self._session.read(
                ua.ReadParameters(TimestampsToReturn=ua.TimestampsToReturn.Both, NodesToRead=wanted)
            )

        return await self._in_parts(nodes, self._most(READ), call, lambda status: ua.DataValue(None, status))

    async def refresh(self, subscription: ua.UInt32) -> ua.StatusCode:
        """ConditionRefresh: what is of interest is told again with its EventIds (OPC 10000-9, 5.5.7)."""
        kind, method = _REFRESH
        call = ua.CallMethodRequest(kind, method, [ua.Variant(subscription, ua.VariantType.UInt32)])
        try:
            async with asyncio.timeout(self._timeout_s):
                (result,) = await self._session.call([call])
        except UaStatusCodeError as error:
            return ua.StatusCode(ua.UInt32(error.code))
        return ua.StatusCode(result.StatusCode.value)

    async def history(
        self, details: ua.ReadRawModifiedDetails, node: ua.HistoryReadValueId, *, release: bool = False
    ) -> ua.HistoryReadResult:
        """Read one page of a node's history, or `release` its continuation point."""
        params = ua.HistoryReadParameters(details, ua.TimestampsToReturn.Source, release, [node])
        try:
            async with asyncio.timeout(self._timeout_s):
                (result,) = await self._session.history_read(params)
        except UaStatusCodeError as error:
            return ua.HistoryReadResult(StatusCode=ua.StatusCode(ua.UInt32(error.code)))
        return result

    def _most(self, kind: str) -> int:
        return min(self._at_once, self.limits.get(kind, 0) or self._at_once)

    async def _in_parts(
        self,
        wanted: Sequence[T],
        most: int,
        call: Callable[[Sequence[T]], Awaitable[list[R]]],
        refused: Callable[[ua.StatusCode], R],
    ) -> list[R]:
        """One result for each, in order. A part that is too much is halved; one refused for itself is `refused`."""
        results: list[R] = []
        parts = [wanted[start : start + most] for start in range(0, len(wanted), most)]
        while parts:
            part = parts.pop(0)
            try:
                async with asyncio.timeout(self._timeout_s):
                    found = await call(part)
            except UaStatusCodeError as error:
                if error.code in _TOO_MUCH and len(part) > 1:
                    self._at_once = max(1, len(part) // 2)
                    parts[:0] = [part[: self._at_once], part[self._at_once :]]
                    continue
                found = [refused(ua.StatusCode(ua.UInt32(error.code))) for _ in part]
            if len(found) != len(part):
                raise ConnectionError(f"{len(found)} answers to {len(part)} questions")
            results += found
        return results

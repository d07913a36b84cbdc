"""One subscription on one connection: the wanted items on the server, each created, watched and retried by itself.

It speaks to asyncua's session and not to its Subscription, whose own restoring loses items and whose handler
makes a task of every notification. What the server publishes is taken in the callback, at once and in order.
"""

import asyncio
import logging
import math
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from asyncua import ua
from asyncua.client.client import Client
from asyncua.client.ua_client import UaClientState
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.uaerrors import UaStatusCodeError

from andon.clock import Now
from andon.events import SECOND_NS, nanoseconds
from ingest.opcua_intake import Intake
from ingest.opcua_items import Board, Watched, queue_size
from ingest.opcua_words import (
    BAD,
    STANDARD_FIELDS,
    Value,
    event_fields,
    event_record,
    node_id,
    status_name,
    value_of,
    value_record,
)

if TYPE_CHECKING:
    from ingest.opcua import Parameters

EVENTS = 0xFFFF_FFFF
"""The client handle of the event item; that of a data item is its own."""
SILENT_FACTOR = 2.5
"""A subscription that has sent nothing for so many keep-alive periods is dead, whatever its socket says."""
FRESH_NS = 2 * SECOND_NS
SUBSCRIBED = "subscribed"
NO_VALUE = "no value yet"
log = logging.getLogger(__name__)
_BASE_EVENT = ua.NodeId(ua.Int32(ObjectIds.BaseEventType))
_REFRESH = (
    ua.NodeId(ua.Int32(ObjectIds.ConditionType)),
    ua.NodeId(ua.Int32(ObjectIds.ConditionType_ConditionRefresh)),
)
_REFRESH_MARKS = {f"i={ObjectIds.RefreshStartEventType}", f"i={ObjectIds.RefreshEndEventType}"}
_REFRESH_REQUIRED = f"i={ObjectIds.RefreshRequiredEventType}"
_QUEUE_OVERFLOW = f"i={ObjectIds.EventQueueOverflowEventType}"


class Subscription:
    """The wanted items and events on one connection; `heard_ns` is when the server last spoke."""

    def __init__(
        self, client: Client, parameters: "Parameters", intake: Intake, board: Board, now: Now
    ) -> None:
        self._client = client
        self._session = client.uaclient.session
        self._wanted = parameters
        self._intake = intake
        self._board = board
        self._now = now
        self._watched = {watched.handle: watched for watched in board.items}
        self._namespaces: Sequence[str] = ()
        events = parameters.events
        self._field_names = (*STANDARD_FIELDS, *(events.properties().values() if events else ()))
        self._id = ua.UInt32(0)
        self._dead_after_s = math.inf
        self._number = 0
        self._ended = ""
        self._refresh_due = False
        self.heard_s = time.monotonic()
        self.heard_ns = now()

    async def open(self) -> None:
        """Create the subscription with all that is wanted. OSError, TimeoutError or UaError if it cannot be."""
        wanted = self._wanted
        keepalive = max(1, math.ceil(wanted.keepalive_s * 1000 / wanted.publishing_ms))
        params = ua.CreateSubscriptionParameters(
            RequestedPublishingInterval=ua.Double(wanted.publishing_ms),
            RequestedMaxKeepAliveCount=ua.UInt32(keepalive),
            RequestedLifetimeCount=ua.UInt32(10 * keepalive),
            MaxNotificationsPerPublish=ua.UInt32(10_000),
        )
        async with asyncio.timeout(wanted.timeout_s):
            made = await self._session.create_subscription(params, self.published)
        self._id = made.SubscriptionId
        period_s = float(made.RevisedPublishingInterval) * int(made.RevisedMaxKeepAliveCount) / 1000
        self._dead_after_s = SILENT_FACTOR * max(period_s, 0.1)
        await self.want()

    async def stay(self, stopping: asyncio.Event) -> None:
        """Look after it until `stopping`; ConnectionError as soon as it is known to be dead."""
        every_s = {self.want: self._wanted.retry_s, self._look_at_silent: self._wanted.watch_s}
        due_s = {do: time.monotonic() + after_s for do, after_s in every_s.items()}
        while not await is_set_within(stopping, min(0.5, self._dead_after_s / 5)):
            self._check_alive()
            if self._refresh_due:
                await self._refresh()
            for do, at_s in due_s.items():
                if time.monotonic() >= at_s:
                    await do()
                    due_s[do] = time.monotonic() + every_s[do]

    async def want(self) -> None:
        """Ask for what is wanted and not there, and for nothing else."""
        missing = [watched for watched in self._board.items if watched.server_handle is None]
        events = self._wanted.events is not None and self._board.events != SUBSCRIBED
        if not missing and not events:
            return
        async with asyncio.timeout(self._wanted.timeout_s):
            self._namespaces = await self._client.get_namespace_array()
        await self._add(missing)
        if events:
            await self._add_events()

    # what the server publishes

    def published(self, result: ua.PublishResult) -> None:
        """Take a publish response: everything in it becomes a record, or a gap if it cannot be read."""
        parts = result.NotificationMessage.NotificationData or ()
        ended = [part for part in parts if isinstance(part, ua.StatusChangeNotification)]
        if ended:
            self._ended = status_name(int(ended[0].Status.value))
            return
        if parts:
            self._check_number(int(result.NotificationMessage.SequenceNumber))
        self.heard_s, self.heard_ns = time.monotonic(), self._now()
        for part in parts:
            try:
                self._take(part)
            except Exception:  # asyncua would log it and go on: what cannot be read must be said
                if not self._board.unreadable:
                    log.exception("a notification cannot be read; more of them are only counted")
                self._board.unreadable += 1
                self._intake.gap(self.heard_ns, self.heard_ns, "unreadable")

    def _check_number(self, number: int) -> None:
        """Notification messages are numbered from 1 without holes, 2**32 - 1 is followed by 1 (OPC 10000-4, 7.21)."""
        expected = self._number % 0xFFFF_FFFF + 1
        if self._number and number != expected:
            self._intake.gap(self.heard_ns, self._now(), "notification_lost")
        self._number = number

    def _take(self, part: object) -> None:
        if isinstance(part, ua.DataChangeNotification):
            for told in part.MonitoredItems:
                self._take_value(self._watched[int(told.ClientHandle)], value_of(told.Value))
        elif isinstance(part, ua.EventNotificationList):
            for told in part.Events:
                self._take_event(event_fields(self._field_names, told.EventFields))

    def _take_value(self, watched: Watched, value: Value) -> None:
        item = watched.item
        at_ns = nanoseconds(value.source_time) if value.source_time else self.heard_ns
        if value.overflowed:
            from_ns = min(watched.last_ns or at_ns, at_ns)
            self._intake.gap(from_ns, at_ns, "server_queue_overflow", asset=item.asset, point=watched.point)
        self._intake.message(value_record(item.asset, item.channel, item.node, value, self.heard_ns))
        watched.heard_s, watched.last, watched.last_ns = self.heard_s, value, at_ns
        watched.reason = "" if value.status < BAD else status_name(value.status)

    def _take_event(self, fields: Mapping[str, object]) -> None:
        kind = fields.get("EventType")
        name = kind.to_string() if isinstance(kind, ua.NodeId) else ""
        if name in _REFRESH_MARKS:
            return
        if name == _REFRESH_REQUIRED:
            self._refresh_due = True
        elif name == _QUEUE_OVERFLOW:
            self._intake.gap(self.heard_ns, self.heard_ns, "event_queue_overflow")
        elif self._wanted.events is not None:
            record = event_record(fields, self._wanted.events.properties(), self.heard_ns)
            if record is None:
                self._board.foreign_events += 1
            else:
                self._intake.message(record)

    # what is asked of the server

    async def _add(self, missing: Sequence[Watched]) -> None:
        known: list[tuple[Watched, ua.NodeId]] = []
        for watched in missing:
            try:
                known.append((watched, node_id(watched.item.node, self._namespaces)))
            except ValueError as error:
                watched.reason = str(error)
        at_once = self._wanted.items_per_call
        for start in range(0, len(known), at_once):
            await self._create(known[start : start + at_once])

    async def _create(self, chosen: Sequence[tuple[Watched, ua.NodeId]]) -> None:
        requests = [self._request(watched, node) for watched, node in chosen]
        params = ua.CreateMonitoredItemsParameters(self._id, ua.TimestampsToReturn.Both, requests)
        try:
            async with asyncio.timeout(self._wanted.timeout_s):
                results = await self._session.create_monitored_items(params)
        except UaStatusCodeError as error:  # the server refuses the call, not the connection
            for watched, _ in chosen:
                watched.reason = status_name(error.code)
            return
        for (watched, _), result in zip(chosen, results, strict=True):
            if result.StatusCode.is_good():
                watched.server_handle = int(result.MonitoredItemId)
            else:
                watched.reason = status_name(int(result.StatusCode.value))

    def _request(self, watched: Watched, node: ua.NodeId) -> ua.MonitoredItemCreateRequest:
        watched.reason = NO_VALUE  # its first value may come before the answer to this
        sampling_ms = watched.item.sampling_ms or self._wanted.sampling_ms
        return ua.MonitoredItemCreateRequest(
            ua.ReadValueId(node, AttributeIds.Value),
            ua.MonitoringMode.Reporting,
            ua.MonitoringParameters(
                ClientHandle=ua.UInt32(watched.handle),
                SamplingInterval=ua.Double(sampling_ms),
                QueueSize=ua.UInt32(queue_size(self._wanted.publishing_ms, sampling_ms)),
                DiscardOldest=True,
            ),
        )

    async def _add_events(self) -> None:
        try:
            request = self._event_request()
        except ValueError as error:
            self._board.events = str(error)
            return
        params = ua.CreateMonitoredItemsParameters(self._id, ua.TimestampsToReturn.Both, [request])
        try:
            async with asyncio.timeout(self._wanted.timeout_s):
                (result,) = await self._session.create_monitored_items(params)
        except UaStatusCodeError as error:
            self._board.events = status_name(error.code)
            return
        if result.StatusCode.is_good():
            self._board.events = SUBSCRIBED
            await self._refresh()
        else:
            self._board.events = status_name(int(result.StatusCode.value))

    def _event_request(self) -> ua.MonitoredItemCreateRequest:
        events = self._wanted.events
        if events is None or events.namespace not in self._namespaces:
            raise ValueError(f"the server has no namespace {events.namespace!r}" if events else "not wanted")
        kind = node_id(events.event_type, self._namespaces) if events.event_type else None
        index = ua.UInt16(self._namespaces.index(events.namespace))
        selected = [_operand(_BASE_EVENT, ua.QualifiedName(name, ua.UInt16(0))) for name in STANDARD_FIELDS]
        selected += [
            _operand(kind or _BASE_EVENT, ua.QualifiedName(name, index))
            for name in events.properties().values()
        ]
        chosen = ua.EventFilter(SelectClauses=selected)
        if kind is not None:
            literal = ua.LiteralOperand(ua.Variant(kind, ua.VariantType.NodeId))
            chosen.WhereClause.Elements = [ua.ContentFilterElement(ua.FilterOperator.OfType, [literal])]
        return ua.MonitoredItemCreateRequest(
            ua.ReadValueId(node_id(events.notifier, self._namespaces), AttributeIds.EventNotifier),
            ua.MonitoringMode.Reporting,
            ua.MonitoringParameters(
                ClientHandle=ua.UInt32(EVENTS),
                Filter=chosen,
                QueueSize=ua.UInt32(events.queue),
                DiscardOldest=True,
            ),
        )

    async def _refresh(self) -> None:
        """ConditionRefresh: what is active is told again with its EventIds (OPC 10000-9, 5.5.7); few servers lack it."""
        self._refresh_due = False
        kind, method = _REFRESH
        call = ua.CallMethodRequest(kind, method, [ua.Variant(self._id, ua.VariantType.UInt32)])
        try:
            async with asyncio.timeout(self._wanted.timeout_s):
                (result,) = await self._session.call([call])
        except UaStatusCodeError as error:
            self._board.refresh = status_name(error.code)
            return
        self._board.refresh = status_name(int(result.StatusCode.value))

    # is it still alive

    def _check_alive(self) -> None:
        quiet_s = time.monotonic() - self.heard_s
        if self._client.state is not UaClientState.CONNECTED:
            raise ConnectionError("the connection is lost")
        if self._ended:
            raise ConnectionError(f"the server ended the subscription: {self._ended}")
        if quiet_s > self._dead_after_s:
            raise ConnectionError(f"the server says it is there, but has sent nothing for {quiet_s:.0f} s")

    async def _look_at_silent(self) -> None:
        """Read the items that should have spoken: unchanged is well, changed and not told is not."""
        now_s = time.monotonic()
        silent = [
            watched
            for watched in self._board.items
            if watched.server_handle is not None
            and watched.item.silent_after_s is not None
            and now_s - watched.heard_s > watched.item.silent_after_s
        ][: self._wanted.items_per_call]
        if not silent:
            return
        wanted = [
            ua.ReadValueId(node_id(watched.item.node, self._namespaces), AttributeIds.Value)
            for watched in silent
        ]
        params = ua.ReadParameters(TimestampsToReturn=ua.TimestampsToReturn.Both, NodesToRead=wanted)
        async with asyncio.timeout(self._wanted.timeout_s):
            found = await self._session.read(params)
        dropped = [
            watched for watched, told in zip(silent, found, strict=True) if not self._is_well(watched, told)
        ]
        await self._drop(dropped)

    def _is_well(self, watched: Watched, told: ua.DataValue) -> bool:
        """Whether an item that says nothing has nothing to say; a change may need a moment to be told."""
        value = value_of(told)
        if value.status >= BAD:
            watched.reason = f"silent: {status_name(value.status)}"
            return True
        last = watched.last
        if last is not None and (value.value, value.status) == (last.value, last.status):
            watched.heard_s, watched.reason = time.monotonic(), ""
            return True
        told_ns = nanoseconds(value.source_time) if value.source_time else 0
        at_ns = nanoseconds(value.server_time) if value.server_time else told_ns
        return told_ns > 0 and at_ns - told_ns < FRESH_NS

    async def _drop(self, dropped: Sequence[Watched]) -> None:
        """Give up items that have changed and did not say so; they are asked for again at once."""
        if not dropped:
            return
        handles = [
            ua.UInt32(watched.server_handle) for watched in dropped if watched.server_handle is not None
        ]
        async with asyncio.timeout(self._wanted.timeout_s):
            await self._session.delete_monitored_items(ua.DeleteMonitoredItemsParameters(self._id, handles))
        for watched in dropped:
            watched.server_handle, watched.reason = None, "changed without being told"
            point = watched.point
            self._intake.gap(
                watched.last_ns or self.heard_ns,
                self._now(),
                "item_silent",
                asset=watched.item.asset,
                point=point,
            )
        await self.want()


def _operand(kind: ua.NodeId, name: ua.QualifiedName) -> ua.SimpleAttributeOperand:
    return ua.SimpleAttributeOperand(kind, [name], AttributeIds.Value)


async def is_set_within(event: asyncio.Event, wait_s: float) -> bool:
    """Wait for the event, at most `wait_s`; whether it is set."""
    try:
        async with asyncio.timeout(wait_s):
            await event.wait()
    except TimeoutError:
        return False
    return True

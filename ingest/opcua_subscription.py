"""One subscription on one connection: the wanted items on the server, each created, watched and retried by itself.

It speaks to asyncua's session and not to its Subscription, whose own restoring loses items and whose handler
makes a task of every notification. What the server publishes is taken in the callback, at once and in order.
"""

import asyncio
import contextlib
import math
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from asyncua import ua
from asyncua.client.client import Client
from asyncua.client.ua_client import UaClientState
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.uaerrors import UaStatusCodeError

from andon.events import SECOND_NS, GapCause, nanoseconds
from ingest.opcua_calls import Calls
from ingest.opcua_events import Events, asked, event_filter
from ingest.opcua_items import Standing, Watched, queue_size
from ingest.opcua_published import Lasting, Published
from ingest.opcua_words import node_id, status_name, value_of

if TYPE_CHECKING:
    from ingest.opcua import Parameters

EVENTS = 0xFFFF_FFFF
"""The client handle of the first notifier's item, counting down; that of a data item is its own."""
SILENT_FACTOR = 2.5
"""A subscription that has sent nothing for so many keep-alive periods is dead, whatever its socket says."""
FRESH_NS = 2 * SECOND_NS
TURN_S = 0.5
SUBSCRIBED = "subscribed"
_REFUSED_FILTERS = {
    StatusCodes.BadMonitoredItemFilterInvalid,
    StatusCodes.BadMonitoredItemFilterUnsupported,
    StatusCodes.BadFilterNotAllowed,
    StatusCodes.BadDeadbandFilterInvalid,
    StatusCodes.BadEventFilterInvalid,
    StatusCodes.BadEncodingError,
    StatusCodes.BadDecodingError,
    StatusCodes.BadTypeDefinitionInvalid,
}
Made = tuple[Watched, ua.MonitoredItemCreateResult]


class Subscription:
    """The wanted items and events on one connection."""

    def __init__(self, client: Client, parameters: "Parameters", lasting: Lasting) -> None:
        self._client = client
        self._wanted = parameters
        self._lasting = lasting
        self._board = lasting.board
        self._id = ua.UInt32(0)
        self._publishing_ms = parameters.publishing_ms
        self._dead_after_s = math.inf
        self._gone: list[Watched] = []
        self._changed = False
        self._leaving = ""
        self._notified: set[str] = set()
        self.calls = Calls(client, parameters.timeout_s, parameters.items_per_call)
        self.published = Published(lasting, parameters.events)

    async def open(self) -> None:
        """Create the subscription with all that is wanted. OSError, TimeoutError or UaError if it cannot be."""
        wanted = self._wanted
        with contextlib.suppress(UaStatusCodeError):
            await self.calls.learn_limits()
        self._board.limits = self.calls.limits
        keepalive = max(1, math.ceil(wanted.keepalive_s * 1000 / wanted.publishing_ms))
        params = ua.CreateSubscriptionParameters(
            RequestedPublishingInterval=ua.Double(wanted.publishing_ms),
            RequestedMaxKeepAliveCount=ua.UInt32(keepalive),
            RequestedLifetimeCount=ua.UInt32(10 * keepalive),
            MaxNotificationsPerPublish=ua.UInt32(10_000),
        )
        made = await self.calls.subscribe(params, self.published.take)
        self._id = made.SubscriptionId
        self._publishing_ms = float(made.RevisedPublishingInterval) or wanted.publishing_ms
        period_s = self._publishing_ms * int(made.RevisedMaxKeepAliveCount) / 1000
        self._dead_after_s = SILENT_FACTOR * max(period_s, 0.1)
        await self.want()

    async def stay(self, stopping: asyncio.Event) -> None:
        """Look after it until `stopping`; ConnectionError as soon as it is known to be dead."""
        every_s = {self.want: self._wanted.retry_s, self._look_at_silent: self._wanted.watch_s}
        due_s = {do: time.monotonic() + after_s for do, after_s in every_s.items()}
        while not await is_set_within(stopping, min(TURN_S, self._dead_after_s / 5)):
            self._check_alive()
            if self._changed:
                self._changed = False
                await self._forget()
                await self.want()
            if self.published.refresh_due:
                await self._refresh()
            self.published.say(self._lasting.conditions.ended_unheard())
            for do, at_s in due_s.items():
                if time.monotonic() >= at_s:
                    await do()
                    due_s[do] = time.monotonic() + every_s[do]

    def rewant(self, gone: Sequence[Watched]) -> None:
        """The wanted items have changed: these are wanted no more, others may be new."""
        self._gone += gone
        self._changed = True

    def leave(self, reason: str) -> None:
        """End this connection as if it were lost; the next one is made another way."""
        self._leaving = reason

    async def want(self) -> None:
        """Ask for what is wanted and not there, and for nothing else."""
        missing = [watched for watched in self._board.items.values() if watched.server_handle is None]
        events = self._wanted.events
        silent = [] if events is None else [each for each in events.notifiers if each not in self._notified]
        if not missing and not silent:
            return
        self.published.namespaces = await self.calls.namespaces()
        await self._add(missing)
        if events is not None and silent:
            await self._add_events(events, silent)

    async def _forget(self) -> None:
        handles = [watched.server_handle for watched in self._gone if watched.server_handle is not None]
        self._gone = []
        if handles:
            await self.calls.delete(self._id, handles)

    # items

    async def _add(self, missing: Sequence[Watched]) -> None:
        known: list[tuple[Watched, ua.NodeId]] = []
        for watched in missing:
            try:
                known.append((watched, node_id(watched.node, self.published.namespaces)))
            except ValueError as error:
                self._failed(watched, str(error))
        made = await self._create(known)
        plain = [(w, node) for (w, node), (_, result) in zip(known, made, strict=True) if _refused(w, result)]
        for watched, _ in plain:
            watched.note = "without its deadband, which the server refuses"
        made = [(w, result) for w, result in made if not _refused(w, result)]
        for watched, result in [*made, *await self._create(plain)]:
            self._made(watched, result)

    async def _create(self, chosen: Sequence[tuple[Watched, ua.NodeId]]) -> list[Made]:
        requests = [self._request(watched, node) for watched, node in chosen]
        results = await self.calls.create(self._id, requests)
        return [(watched, result) for (watched, _), result in zip(chosen, results, strict=True)]

    def _made(self, watched: Watched, result: ua.MonitoredItemCreateResult) -> None:
        if not result.StatusCode.is_good():
            self._failed(watched, status_name(int(result.StatusCode.value)))
            return
        watched.server_handle = int(result.MonitoredItemId)
        watched.sampling_ms, watched.queue = (
            float(result.RevisedSamplingInterval),
            int(result.RevisedQueueSize),
        )
        watched.looked_s = time.monotonic()
        if watched.missing_since_ns is not None:
            from_ns, watched.missing_since_ns = watched.missing_since_ns, None
            self._lasting.missed(watched, self._lasting.now(), GapCause.ITEM_MISSING, from_ns=from_ns)

    def _failed(self, watched: Watched, reason: str) -> None:
        """It will be tried again; one that has spoken before is missing from now on."""
        watched.is_(Standing.FAILED, reason)
        if watched.last is not None and watched.missing_since_ns is None:
            watched.missing_since_ns = watched.last_ns
            item = watched.item
            self._lasting.intake.gap(
                watched.last_ns, None, GapCause.ITEM_MISSING, asset=item.asset, point=watched.point
            )

    def _request(self, watched: Watched, node: ua.NodeId) -> ua.MonitoredItemCreateRequest:
        watched.is_(Standing.WAITING, "no value yet")  # its first value may come before the answer to this
        sampling_ms = watched.item.sampling_ms or self._wanted.sampling_ms or self._publishing_ms / 2
        return ua.MonitoredItemCreateRequest(
            ua.ReadValueId(node, AttributeIds.Value),
            ua.MonitoringMode.Reporting,
            ua.MonitoringParameters(
                ClientHandle=ua.UInt32(watched.handle),
                SamplingInterval=ua.Double(sampling_ms),
                Filter=_deadband(watched),
                QueueSize=ua.UInt32(queue_size(self._publishing_ms, sampling_ms)),
                DiscardOldest=True,
            ),
        )

    # events

    async def _add_events(self, events: Events, silent: Sequence[str]) -> None:
        """Ask with all fields; what a server refuses is asked for with fewer: some take no where clause, some only base fields."""
        refused = dict.fromkeys(silent, "")
        for conditions, where in ((True, True), (True, False), (False, False)):
            try:
                refused = await self._notify(events, list(refused), conditions=conditions, where=where)
            except ValueError as error:
                self._board.events = str(error)
                return
            if not refused:
                break
        if len(refused) < len(silent):
            await self._refresh()
        self._board.events = next(iter(refused.values()), SUBSCRIBED)

    async def _notify(
        self, events: Events, notifiers: Sequence[str], *, conditions: bool, where: bool
    ) -> dict[str, str]:
        """Subscribe to the events of these nodes; gives those that are refused, and why."""
        namespaces = self.published.namespaces
        fields = asked(events, namespaces, conditions=conditions)
        chosen = event_filter(events, fields, namespaces, where=where)
        requests = []
        for notifier in notifiers:
            handle = EVENTS - events.notifiers.index(notifier)
            self.published.asked[handle] = fields
            requests.append(
                ua.MonitoredItemCreateRequest(
                    ua.ReadValueId(node_id(notifier, namespaces), AttributeIds.EventNotifier),
                    ua.MonitoringMode.Reporting,
                    ua.MonitoringParameters(
                        ClientHandle=ua.UInt32(handle),
                        Filter=chosen,
                        QueueSize=ua.UInt32(events.queue),
                        DiscardOldest=True,
                    ),
                )
            )
        results = await self.calls.create(self._id, requests)
        statuses = {n: result.StatusCode for n, result in zip(notifiers, results, strict=True)}
        self._notified |= {notifier for notifier, status in statuses.items() if status.is_good()}
        return {n: status_name(int(status.value)) for n, status in statuses.items() if not status.is_good()}

    async def _refresh(self) -> None:
        """Have all alarms that stand told again; few servers lack this."""
        self.published.refresh_due = False
        self._board.refresh = status_name(int((await self.calls.refresh(self._id)).value))

    # is it still alive

    def _check_alive(self) -> None:
        quiet_s = time.monotonic() - self.published.heard_s
        if self._leaving:
            raise ConnectionError(self._leaving)
        if self._client.state is not UaClientState.CONNECTED:
            raise ConnectionError("the connection is lost")
        if self.published.ended:
            raise ConnectionError(f"the server ended the subscription: {self.published.ended}")
        if quiet_s > self._dead_after_s:
            raise ConnectionError(f"the server says it is there, but has sent nothing for {quiet_s:.0f} s")

    async def _look_at_silent(self) -> None:
        """Read the items that should have spoken: unchanged is well, changed and not told is not."""
        now_s = time.monotonic()
        silent = sorted(
            (watched for watched in self._board.items.values() if self._is_due(watched, now_s)),
            key=lambda watched: watched.looked_s,
        )[: self._wanted.items_per_call]
        if not silent:
            return
        nodes = [node_id(watched.node, self.published.namespaces) for watched in silent]
        found = await self.calls.read(nodes)
        await self._drop([w for w, told in zip(silent, found, strict=True) if not self._is_well(w, told)])

    def _is_due(self, watched: Watched, now_s: float) -> bool:
        after_s = watched.item.silent_after_s or self._wanted.silent_after_s
        return (
            watched.server_handle is not None and after_s is not None and now_s - watched.looked_s > after_s
        )

    def _is_well(self, watched: Watched, told: ua.DataValue) -> bool:
        """Whether an item that says nothing has nothing to say; a change may need a moment to be told."""
        watched.looked_s = time.monotonic()
        value, last = value_of(told), watched.last
        if last is not None and (value.value, value.status) == (last.value, last.status):
            return True
        if not watched.has_plain_history:
            return last is not None  # a structure is not compared
        told_ns = nanoseconds(value.source_time) if value.source_time else 0
        at_ns = nanoseconds(value.server_time) if value.server_time else told_ns
        return told_ns > 0 and at_ns - told_ns < FRESH_NS

    async def _drop(self, dropped: Sequence[Watched]) -> None:
        """Give up items that have changed and did not say so; they are asked for again at once."""
        if not dropped:
            return
        self._gone += dropped
        await self._forget()
        for watched in dropped:
            watched.server_handle = None
            watched.is_(Standing.SILENT, "changed without being told")
            if watched.last is not None:
                self._lasting.missed(watched, self._lasting.now(), GapCause.ITEM_SILENT)
        await self.want()


def _refused(watched: Watched, result: ua.MonitoredItemCreateResult) -> bool:
    """Whether an item was refused for its deadband: too many values are better than none."""
    filtered = _deadband(watched) is not None
    return filtered and int(result.StatusCode.value) in _REFUSED_FILTERS


def _deadband(watched: Watched) -> ua.DataChangeFilter | None:
    item = watched.item
    if watched.note:
        return None
    for kind, size in (
        (ua.DeadbandType.Absolute, item.deadband),
        (ua.DeadbandType.Percent, item.deadband_percent),
    ):
        if size is not None:
            return ua.DataChangeFilter(
                Trigger=ua.DataChangeTrigger.StatusValue,
                DeadbandType=ua.UInt32(kind),
                DeadbandValue=ua.Double(size),
            )
    return None


async def is_set_within(event: asyncio.Event, wait_s: float) -> bool:
    """Wait for the event, at most `wait_s`; whether it is set."""
    try:
        async with asyncio.timeout(wait_s):
            await event.wait()
    except TimeoutError:
        return False
    return True

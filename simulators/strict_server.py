"""An asyncua server that behaves like a real one where the library's would hide loss.

Each of these let a wrong collector pass its tests: a queue size of 0 means 1 for data (OPC 10000-4, 5.13.1.5; the
library keeps 10,000), a value that was pushed out of a queue leaves the Overflow bit on its successor (7.39.1),
Republish of an unknown message is refused (5.14.6; the library answers Good and nothing, for ever), a condition is
told again as it was told first (the library keeps the event that its generator goes on changing), a call with more
items than the server says it takes is refused, and a deadband in percent is one of the EURange or refused.
"""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from asyncua import ua
from asyncua.common.utils import ServiceError
from asyncua.server.address_space import AddressSpace
from asyncua.server.internal_server import InternalServer
from asyncua.server.internal_subscription import InternalSubscription
from asyncua.server.monitored_item_service import MonitoredItemData, MonitoredItemService
from asyncua.server.subscription_service import SubscriptionService
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.uaprotocol_auto import (
    DataChangeFilter,
)  # what is decoded; ua.DataChangeFilter is a class below it

from simulators.history import History

OVERFLOW = 0x480  # InfoType DataValue and its Overflow bit
EVENT_QUEUE = 1000
_MOST_ITEMS = ua.NodeId(
    ua.Int32(ObjectIds.Server_ServerCapabilities_OperationLimits_MaxMonitoredItemsPerCall)
)


class _Items(MonitoredItemService):
    """Queue sizes as the standard revises them."""

    def _make_monitored_item_common(
        self, params: ua.MonitoredItemCreateRequest
    ) -> tuple[ua.MonitoredItemCreateResult, MonitoredItemData]:
        result, item = super()._make_monitored_item_common(params)
        if params.RequestedParameters.QueueSize == 0:
            is_event = params.ItemToMonitor.AttributeId == AttributeIds.EventNotifier
            item.queue_size = EVENT_QUEUE if is_event else 1
            result.RevisedQueueSize = ua.UInt32(item.queue_size)
        return result, item

    async def _create_data_change_monitored_item(
        self, params: ua.MonitoredItemCreateRequest
    ) -> ua.MonitoredItemCreateResult:
        chosen = params.RequestedParameters.Filter
        if isinstance(chosen, DataChangeFilter) and chosen.DeadbandType == ua.DeadbandType.Percent:
            span = _span(self.aspace, params.ItemToMonitor.NodeId)
            if span is None:
                refusal = ua.StatusCode(ua.UInt32(StatusCodes.BadDeadbandFilterInvalid))
                return ua.MonitoredItemCreateResult(StatusCode=refusal)
            params.RequestedParameters.Filter = replace(
                chosen,
                DeadbandType=ua.UInt32(ua.DeadbandType.Absolute),
                DeadbandValue=ua.Double(chosen.DeadbandValue / 100 * span),
            )
        return await super()._create_data_change_monitored_item(params)


class _Subscription(InternalSubscription):
    """Says what was lost, and what it cannot send again."""

    def republish(self, nb: int) -> ua.NotificationMessage:
        if nb not in self._not_acknowledged_results:
            raise ServiceError(StatusCodes.BadMessageNotAvailable)
        return super().republish(nb)

    async def enqueue_datachange_event(
        self, mid: int, eventdata: ua.MonitoredItemNotification, maxsize: int
    ) -> None:
        overflows = maxsize > 1 and len(self._triggered_datachanges.get(mid, ())) >= maxsize
        await super().enqueue_datachange_event(mid, eventdata, maxsize)
        if overflows:
            oldest = self._triggered_datachanges[mid][0]
            oldest.Value = _marked(oldest.Value)


class _Subscriptions(SubscriptionService):
    """Makes subscriptions of the two kinds above; `most_items` is how many items it takes in one call."""

    most_items = 10_000

    async def create_subscription(
        self,
        params: ua.CreateSubscriptionParameters,
        callback: Callable[..., Any],
        session_id: ua.NodeId,
        request_callback: Callable[..., Any] | None = None,
    ) -> ua.CreateSubscriptionResult:
        result = await super().create_subscription(params, callback, session_id, request_callback)
        subscription = self.subscriptions[result.SubscriptionId]
        # The library names its classes where it makes them; no item can have been made yet.
        subscription.__class__ = _Subscription
        subscription.monitored_item_srv.__class__ = _Items
        return result

    async def create_monitored_items(
        self, params: ua.CreateMonitoredItemsParameters
    ) -> list[ua.MonitoredItemCreateResult]:
        if len(params.ItemsToCreate) > self.most_items:
            raise ServiceError(StatusCodes.BadTooManyOperations)
        return await super().create_monitored_items(params)

    async def trigger_event(self, event: Any, subscription_id: int | None = None) -> None:
        await super().trigger_event(copy.copy(event), subscription_id)

    def republish(self, params: ua.RepublishParameters) -> ua.NotificationMessage:
        if params.SubscriptionId not in self.subscriptions:
            raise ServiceError(StatusCodes.BadSubscriptionIdInvalid)
        return super().republish(params)


class StrictServer(InternalServer):
    """The server's inside, with subscriptions that hide nothing, ConditionRefresh, and a history for those nodes that have one."""

    def __init__(self) -> None:
        super().__init__()
        self.bind_condition_methods = 1  # the severity of what marks a refresh
        self._subscriptions = _Subscriptions(self.aspace, iserver=self)
        self.subscription_service = self.isession.subscription_service = self._subscriptions
        self.history = self.history_manager = History(self)

    async def limit(self, most_items: int) -> None:
        """Take no more than so many items in one call, and say so."""
        self._subscriptions.most_items = most_items
        told = ua.DataValue(ua.Variant(most_items, ua.VariantType.UInt32))
        await self.aspace.write_attribute_value(_MOST_ITEMS, AttributeIds.Value, told)


def _span(space: AddressSpace, node: ua.NodeId) -> float | None:
    """The width of a variable's EURange, None where it has none."""
    for reference in space[node].references:
        if reference.IsForward and reference.BrowseName.Name == "EURange":
            told = space.read_attribute_value(reference.NodeId, AttributeIds.Value).Value
            if told is not None and isinstance(told.Value, ua.Range):
                return float(told.Value.High) - float(told.Value.Low)
    return None


def _marked(value: ua.DataValue) -> ua.DataValue:
    """A copy with the Overflow bit: the address space keeps the value itself."""
    status = value.StatusCode.value if value.StatusCode is not None else 0
    return replace(value, StatusCode=ua.StatusCode(ua.UInt32(status | OVERFLOW)))

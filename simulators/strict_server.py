"""An asyncua server that behaves like a real one where the library's would hide loss.

Three things, each of which let a wrong collector pass its tests: a queue size of 0 means 1 for data (OPC 10000-4,
5.13.1.5; the library keeps 10,000), a value that was pushed out of a queue leaves the Overflow bit on its
successor (7.39.1), and Republish of an unknown message is refused (5.14.6; the library answers Good and
nothing, for ever).
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from asyncua import ua
from asyncua.common.utils import ServiceError
from asyncua.server.internal_server import InternalServer
from asyncua.server.internal_subscription import InternalSubscription
from asyncua.server.monitored_item_service import MonitoredItemData, MonitoredItemService
from asyncua.server.subscription_service import SubscriptionService
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.status_codes import StatusCodes

OVERFLOW = 0x480  # InfoType DataValue and its Overflow bit
EVENT_QUEUE = 1000


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
    """Makes subscriptions of the two kinds above."""

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

    def republish(self, params: ua.RepublishParameters) -> ua.NotificationMessage:
        if params.SubscriptionId not in self.subscriptions:
            raise ServiceError(StatusCodes.BadSubscriptionIdInvalid)
        return super().republish(params)


class StrictServer(InternalServer):
    """The server's inside, with subscriptions that hide nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.subscription_service = _Subscriptions(self.aspace, iserver=self)
        self.isession.subscription_service = self.subscription_service


def _marked(value: ua.DataValue) -> ua.DataValue:
    """A copy with the Overflow bit: the address space keeps the value itself."""
    status = value.StatusCode.value if value.StatusCode is not None else 0
    return replace(value, StatusCode=ua.StatusCode(ua.UInt32(status | OVERFLOW)))

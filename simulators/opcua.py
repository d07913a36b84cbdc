"""The OPC UA server of line 2: a variable per channel and machine with a short history, and events for the stops.

Stop events stay retained for half an hour of the story: nobody acknowledges them, so ConditionRefresh reports
them again, with the same EventIds, to a collector that was away (OPC 10000-9, 5.5.7 and 4.4).
"""

import copy
import ctypes
import gc
import logging
import sys
from collections import deque
from collections.abc import Iterable
from datetime import UTC, timedelta
from typing import Any, Self

from asyncua import ua
from asyncua.common.node import Node
from asyncua.server.server import Server
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes

from andon.events import MINUTE_NS
from simulators.machines import MACHINES
from simulators.messages import NAMESPACE, OpcuaEvent, OpcuaValue
from simulators.strict_server import StrictServer

__all__ = ["NAMESPACE", "RETAINED_NS", "STOP_TYPE", "PlantServer"]
APPLICATION = "urn:andon:simulator"
STOP_TYPE = "MachineStopType"
RETAINED_NS = 30 * MINUTE_NS
KEPT = 500
"""Values in the history of each variable, so that a collector that was away finds what it missed."""
_EPOCH = ua.DateTime(1970, 1, 1, tzinfo=UTC)
_PROPERTIES: tuple[tuple[str, ua.VariantType, str | int | bool], ...] = (
    ("Asset", ua.VariantType.String, ""),
    ("State", ua.VariantType.String, ""),
    ("ReasonId", ua.VariantType.String, ""),
    ("ReasonValue", ua.VariantType.Int32, 0),
    ("ReasonMessage", ua.VariantType.String, ""),
    ("ReasonCategory", ua.VariantType.String, ""),
    ("Active", ua.VariantType.Boolean, False),
)


class PlantServer:
    """Serves `variables` (node, asset, channel, unit) on loopback while it is entered; `port` 0 takes a free one."""

    namespace = NAMESPACE

    def __init__(self, variables: Iterable[tuple[str, str, str, str]], port: int) -> None:
        logging.getLogger("asyncua").setLevel(logging.WARNING)  # its INFO formats every message
        self._variables = list(variables)
        self._inside = StrictServer()
        self._server = Server(iserver=self._inside)
        self._server.set_endpoint(f"opc.tcp://127.0.0.1:{port}/")
        self._server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        self._nodes: dict[str, ua.NodeId] = {}
        self._retained: deque[tuple[int, Any]] = deque()

    async def __aenter__(self) -> Self:
        await self._server.init()
        _release_memory()
        await self._server.set_application_uri(APPLICATION)
        self._index = await self._server.register_namespace(self.namespace)
        machines = await self._add_machines()
        await self._add_variables(machines)
        await self._add_stop_type()
        await self._server.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.stop()

    @property
    def url(self) -> str:
        """Where it is served."""
        port = self._server.bserver.port if self._server.bserver is not None else 0
        return f"opc.tcp://127.0.0.1:{port}/"

    async def write(self, value: OpcuaValue) -> None:
        """Give a variable its value; those who subscribed to it are told."""
        moment = ua.DataValue(
            ua.Variant(value.value, ua.VariantType.Double),
            SourceTimestamp=moment_of(value.source_ns),
            ServerTimestamp=moment_of(value.at_ns),
        )
        await self._server.write_attribute_value(self._nodes[value.node], moment)

    async def emit(self, stop: OpcuaEvent) -> None:
        """Tell those who subscribed to events, and retain it for those who come later."""
        event = self.retain(stop)
        await self._server.iserver.subscription_service.trigger_event(event)

    def retain(self, stop: OpcuaEvent) -> Any:
        """The event, kept for ConditionRefresh as one of an earlier run is; what is too old is let go."""
        event = copy.copy(self._template)
        event.EventId = stop.event_id
        event.Time, event.ReceiveTime = moment_of(stop.time_ns), moment_of(stop.at_ns)
        event.SourceNode, event.SourceName = self._nodes[stop.asset], stop.asset
        event.Message, event.Severity = ua.LocalizedText(stop.reason_message), stop.severity
        event.Asset, event.State, event.Active = stop.asset, stop.state, stop.active
        event.ReasonId, event.ReasonValue = stop.reason_id, stop.reason_value
        event.ReasonMessage, event.ReasonCategory = stop.reason_message, stop.reason_category
        self._retained.append((stop.at_ns, event))
        while self._retained[0][0] < stop.at_ns - RETAINED_NS:
            self._retained.popleft()
        return event

    def _id(self, name: str) -> ua.NodeId:
        return ua.NodeId(ua.String(name), ua.Int16(self._index))

    async def _add_machines(self) -> dict[str, Node]:
        line = await self._server.nodes.objects.add_folder(self._id("L2"), f"{self._index}:Line 2")
        machines = {}
        for machine in MACHINES:
            if machine.channel == "opcua":
                node_id = self._nodes[machine.id] = self._id(machine.id)
                machines[machine.id] = await line.add_object(node_id, f"{self._index}:{machine.id}")
        return machines

    async def _add_variables(self, machines: dict[str, Node]) -> None:
        """All variables, without a value until the plant has spoken."""
        waiting = ua.StatusCode(ua.UInt32(StatusCodes.BadWaitingForInitialData))
        for name, asset, channel, _ in self._variables:
            node_id = self._nodes[name] = self._id(name)
            variable = await machines[asset].add_variable(
                node_id, f"{self._index}:{channel.replace('/', '.')}", 0.0, ua.VariantType.Double
            )
            await variable.write_value(ua.DataValue(ua.Variant(0.0, ua.VariantType.Double), waiting))
            await self._inside.history.keep(node_id, KEPT)

    async def _add_stop_type(self) -> None:
        stops = await self._server.nodes.base_event_type.add_object_type(
            self._id(STOP_TYPE), f"{self._index}:{STOP_TYPE}"
        )
        for name, kind, default in _PROPERTIES:
            node_id = self._id(f"{STOP_TYPE}.{name}")
            await stops.add_property(node_id, f"{self._index}:{name}", default, kind)
        self._template = (await self._server.get_event_generator(stops)).event
        refresh = self._server.get_node(ua.NodeId(ua.Int32(ObjectIds.ConditionType_ConditionRefresh)))
        self._server.link_method(refresh, self._refresh)

    async def _refresh(self, _parent: ua.NodeId, subscription: ua.Variant) -> ua.StatusCode:
        """ConditionRefresh: what is retained once more, for one subscription."""
        service, wanted = self._server.iserver.subscription_service, int(subscription.Value)
        if wanted not in service.subscriptions:
            return ua.StatusCode(ua.UInt32(StatusCodes.BadSubscriptionIdInvalid))
        await service.standard_events[ObjectIds.RefreshStartEventType].trigger(subscription_id=wanted)
        for _, event in list(self._retained):
            await service.trigger_event(event, subscription_id=wanted)
        await service.standard_events[ObjectIds.RefreshEndEventType].trigger(subscription_id=wanted)
        return ua.StatusCode()


def moment_of(at_ns: int) -> ua.DateTime:
    """That time as OPC UA writes it."""
    return _EPOCH + timedelta(microseconds=at_ns // 1000)


def _release_memory() -> None:
    """Give back the 40 MB of code that built the standard address space and is never run again."""
    for name in [name for name in sys.modules if name.startswith("asyncua.server.standard_address_space.")]:
        del sys.modules[name]
    gc.collect()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc keeps freed memory otherwise
        if trim is not None:
            trim(0)

"""The same plant as somebody else's: a gateway's own topics and words, and controllers with alarms, none of them Andon's.

What is told this way has to be understood by a mapping alone, so nothing here is taken from Andon's contract.
"""

import copy
import json
from collections.abc import Collection, Iterator
from typing import Any

from asyncua import ua
from asyncua.common.node import Node
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes

from andon.plant import Asset, Plant, Point
from simulators.machines import MACHINES, Machine
from simulators.messages import Item, MqttMessage, OpcuaEvent, OpcuaValue
from simulators.opcua import PlantServer, moment_of

COMPANY = "acme"
NAMESPACE = "urn:acme:controllers"
FIELDS = {
    "VEL/velocity_rms": "vib_rms",
    "DE/temperature": "bearing_temp",
    "M/current": "amps",
    "state": "state",
}
"""What a gateway calls the channels."""
NODES = {
    "VEL/velocity_rms": "VibrationRms",
    "DE/temperature": "BearingTemperature",
    "M/current": "MotorCurrent",
    "state": "StateCurrent",
}
"""What a controller calls them."""


def name_of(machine: Machine) -> str:
    """What everybody else calls the machine.

    >>> [name_of(machine) for machine in MACHINES if machine.asset_class == "press"]
    ['press9', 'press17', 'press18']
    """
    return f"{machine.asset_class}{MACHINES.index(machine) + 1}"


NAMES = {machine.id: name_of(machine) for machine in MACHINES}


def translated(message: MqttMessage) -> Iterator[MqttMessage]:
    """What a gateway makes of a message; nothing of blocks of samples and of what is broken."""
    *levels, kind, _ = message.topic.split("/")
    if kind not in {"_telemetry", "_event"} or levels[-1] not in NAMES:
        return
    try:
        told = json.loads(message.body)
    except ValueError:
        return
    top = f"{COMPANY}/hall{levels[-3][1:]}/{NAMES[levels[-1]]}"
    data = told.get("data") or {}
    if kind == "_event" and "reason" in data:
        body = _alarm(data["reason"], data["severity"], told["time"])
        yield MqttMessage(message.at_ns, f"{top}/alarm", body, retain=True)
    values = {
        FIELDS[one["name"]]: one["value"] for one in data.get("metrics", ()) if one.get("name") in FIELDS
    }
    if values:
        yield MqttMessage(message.at_ns, f"{top}/process", _json({**values, "ts": told["time"]}))


def standing(asset_ids: Collection[str], at_ns: int, at: str) -> Iterator[MqttMessage]:
    """What a gateway says as it begins: the last alarm of each machine, which is over."""
    for machine in MACHINES:
        if machine.channel == "mqtt" and machine.id in asset_ids:
            topic = f"{COMPANY}/hall{machine.line[1:]}/{NAMES[machine.id]}/alarm"
            over = {"id": "EMERGENCY_STOP", "message": "急停 · Emergency stop", "trigger": False}
            yield MqttMessage(at_ns, topic, _alarm(over, 900, at), retain=True)


def _alarm(reason: dict[str, Any], severity: int, at: str) -> bytes:
    phase = "COMING" if reason["trigger"] else "GOING"
    told = {"code": reason["id"], "text": reason["message"], "phase": phase, "prio": severity, "ts": at}
    return _json(told)


def _json(told: dict[str, Any]) -> bytes:
    return json.dumps(told, ensure_ascii=False).encode()


def foreign_plant(plant: Plant, asset_ids: Collection[str]) -> Plant:
    """The plant document that would understand it; `andon discover` proposes one of its own."""
    assets = [
        asset.model_copy(update={"id": NAMES[asset.id], "points": tuple(_heard(asset))})
        for asset in plant.assets
        if asset.id in asset_ids
    ]
    document = plant.model_dump(mode="json", exclude_defaults=True)
    classes = {name: [{"kind": "stop_alarm"}, {"kind": "stop_pattern"}] for name in plant.classes}
    document |= {"assets": [asset.model_dump(mode="json") for asset in assets], "classes": classes}
    return Plant.model_validate(document | {"mappings": [_PROCESS, _ALARM]})


def _heard(asset: Asset) -> Iterator[Point]:
    """Its points, of which nothing comes in blocks."""
    for point in asset.points:
        if point.quantities:
            yield point.model_copy(update={"kind": "scalar"})


_PROCESS = {
    "topic": f"{COMPANY}/{{hall}}/{{asset}}/process",
    "payload": "json",
    "time": "{.ts}",
    "channels": {field: channel for channel, field in FIELDS.items()},
}
_ALARM = {
    "topic": f"{COMPANY}/{{hall}}/{{asset}}/alarm",
    "payload": "stop",
    "time": "{.ts}",
    "stop": {
        "reason": "{.code}",
        "message": "{.text}",
        "active": "{.phase}",
        "actives": {"COMING": True, "GOING": False},
        "severity": "{.prio}",
    },
}


class ForeignServer(PlantServer):
    """The controllers of line 2 as another maker builds them: plain variables, and stops as alarms (OPC 10000-9)."""

    namespace = NAMESPACE

    async def _add_machines(self) -> dict[str, Node]:
        hall = await self._server.nodes.objects.add_folder(self._id("Hall2"), f"{self._index}:Hall 2")
        shown = {asset for _, asset, _, _ in self._variables}
        machines = {}
        for asset in sorted(shown):
            node_id = self._nodes[asset] = self._id(NAMES[asset])
            machines[asset] = await hall.add_object(node_id, f"{self._index}:{NAMES[asset]}")
        return machines

    async def _add_variables(self, machines: dict[str, Node]) -> None:
        waiting = ua.StatusCode(ua.UInt32(StatusCodes.BadWaitingForInitialData))
        for node, asset, channel, _ in self._variables:
            name = NODES[channel]
            node_id = self._nodes[node] = self._id(f"{NAMES[asset]}.{name}")
            variable = await machines[asset].add_variable(
                node_id, f"{self._index}:{name}", 0.0, ua.VariantType.Double
            )
            await variable.write_value(ua.DataValue(ua.Variant(0.0, ua.VariantType.Double), waiting))

    async def _add_stop_type(self) -> None:
        alarms = self._server.get_node(ua.NodeId(ua.Int32(ObjectIds.AlarmConditionType)))
        made = await alarms.add_object_type(self._id("StopAlarm"), f"{self._index}:StopAlarm")
        self._template = (await self._server.get_event_generator(made)).event

    async def write(self, value: OpcuaValue) -> None:
        """Give a variable its value, if its machine is shown."""
        if value.node in self._nodes:
            await super().write(value)

    def retain(self, stop: OpcuaEvent) -> Any:
        """The alarm as the standard has it; the server keeps it for ConditionRefresh while it stands."""
        event = copy.copy(self._template)
        event.EventId = stop.event_id
        event.Time, event.ReceiveTime = moment_of(stop.time_ns), moment_of(stop.at_ns)
        event.SourceNode, event.SourceName = self._nodes[stop.asset], NAMES[stop.asset]
        event.NodeId = self._id(f"{NAMES[stop.asset]}.{stop.reason_id}")
        event.ConditionName, event.Retain = stop.reason_id, stop.active
        event.Message, event.Severity = ua.LocalizedText(stop.reason_message), stop.severity
        setattr(event, "EnabledState/Id", True)
        setattr(event, "ActiveState/Id", stop.active)
        return event


def foreign(item: Item) -> Iterator[Item]:
    """An item in the other plant's words; what OPC UA serves is worded by its server."""
    if isinstance(item, MqttMessage):
        yield from translated(item)
    else:
        yield item

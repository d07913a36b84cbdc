"""Events of an OPC UA server: which fields are asked for, and what a stop event or an alarm says in our words.

The fields are asked for by name, without browsing the server's types first: that takes minutes on a small
controller and fails on some. A field that an event does not have comes as null.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from pydantic import BaseModel, ConfigDict, Field

from andon.events import Json
from andon.ports import Record, RecordKind
from ingest.opcua_items import Address
from ingest.opcua_words import address_of, node_id, text_of, time_of

_SEVERITIES = (1, 1000)
_OWN = ("asset", "state", "reason_id", "reason_value", "reason_message", "reason_category", "active")
_BASE = ua.NodeId(ua.Int32(ObjectIds.BaseEventType))
_CONDITION = ua.NodeId(ua.Int32(ObjectIds.ConditionType))
_ACKNOWLEDGEABLE = ua.NodeId(ua.Int32(ObjectIds.AcknowledgeableConditionType))
_ALARM = ua.NodeId(ua.Int32(ObjectIds.AlarmConditionType))
_BASE_FIELDS = ("EventId", "EventType", "SourceNode", "SourceName", "Time", "Message", "Severity")
_CONDITION_FIELDS: tuple[tuple[ua.NodeId, str], ...] = (
    (_CONDITION, "ConditionName"),
    (_CONDITION, "ConditionClassName"),
    (_CONDITION, "BranchId"),
    (_CONDITION, "Retain"),
    (_CONDITION, "EnabledState/Id"),
    (_ACKNOWLEDGEABLE, "AckedState/Id"),
    (_ALARM, "ActiveState/Id"),
)
CONDITION_ID = "ConditionId"
REFRESH_START = f"i={ObjectIds.RefreshStartEventType}"
REFRESH_END = f"i={ObjectIds.RefreshEndEventType}"
REFRESH_REQUIRED = f"i={ObjectIds.RefreshRequiredEventType}"
QUEUE_OVERFLOW = f"i={ObjectIds.EventQueueOverflowEventType}"


class Events(BaseModel):
    """Where stop events and alarms come from and which of their properties say what."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    notifiers: tuple[Address, ...] = Field(
        default=("i=2253",), min_length=1, description="the nodes that report them; the Server object"
    )
    namespace: str | None = Field(
        default=None,
        description="namespace of the properties below; None asks for those of the standard alone",
    )
    event_type: Address | None = Field(default=None, description="only events of this type; None takes all")
    queue: int = Field(default=1000, ge=1, description="events that the server keeps between two publishings")
    assets: dict[str, str] = Field(
        default={}, description="the machine of an alarm's SourceName; if empty, SourceName is the machine"
    )
    alarm_state: str = Field(default="Stopped", description="PackML state of an alarm that names none")
    asset: str = "Asset"
    state: str = "State"
    reason_id: str = "ReasonId"
    reason_value: str = "ReasonValue"
    reason_message: str = "ReasonMessage"
    reason_category: str = "ReasonCategory"
    active: str = "Active"


@dataclass(frozen=True, slots=True)
class Asked:
    """The fields that are asked for: what each is called here, and its select clause."""

    names: tuple[str, ...]
    clauses: tuple[ua.SimpleAttributeOperand, ...]

    def told(self, values: Sequence[ua.Variant]) -> Mapping[str, object]:
        """The values by these names."""
        return {name: value.Value for name, value in zip(self.names, values, strict=False)}


def asked(events: Events, namespaces: Sequence[str], *, conditions: bool = True) -> Asked:
    """The fields of base events, of conditions and alarms (some servers refuse these), and our own properties.

    ValueError if the server has no such namespace (yet).
    """
    chosen = [(name, _operand(_BASE, name)) for name in _BASE_FIELDS]
    if conditions:
        chosen += [(name, _operand(kind, name)) for kind, name in _CONDITION_FIELDS]
        chosen.append((CONDITION_ID, ua.SimpleAttributeOperand(_CONDITION, [], AttributeIds.NodeId)))
    if events.namespace is not None:
        if events.namespace not in namespaces:
            raise ValueError(f"the server has no namespace {events.namespace!r}")
        kind = node_id(events.event_type, namespaces) if events.event_type else _BASE
        index = namespaces.index(events.namespace)
        chosen += [(f".{own}", _operand(kind, str(getattr(events, own)), index)) for own in _OWN]
    return Asked(tuple(name for name, _ in chosen), tuple(clause for _, clause in chosen))


def event_filter(events: Events, fields: Asked, namespaces: Sequence[str], *, where: bool) -> ua.EventFilter:
    """The filter with these fields, and with the event type as a condition if `where`."""
    chosen = ua.EventFilter(SelectClauses=list(fields.clauses))
    if where and events.event_type is not None:
        kind = node_id(events.event_type, namespaces)
        literal = ua.LiteralOperand(ua.Variant(kind, ua.VariantType.NodeId))
        chosen.WhereClause.Elements = [ua.ContentFilterElement(ua.FilterOperator.OfType, [literal])]
    return chosen


def kind_of(fields: Mapping[str, object]) -> str:
    """The event's type as an address of the standard's own namespace, where it is one."""
    kind = fields.get("EventType")
    return str(kind.to_string()) if isinstance(kind, ua.NodeId) else ""


@dataclass(frozen=True, slots=True)
class Said:
    """What an event says of a machine's stop; `condition` names the alarm if it is one that stands until it is over."""

    body: Mapping[str, Json]
    condition: str | None

    @property
    def active(self) -> bool:
        """Whether the stop stands."""
        return bool(self.body["reason"]["trigger"])

    def record(self, received_ns: int) -> Record:
        """As it goes to the journal."""
        topic = f"{self.body['asset'] or ''}/_event".encode()
        return Record(RecordKind.MESSAGE, received_ns, topic, msgspec.json.encode(self.body))


def said_of(fields: Mapping[str, object], events: Events, namespaces: Sequence[str] = ()) -> Said | None:
    """The stop that an event tells of; None if it speaks of no machine of ours, or of an alarm's past (a branch)."""
    condition = _condition(fields, namespaces)
    branch = fields.get("BranchId")
    if condition is not None and isinstance(branch, ua.NodeId) and not branch.is_null():
        return None
    asset = text_of(fields.get(".asset"))
    reason_id = text_of(fields.get(".reason_id"))
    active = fields.get(".active")
    if condition is not None:
        asset = asset or _machine(text_of(fields.get("SourceName")), events)
        reason_id = reason_id or text_of(fields.get("ConditionName"))
        active = active if isinstance(active, bool) else _is_active(fields)
        if not asset or not isinstance(active, bool):
            return None
    if not asset and not reason_id:
        return None
    low, high = _SEVERITIES
    body: dict[str, Json] = {
        "type": "opcua.event",
        "event_id": _hex(fields.get("EventId")),
        "event_type": kind_of(fields),
        "time": time_of(fields.get("Time")),
        "source_name": text_of(fields.get("SourceName")),
        "message": text_of(fields.get("Message")),
        "asset": asset or None,
        "state": _state(fields.get(".state")) or events.alarm_state,
        "reason": {
            "id": reason_id,
            "value": _whole(fields.get(".reason_value")),
            "message": text_of(fields.get(".reason_message")) or text_of(fields.get("Message")),
            "category": text_of(fields.get(".reason_category"))
            or (text_of(fields.get("ConditionClassName")) if condition else ""),
            "trigger": active if isinstance(active, bool) else None,  # refused where nobody said it
        },
        "severity": min(max(_whole(fields.get("Severity")), low), high),
        "condition": condition,
        "acknowledged": fields.get("AckedState/Id"),
    }
    return Said(body, condition)


def _condition(fields: Mapping[str, object], namespaces: Sequence[str]) -> str | None:
    """Which condition it is, over restarts of the server; None for an event that is none."""
    node = fields.get(CONDITION_ID)
    if isinstance(node, ua.NodeId) and not node.is_null():
        return address_of(node, namespaces)
    name = text_of(fields.get("ConditionName"))
    return f"{text_of(fields.get('SourceName'))}/{name}" if name else None


def _machine(source: str, events: Events) -> str:
    return events.assets.get(source, "") if events.assets else source


def _is_active(fields: Mapping[str, object]) -> bool | None:
    """An alarm that is switched off says nothing, so it is not active. None for a condition that is no alarm."""
    active = fields.get("ActiveState/Id")
    if not isinstance(active, bool):
        return None
    return active and fields.get("EnabledState/Id") is not False


def _state(told: object) -> str | int:
    return told if isinstance(told, int) and not isinstance(told, bool) else text_of(told)


def _operand(kind: ua.NodeId, path: str, index: int = 0) -> ua.SimpleAttributeOperand:
    """A field by its browse path; a name of the configuration's is one name, whatever is in it."""
    names = path.split("/") if index == 0 else [path]
    steps = [ua.QualifiedName(name, ua.UInt16(index)) for name in names]
    return ua.SimpleAttributeOperand(kind, steps, AttributeIds.Value)


def _whole(told: object) -> int:
    return int(told) if isinstance(told, int) else 0


def _hex(told: object) -> str:
    return told.hex() if isinstance(told, bytes) else ""

"""PackML's alarm structures on an OPC UA server (Admin.StopReason, Admin.Alarm) as stops of a machine.

The structure's binary layout is known, so its type need not be loaded from the server first.
"""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Protocol, runtime_checkable

from asyncua import ua

from andon.events import PackMLState, nanoseconds, rfc3339
from ingest.opcua_conditions import LISTED
from ingest.opcua_events import Said
from ingest.opcua_items import Watched
from ingest.opcua_words import text_of
from ingest.packml import ALARM_ENCODING, PACKML_URI, PackMLAlarm, alarm_of, state_of

SEVERITY = 500  # the structure has none
MOST = 200
"""Alarms that are taken of one list."""
_AT_WORK = {
    PackMLState.STARTING,
    PackMLState.IDLE,
    PackMLState.EXECUTE,
    PackMLState.UNHOLDING,
    PackMLState.UNSUSPENDING,
    PackMLState.RESETTING,
    PackMLState.COMPLETING,
    PackMLState.COMPLETE,
}


@runtime_checkable
class _Loaded(Protocol):
    """The structure where somebody has loaded its type."""

    ID: int
    Value: int
    Message: object
    Category: int
    DateTime: datetime | None
    Trigger: bool


def alarms_of(raw: object, namespaces: Sequence[str]) -> list[PackMLAlarm]:
    """The alarms in a value: one structure or a list of them, places without an alarm left out. Else ValueError."""
    told = raw if isinstance(raw, list) else [raw]
    found = [_alarm(one, namespaces) for one in told[:MOST] if one is not None]
    return [alarm for alarm in found if alarm is not None and alarm.id]


def said_of(
    alarms: Sequence[PackMLAlarm], watched: Watched, source_time: str | None, state: str | int | None
) -> list[Said]:
    """What these alarms say of the machine; `state` is the last that is known of it."""
    return [_said(alarm, watched, source_time, _stopped(state)) for alarm in alarms]


def scope_of(watched: Watched) -> str:
    """Begins the names of all alarms of that list."""
    return f"{LISTED}{watched.node}#"


def _alarm(one: object, namespaces: Sequence[str]) -> PackMLAlarm | None:
    if isinstance(one, ua.ExtensionObject):
        if one.Body is None:
            return None
        kind, index = one.TypeId, int(one.TypeId.NamespaceIndex)
        known = index < len(namespaces) and namespaces[index] == PACKML_URI
        if not known or kind.Identifier != ALARM_ENCODING:
            raise ValueError(f"no PackML alarm: a structure of type {kind.to_string()}")
        return alarm_of(one.Body)
    if isinstance(one, _Loaded):
        at = one.DateTime
        at_ns = None if at is None or at.year < 1970 else _nanoseconds(at)
        return PackMLAlarm(
            one.ID, one.Value, text_of(one.Message), one.Category, at_ns, trigger=bool(one.Trigger)
        )
    raise ValueError(f"no PackML alarm: {type(one).__name__}")


def _said(alarm: PackMLAlarm, watched: Watched, source_time: str | None, state: str | int) -> Said:
    began = source_time if alarm.at_ns is None else rfc3339_exact(alarm.at_ns)
    identity = f"{watched.node}\x00{alarm.id}\x00{alarm.value}\x00{began}\x00{alarm.trigger}"
    body = {
        "type": "opcua.event",
        "event_id": hashlib.blake2b(identity.encode(), digest_size=16).hexdigest(),
        "time": began if alarm.trigger else source_time,
        "asset": watched.item.asset,
        "state": state,
        "reason": {
            "id": str(alarm.id),
            "value": alarm.value,
            "message": alarm.message,
            "category": str(alarm.category),
            "trigger": alarm.trigger,
        },
        "severity": SEVERITY,
        "condition": f"{scope_of(watched)}{alarm.id}",
    }
    return Said(body, str(body["condition"]))


def _stopped(state: str | int | None) -> str | int:
    """The machine's state if it is one of standing still: the structure often changes before the state does."""
    if state is None or state_of(state) in _AT_WORK:
        return "Stopped"
    return state


def rfc3339_exact(at_ns: int) -> str:
    """The time as RFC 3339 in UTC, to the nanosecond: an identity is made of it."""
    return f"{rfc3339(at_ns)[:-5]}.{at_ns % 1_000_000_000:09d}Z"


def _nanoseconds(at: datetime) -> int:
    moment = at if at.tzinfo else at.replace(tzinfo=UTC)
    return nanoseconds(moment.isoformat())

"""What a server says in OPC UA, as journal records: the one place where asyncua's values are narrowed.

Everything here is total: whatever a server sends becomes a record, if need be one of a value that is not there.
"""

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
from asyncua import ua
from asyncua.ua.uaerrors import UaStringParsingError

from andon.events import Json
from andon.ports import Record, RecordKind

BAD = 0x8000_0000
BAD_TYPE_MISMATCH = 0x8074_0000
OVERFLOW = 0x480
"""InfoType DataValue with the Overflow bit: values were pushed out of the server's queue (OPC 10000-4, 7.39)."""


@dataclass(frozen=True, slots=True)
class Value:
    """A data change, narrowed: `value` is None where there is no value that Andon can keep."""

    value: float | str | None
    status: int
    source_time: str | None
    server_time: str | None
    encoding: str | None = None

    @property
    def overflowed(self) -> bool:
        """Whether values before this one were lost in the server's queue."""
        return self.status & OVERFLOW == OVERFLOW


def value_of(told: ua.DataValue) -> Value:
    """The value, status and times of a notification."""
    raw = told.Value.Value if told.Value is not None else None
    status = int(told.StatusCode.value) if told.StatusCode is not None else 0
    value, encoding = _plain(raw)
    if value is None and status < BAD:
        status = BAD if raw is None or isinstance(raw, float) else BAD_TYPE_MISMATCH
    return Value(value, status, time_of(told.SourceTimestamp), time_of(told.ServerTimestamp), encoding)


def value_record(
    asset: str, channel: str, node: str, value: Value, received_ns: int, *, backfilled: bool = False
) -> Record:
    """The record of a data change, addressed by its asset and channel; `backfilled` if it comes from history."""
    body: dict[str, Json] = {
        "type": "opcua.data",
        "node": node,
        "value": value.value,
        "status": value.status,
        "source_time": value.source_time,
        "server_time": value.server_time,
    }
    if value.encoding is not None:
        body["encoding"] = value.encoding
    if backfilled:
        body["backfilled"] = True
    return Record(RecordKind.MESSAGE, received_ns, f"{asset}/{channel}".encode(), msgspec.json.encode(body))


def gap_record(
    from_ns: int,
    to_ns: int | None,
    cause: str,
    received_ns: int,
    *,
    asset: str | None = None,
    point: str | None = None,
    count: int = 0,
    backfilled: bool = False,
) -> Record:
    """The record of data known to be missing; `count` notifications had come and were dropped for want of room.

    A later one of the same cause and beginning says when it ended, and whether history has filled it.
    """
    body = {
        "asset": asset,
        "point": point,
        "from_ns": from_ns,
        "to_ns": to_ns,
        "cause": cause,
        "backfilled": backfilled,
        "count": count,
    }
    return Record(RecordKind.GAP, received_ns, b"", msgspec.json.encode(body))


def status_name(status: int) -> str:
    """The name of a status code, its number where it has none."""
    name = str(ua.StatusCode(ua.UInt32(status & 0xFFFF_0000)).name)  # the low half holds flags
    return name if name and name != "UnknownUaError" else f"{status:#010x}"


def node_id(address: str, namespaces: Sequence[str]) -> ua.NodeId:
    """The node of an address on a server whose namespace array that is; ValueError if it cannot be named there.

    Addresses name their namespace (`nsu=urn:x;s=M1.T`), because its index may change when a server restarts;
    those of the standard's own namespace need none (`i=2253`).
    """
    uri, rest = "", address
    if address.startswith("nsu="):
        uri, _, rest = address[4:].partition(";")
        if uri not in namespaces:
            raise ValueError(f"the server has no namespace {uri!r}")
    try:
        return ua.NodeId.from_string(f"ns={namespaces.index(uri) if uri else 0};{rest}")
    except UaStringParsingError as error:
        raise ValueError(f"no node id: {address!r}") from error


def address_of(node: ua.NodeId, namespaces: Sequence[str]) -> str:
    """The address of a node, which stays the same when the server's namespaces change their indices."""
    index = int(node.NamespaceIndex)
    text = str(ua.NodeId(node.Identifier, ua.Int16(0), node.NodeIdType).to_string())
    if not index:
        return text
    return f"nsu={namespaces[index] if index < len(namespaces) else index};{text}"


def _plain(raw: object) -> tuple[float | str | None, str | None]:
    """(value, encoding): numbers and texts as they are, bytes as base64, None for what is neither or not finite."""
    if isinstance(raw, bool):
        return int(raw), None
    if isinstance(raw, float):
        return (float(raw) if math.isfinite(raw) else None), None
    if isinstance(raw, int):
        return int(raw), None
    if isinstance(raw, str | ua.LocalizedText):  # the latter is the current state of a state machine
        return text_of(raw), None
    if isinstance(raw, bytes):
        return base64.b64encode(raw).decode(), "base64"
    return None, None


def time_of(told: object) -> str | None:
    """RFC 3339; None where a server writes the least or greatest time to say that it has none."""
    if not isinstance(told, datetime) or not 1970 <= told.year <= 2200:
        return None
    moment = told if told.tzinfo is None else told.astimezone(UTC).replace(tzinfo=None)
    return moment.isoformat() + "Z"


def text_of(told: object) -> str:
    """Texts and names as they are written; empty for anything else."""
    if isinstance(told, ua.LocalizedText):
        return str(told.Text or "")
    if isinstance(told, ua.NodeId):
        return str(told.to_string())
    return str(told) if isinstance(told, str) else ""

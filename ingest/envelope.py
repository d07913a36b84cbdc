"""What a JSON message must look like, and a parser that only ever gives one of these or a reason.

Numbers are numbers: "1" is not 1.0, NaN is no JSON. Unknown fields are ignored, so that a newer sender is
understood. The envelope has CloudEvents 1.0 names.
"""

import json
import math
from typing import Annotated, Literal, NoReturn, TypeVar

import msgspec
from msgspec import Meta, Struct, ValidationError

from andon.events import Json
from ingest.refusal import Reason, Refused

T = TypeVar("T")
_Name = Annotated[str, Meta(min_length=1, max_length=200)]
_Text = Annotated[str, Meta(max_length=4000, pattern="^[^\x00]*$")]  # PostgreSQL stores no NUL
_Sequence = Annotated[int, Meta(ge=0, le=2**63 - 2)]
_Severity = Annotated[int, Meta(ge=1, le=1000)]
_Nanoseconds = Annotated[int, Meta(ge=0, le=2**63 - 1)]
_StatusCode = Annotated[int, Meta(ge=0, le=2**32 - 1)]


class Metric(Struct, frozen=True, gc=False):
    """One value of one channel; `ts` where it differs from the envelope's time. null is a value that is not there."""

    name: _Name
    value: float | None
    unit: Annotated[str, Meta(max_length=40)] | None = None
    ts: str | None = None
    quality: _StatusCode = 0


class Metrics(Struct, frozen=True, gc=False):
    """The data of a telemetry message."""

    metrics: Annotated[list[Metric], Meta(min_length=1)]


class StopReason(Struct, frozen=True, gc=False):
    """Why a machine stopped: the fields of PackMLAlarmDataType (OPC 30050, 6.8.2.2). `trigger` false clears it.

    `event_id` is the sender's own name for what happened; all that has the same on one machine is one ticket.
    """

    id: Annotated[str, Meta(min_length=1, max_length=200, pattern="^[^\x00]*$")]
    trigger: bool
    value: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] = 0
    message: _Text = ""
    category: _Text = ""
    event_id: Annotated[str, Meta(max_length=200, pattern="^[^\x00]*$")] = ""


class Stop(Struct, frozen=True, gc=False):
    """The data of a stop alarm."""

    state: str
    reason: StopReason
    severity: _Severity = 500
    state_num: int | None = None
    start_time: str | None = None
    end_time: str | None = None


class Envelope(Struct, frozen=True, gc=False, kw_only=True):
    """What both kinds of message carry besides their data."""

    id: _Name | None = None
    source: _Name | None = None
    time: str | None = None
    producer: _Name | None = None
    boot: _Name | None = None
    seq: _Sequence | None = None


class Telemetry(Envelope, frozen=True, gc=False, kw_only=True):
    """A message of class `_telemetry`."""

    type: Literal["andon.telemetry.v1"]
    data: Metrics


class StopMessage(Envelope, frozen=True, gc=False, kw_only=True):
    """A message of class `_event`."""

    type: Literal["andon.machine.stop.v1"]
    data: Stop


class OpcUaData(Struct, frozen=True, gc=False, tag_field="type", tag="opcua.data"):
    """A data change as the OPC UA collector wrote it; a ByteString comes as base64 and says so in `encoding`.

    `backfilled` says that it was read from the server's history after a gap.
    """

    node: str
    value: float | str | None
    status: _StatusCode
    source_time: str | None = None
    server_time: str | None = None
    encoding: Literal["base64"] | None = None
    backfilled: bool = False


class OpcUaEvent(Struct, frozen=True, gc=False, tag_field="type", tag="opcua.event"):
    """An OPC UA event that reports a machine stop, as the collector wrote it."""

    event_id: _Name
    time: str | None
    asset: str | None
    state: str | int
    reason: StopReason
    severity: _Severity


class GapBody(Struct, frozen=True, gc=False):
    """The body of a GAP record. `count` messages had reached Andon and were dropped for want of room."""

    asset: str | None
    point: str | None
    from_ns: _Nanoseconds
    to_ns: _Nanoseconds | None
    cause: _Name
    backfilled: bool = False
    count: Annotated[int, Meta(ge=0)] = 0


class NoticeBody(Struct, frozen=True, gc=False):
    """The body of a NOTICE record: something about our own line."""

    code: _Name
    subject: _Name
    active: bool
    severity: Annotated[int, Meta(ge=1, le=1000)]
    detail: str = ""


class DeclarationBody(Struct, frozen=True, gc=False):
    """The body of a DECLARATION record: what a person says about a machine."""

    id: _Sequence
    asset: _Name
    component: _Name | None
    what: Literal["repair", "operating_change", "maintenance_begins", "maintenance_ends"]
    by: _Name
    note: str = ""
    ticket: str | None = None


class Presence(Struct, frozen=True, gc=False):
    """A word about a device's connection, usually its will. Other fields are ignored."""

    online: bool


class RefusedBody(Struct, frozen=True, gc=False):
    """The body of a REFUSED record: what is left of a message that was refused before parsing."""

    reason: Annotated[str, Meta(pattern="^[a-z][a-z0-9_]{0,63}$")]
    length: Annotated[int, Meta(ge=0)]
    sha256: Annotated[str, Meta(max_length=64)]
    head: bytes
    detail: str = ""


class ConfigBody(Struct, frozen=True, gc=False):
    """The body of a CONFIG record."""

    version: int
    document: dict[str, Json]


class _Typed(Struct, frozen=True, gc=False):
    type: str


TELEMETRY = msgspec.json.Decoder(Telemetry)
STOP = msgspec.json.Decoder(StopMessage)
OPCUA = msgspec.json.Decoder(OpcUaData | OpcUaEvent)
PRESENCE = msgspec.json.Decoder(Presence)
GAP = msgspec.json.Decoder(GapBody)
REFUSED = msgspec.json.Decoder(RefusedBody)
NOTICE = msgspec.json.Decoder(NoticeBody)
DECLARATION = msgspec.json.Decoder(DeclarationBody)
CONFIG = msgspec.json.Decoder(ConfigBody)
_TYPED = msgspec.json.Decoder(_Typed)


def parse(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """The message in `body`; Refused says why there is none."""
    if not body.isascii():
        check_utf8(body)
    try:
        return decoder.decode(body)
    except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
        _refuse(body, error)


def check_utf8(text: bytes) -> str:
    """The text, or Refused with the place of the first wrong byte."""
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise Refused(Reason.INVALID_UTF8, f"byte {error.start}: {error.reason}") from None


def type_of(body: bytes) -> str:
    """The `type` of a JSON message, empty if it has none."""
    try:
        return _TYPED.decode(body).type
    except (ValueError, RecursionError):
        return ""


class _NotFiniteError(Exception):
    pass


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise _NotFiniteError(text[:40])
    return number


def _refuse(body: bytes, error: Exception) -> NoReturn:
    """Say which of the reasons it is. Only here, where the message is lost anyway, the slow parser may look."""
    try:
        json.loads(body, parse_constant=_finite, parse_float=_finite)
    except _NotFiniteError as literal:
        raise Refused(Reason.NOT_FINITE_JSON, f"{literal} is no JSON number") from None
    except (ValueError, RecursionError) as problem:
        raise Refused(Reason.MALFORMED_JSON, str(problem)) from None
    too_big = isinstance(error, ValidationError) and str(error).startswith("Number out of range")
    if too_big or not isinstance(error, ValidationError):
        raise Refused(Reason.MALFORMED_JSON, str(error)) from None
    raise Refused(Reason.SCHEMA, str(error)) from None

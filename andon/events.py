"""The words of Andon: what travels from a machine to a ticket.

Inside, times are integer nanoseconds UTC; RFC 3339 is spoken at the edges only (`rfc3339`, `nanoseconds`).
Every event carries the place it came from (`Origin`), whose trace id follows it to the last notification.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum, StrEnum
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS
HOUR_NS = 60 * MINUTE_NS

Json = Any  # what `json.dumps` takes: the one place where evidence is not typed further
Int64 = NDArray[np.int64]
Int32 = NDArray[np.int32]
Float64 = NDArray[np.float64]
Float32 = NDArray[np.float32]
UInt32 = NDArray[np.uint32]


class Quality(IntEnum):
    """The severity bits of an OPC UA StatusCode (OPC 10000-4, 7.39)."""

    GOOD = 0x0000_0000
    UNCERTAIN = 0x4000_0000
    BAD = 0x8000_0000


class PackMLState(IntEnum):
    """The states of a machine with their numbers (ISA-TR88.00.02, StateCurrent)."""

    CLEARING = 1
    STOPPED = 2
    STARTING = 3
    IDLE = 4
    SUSPENDED = 5
    EXECUTE = 6
    STOPPING = 7
    ABORTING = 8
    ABORTED = 9
    HOLDING = 10
    HELD = 11
    UNHOLDING = 12
    SUSPENDING = 13
    UNSUSPENDING = 14
    RESETTING = 15
    COMPLETING = 16
    COMPLETE = 17


class Family(StrEnum):
    """Fault families: with the component they make the ticket's key (ticketing rule 4.1)."""

    MACHINE_CONDITION = "machine_condition"
    TEMPERATURE = "temperature"
    ELECTRICAL = "electrical"
    DATA_QUALITY = "data_quality"
    STOP = "stop"
    REPORT = "report"  # a person said it


class Action(StrEnum):
    """What a finding does to the condition it speaks of."""

    RAISE = "raise"
    UPDATE = "update"
    CLEAR = "clear"


@dataclass(frozen=True, slots=True)
class Origin:
    """The journal record that an event was decoded from, and when Andon received it."""

    source: str
    position: int
    received_ns: int

    @property
    def trace_id(self) -> str:
        """The id that joins all hops from the sensor's message to the last notification."""
        return f"{self.source}:{self.position}"


@dataclass(frozen=True, slots=True, eq=False)
class Readings:
    """A columnar block of one asset; a single value is a block of one.

    `at_ns` (n,) int64 event times; `channel` (n,) int32 indices into `channels`; `value` (n,) float64 in
    `units[channel]`; `quality` (n,) uint32 OPC UA StatusCodes. A channel is named `point/quantity`
    ("DE/velocity_rms"), or `state` for the PackML StateCurrent number. `historical` values are kept and never
    judged, however new they are: they come late by their sender's own word.
    """

    asset: str
    channels: tuple[str, ...]
    units: tuple[str, ...]
    at_ns: Int64
    channel: Int32
    value: Float64
    quality: UInt32
    origin: Origin
    historical: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Waveform:
    """One block of one measuring point: `samples` (n, axes) float32 in `unit`, evenly spaced at `rate_hz`.

    `at_ns` is the time of the first sample; `speed_hz` the shaft speed if the source or its tacho knows it. For
    `historical` see `Readings`. `turns` (m,) are the tacho's marks, one per revolution, in samples from the first;
    `doubt` is what the plant document has against the block, a code of `detectors/validity.py`.
    """

    asset: str
    point: str
    at_ns: int
    rate_hz: float
    samples: Float32
    unit: str
    speed_hz: float | None
    origin: Origin
    historical: bool = False
    turns: Float64 | None = None
    doubt: str = ""


@dataclass(frozen=True, slots=True)
class StopAlarm:
    """A machine stop as MES or PLC report it, in PackML words (OPC 30050, 6.8.2.2).

    `at_ns` is when the alarm became active, or when it cleared if `active` is false. `severity` 1..1000. `event_id` is
    the source's own name for what happened, if it sent one.
    """

    asset: str
    at_ns: int
    state: PackMLState
    reason_id: str
    reason_value: int
    message: str
    category: str
    active: bool
    severity: int
    origin: Origin
    event_id: str = ""


class GapCause(StrEnum):
    """Why data is missing; docs/gaps.md says what each means. New ones may be added, none changes its meaning."""

    CONNECTION = "connection"
    DISCONNECTED = "disconnected"
    SESSION_LOST = "session_lost"
    BROKER_DROPPED = "broker_dropped"
    QOS0_OVERFLOW = "qos0_overflow"
    OVERFLOW = "overflow"
    SERVER_QUEUE_OVERFLOW = "server_queue_overflow"
    EVENT_QUEUE_OVERFLOW = "event_queue_overflow"
    NOTIFICATION_LOST = "notification_lost"
    UNREADABLE = "unreadable"
    ITEM_SILENT = "item_silent"
    ITEM_MISSING = "item_missing"
    SEQUENCE = "sequence"
    OFFLINE = "offline"
    SOURCE_SILENT = "source_silent"
    SPARKPLUG_SEQ = "sparkplug_seq"
    SPARKPLUG_DEATH = "sparkplug_death"
    SPARKPLUG_NO_BIRTH = "sparkplug_no_birth"


@dataclass(frozen=True, slots=True)
class Gap:
    """Data known to be missing: silence is never health. `asset` and `point` are None where all are meant.

    `to_ns` is None while the gap is still open.
    """

    source: str
    asset: str | None
    point: str | None
    from_ns: int
    to_ns: int | None
    cause: str
    backfilled: bool
    origin: Origin


@dataclass(frozen=True, slots=True)
class Tick:
    """The engine's clock as an event, once a second, so that silence is an event and detectors need no clock."""

    at_ns: int
    origin: Origin


@dataclass(frozen=True, slots=True)
class ConfigChanged:
    """The plant document changes at this position of the stream, never beside it."""

    at_ns: int
    version: int
    document: Mapping[str, Json]
    origin: Origin


@dataclass(frozen=True, slots=True)
class Notice:
    """Something about Andon's own line that a person has to know: a full disk, a source that keeps dying.

    `code` is stable ("disk_full"), `subject` what it is about (a source, a folder), `severity` 1..1000.
    `active` is false once it is over.
    """

    at_ns: int
    code: str
    subject: str
    active: bool
    severity: int
    detail: str
    origin: Origin


class Declared(StrEnum):
    """What a person may declare about a machine."""

    REPAIR = "repair"
    OPERATING_CHANGE = "operating_change"
    MAINTENANCE_BEGINS = "maintenance_begins"
    MAINTENANCE_ENDS = "maintenance_ends"


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a person says about a machine, at its place in the stream: the only reason to learn a baseline anew.

    `component` is None where the whole asset is meant; `ticket` is the number of the ticket whose closure proposed
    it, else None. Readings between the beginning and the end of maintenance are not judged. `id` is the number under
    which it was asked for (`andon.declarations`).
    """

    at_ns: int
    asset: str
    component: str | None
    what: Declared
    by: str
    note: str
    ticket: str | None
    origin: Origin
    id: int = 0


Event = Readings | Waveform | StopAlarm | Gap | Tick | ConfigChanged | Notice | Declaration


@dataclass(frozen=True, slots=True)
class Number:
    """One number that a person needs to believe a finding, with the limit it crossed and where that comes from."""

    name: str
    value: float
    unit: str
    limit: float | None = None
    limit_source: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a detector says about one component of one asset.

    `id` is deterministic (`finding_id`). `condition` is the class inside the family ("velocity_zone_c",
    "bearing_outer_race", "silent_sensor"): an attribute, never part of the ticket's key. For family STOP,
    `component` is the stop reason's id. `onset_ns` is when the condition began, `at_ns` the event time of
    this word about it. `evidence` is plot-ready JSON: see `detectors/evidence.py`. `set_version` is the version of
    the plant's detector set that was in force (0: not known); the pipeline fills it in.
    """

    id: str
    asset: str
    component: str
    family: Family
    condition: str
    action: Action
    at_ns: int
    onset_ns: int
    severity: int
    confidence: float
    numbers: tuple[Number, ...]
    evidence: Mapping[str, Json]
    detector: str
    version: str
    parameters_hash: str
    origin: Origin
    text: Mapping[str, str] = field(default_factory=dict)
    set_version: int = 0


Priority = Literal["low", "medium", "high", "critical"]


def rfc3339(at_ns: int) -> str:
    """The time as RFC 3339 in UTC to the millisecond.

    >>> rfc3339(1_700_000_000_123_456_789)
    '2023-11-14T22:13:20.123Z'
    """
    seconds, rest = divmod(at_ns, SECOND_NS)
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest // 1_000_000:03d}Z"


def nanoseconds(text: str) -> int:
    """Nanoseconds UTC of an RFC 3339 time; ValueError if it has no offset.

    >>> nanoseconds("2023-11-14T23:13:20.123456789+01:00")
    1700000000123456789
    """
    whole, _, tail = text.partition(".")
    digits = ""
    if tail:
        count = len(tail) - len(tail.lstrip("0123456789"))
        digits, whole = tail[:count], whole + tail[count:]
    moment = datetime.fromisoformat(whole)
    if moment.tzinfo is None:
        raise ValueError(f"time without offset: {text!r}")
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * SECOND_NS + int(f"{digits:0<9}"[:9])

"""The seams: a Protocol only where two real implementations ship, in our own types only."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple, Protocol

from numpy.typing import NDArray

from andon.clock import Now
from andon.events import Event, Finding, Json, Readings

State = Mapping[str, "NDArray[Json] | Json"]
"""A snapshot: arrays and JSON by name, never pickle."""


class RecordKind(IntEnum):
    """What a journal record holds."""

    MESSAGE = 1  # bytes as received
    REFUSED = (
        2  # refused before parsing: body is JSON {reason, length, sha256, head (base64 of the first 4 KiB)}
    )
    GAP = 3  # body is JSON {asset, point, from_ns, to_ns, cause, backfilled, count}
    TICK = 4  # empty body
    CONFIG = 5  # body is JSON {version, document}
    NOTICE = 6  # body is JSON {code, subject, active, severity, detail}
    REDRIVE = 7  # a refused message to decode anew, see andon.redrive
    ORDER = 8  # batches in the order taken, see andon.history
    DECLARATION = 9  # body is JSON {id, asset, component, what, by, note, ticket}


class Record(NamedTuple):
    """One journal record: what arrived, as it arrived. A tuple, since one is made per message: 0.3 us against 0.9.

    `topic` is the address (MQTT topic, OPC UA node) as UTF-8 bytes that may be invalid; `connection` and
    `packet` name the MQTT connection epoch and packet id, 0 where there is none; `flags` holds DUP (bit 0),
    RETAIN (bit 1) and QoS (bits 2-3).
    """

    kind: RecordKind
    received_ns: int
    topic: bytes
    body: bytes
    connection: int = 0
    packet: int = 0
    flags: int = 0


class CorruptRecord(Exception):
    """A journal record whose checksum is wrong: it is never served as valid, and reading goes on at `resume`."""

    def __init__(self, where: str, position: int, resume: int) -> None:
        super().__init__(
            f"{where}: record {position} is corrupt; it stays in its file, reading goes on at {resume}"
        )
        self.position = position
        self.resume = resume


class Journal(Protocol):
    """The durable, append-only record of one source. Positions count its records from 0."""

    def append(self, records: Sequence[Record]) -> int:
        """Write and fsync; durable on return. Gives the position after the last record. OSError if it cannot."""

    def read(self, position: int, limit: int) -> Sequence[Record]:
        """Up to `limit` records from `position` on; fewer at the end. CorruptRecord if the first is."""

    def end(self) -> int:
        """The position after the last durable record."""

    def close(self) -> None:
        """Release files; appending after this raises."""


@dataclass(frozen=True, slots=True)
class SourceContext:
    """What a source is given to work with: each kind is `async def run(parameters, at: SourceContext)`.

    `ready` is told the address once data can come; `status` how it stands, at most once a second. `words` is
    what it is told while it runs: `{"word": "reload", "parameters": {...}}`, `{"word": "rebirth", "edge": ...}`.
    In `folder` it keeps what it has to remember over restarts; `pki` holds the installation's certificates, and the
    file `devices` who may publish to a listener.
    """

    journal: Journal
    now: Now
    stopping: asyncio.Event
    ready: Callable[[str], None]
    status: Callable[[Mapping[str, Json]], None]
    folder: Path
    words: asyncio.Queue[Mapping[str, Json]] = field(default_factory=asyncio.Queue)
    pki: Path | None = None
    devices: Path | None = None


class Detector(Protocol):
    """One detector of one asset: a function of the events so far. No clock, no I/O."""

    def update(self, event: Event) -> Sequence[Finding]:
        """Take one event of this asset (or a Tick, or a Gap of all) and say what changed."""

    def snapshot(self) -> State:
        """The state as arrays and JSON."""

    def restore(self, state: State) -> None:
        """Go on exactly where `snapshot` was taken."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a message says to people, in one language (`zh` or `en`): a title, then lines of plain text.

    `facts` are names and values for a card: where it is and who goes there, at the nodes of the work (rule 71).
    """

    language: str
    title: str
    lines: Sequence[str]
    facts: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class Message:
    """One notification about one ticket: what systems read (`content`), what people read (`said`), where it goes.

    `key` makes it idempotent: it is the same however often it is sent. `addresses` are the channel's own: where it
    goes, or in a chat whom it calls by name; empty where there is one receiver. `pictures` are photos of the site, as
    small JPEGs, for channels that can show them.
    """

    key: str
    ticket: str
    kind: str
    trace_id: str
    at_ns: int
    content: Mapping[str, Json]
    said: Sequence[Said] = ()
    addresses: Sequence[str] = ()
    pictures: Sequence[bytes] = ()


class NotifyError(Exception):
    """A notification was not delivered.

    Trying again makes no sense if `permanent`: the message is at fault, not the channel. `wait_s` is how long the
    receiver asks to be left alone, if it does.
    """

    def __init__(self, text: str, *, permanent: bool, wait_s: float | None = None) -> None:
        super().__init__(text)
        self.permanent = permanent
        self.wait_s = wait_s


class Notifier(Protocol):
    """A way to reach people or systems."""

    def send(self, message: Message, now_ns: int) -> str:
        """Deliver, and give the head of what was answered; or raise NotifyError."""


class SeriesSink(Protocol):
    """Where readings are kept."""

    def write(self, batch: int, readings: Sequence[Readings]) -> None:
        """Keep these readings; writing the same batch again changes nothing."""

    def sync(self) -> None:
        """Make what is written so far survive a power cut: after it, batches before a snapshot are not repeated."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that could not be used, kept whole in the journal: `reason` is a stable code, `head` its first 4 KiB.

    `identified`: its identity was taken before it was refused, so that it counts as having been here.
    """

    source: str
    position: int
    received_ns: int
    topic: bytes
    reason: str
    detail: str
    head: bytes
    length: int
    sha256: str
    identified: bool = False


@dataclass(frozen=True, slots=True)
class Decoded:
    """What became of a run of records: every message is counted once, as stored, duplicate, ignored, refused or overflow.

    `events` stand in stream order. `counts` holds `received`, `stored`, `duplicates`, `ignored`,
    `overflow` and `refused.<reason>` for this run; received is the sum of the others. `rebirths` are the
    (source, group/edge) of Sparkplug edge nodes that should say anew what their data means.
    """

    events: Sequence[Event]
    dead_letters: Sequence[DeadLetter]
    counts: Mapping[str, int]
    rebirths: Sequence[tuple[str, str]] = ()


class Decoder(Protocol):
    """Bytes to events, duplicates refused; a function of the records so far."""

    def decode(self, source: str, position: int, records: Sequence[Record]) -> Decoded:
        """Decode records of one source, the first of them at `position`. Bad input is data: it never raises."""

    def snapshot(self) -> State:
        """The state as arrays and JSON."""

    def restore(self, state: State) -> None:
        """Go on exactly where `snapshot` was taken."""

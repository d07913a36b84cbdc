"""What a run of records becomes, in stream order: neighbouring values of one asset are gathered into one block."""

import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from andon.events import Event, Gap, GapCause, Notice, Origin, Quality, Readings
from andon.ports import DeadLetter, Decoded, Record, RecordKind
from andon.redrive import IDENTIFIED
from ingest.identity import Identity
from ingest.mapping import NOWHERE, Equipment, Routes
from ingest.refusal import Refused
from ingest.sequence import Hole
from ingest.times import MAX_AHEAD_NS

HEAD_BYTES = 4096
_BAD = int(Quality.BAD)
_NOTHING = Record(RecordKind.TICK, 0, b"", b"")
Row = tuple[int, tuple[str, str], float, int]
"""Event time in ns, (channel, unit), value, OPC UA StatusCode."""


def row(at_ns: int, channel: tuple[str, str], value: float | None, quality: int) -> Row:
    """One value; where there is none, that is kept as such, and never of good quality."""
    if value is None:
        return at_ns, channel, math.nan, max(quality, _BAD)
    return at_ns, channel, value, quality


@dataclass(slots=True)
class Rows:
    """The values of one asset between two of its other events."""

    asset: str
    origin: Origin
    historical: bool = False
    rows: list[Row] = field(default_factory=list)


def readings_of(blocks: Sequence[Rows]) -> list[Readings]:
    """The blocks as columns, their channels in the order of their first value.

    All blocks share one array per column: a small array costs as much to make as a large one.
    """
    rows = [row for block in blocks for row in block.rows]
    at_ns = np.array([row[0] for row in rows], np.int64)
    values = np.array([row[2] for row in rows], np.float64)
    qualities = np.array([row[3] for row in rows], np.uint32)
    codes: list[int] = []
    names: list[dict[tuple[str, str], int]] = []
    for block in blocks:
        index: dict[tuple[str, str], int] = {}
        codes += [index.setdefault(row[1], len(index)) for row in block.rows]
        names.append(index)
    channels = np.array(codes, np.int32)
    readings, first = [], 0
    for block, index in zip(blocks, names, strict=True):
        part = slice(first, first := first + len(block.rows))
        channel_names, units = zip(*index, strict=True) if index else ((), ())
        readings.append(
            Readings(
                block.asset,
                channel_names,
                units,
                at_ns[part],
                channels[part],
                values[part],
                qualities[part],
                block.origin,
                block.historical,
            )
        )
    return readings


class Run:
    """One call of the decoder: the record it stands at, and what has come of the ones before.

    `identified` says whether the record's identity is taken. If it is from the beginning, the record was refused
    after that, and nothing of its identity was ever let through.
    """

    __slots__ = (
        "_events",
        "_extra",
        "_letters",
        "_open",
        "duplicates",
        "identified",
        "identity",
        "ignored",
        "overflow",
        "position",
        "rebirths",
        "received",
        "received_ns",
        "record",
        "route",
        "routes",
        "source",
        "stored",
    )

    def __init__(self, source: str, identity: Identity, routes: Routes) -> None:
        self.source = source
        self.identity = identity
        self.routes = routes
        self.position = 0
        self.received_ns = 0
        self.record = _NOTHING
        self.route = NOWHERE
        self.identified = False
        self.received = self.stored = self.duplicates = self.overflow = self.ignored = 0
        self._extra: Counter[str] = Counter()
        self._events: list[Event | Rows] = []
        self._open: dict[tuple[str, bool], Rows] = {}
        self._letters: list[DeadLetter] = []
        self.rebirths: list[tuple[str, str]] = []

    def stand_at(self, position: int, record: Record) -> None:
        """Go on to the next record."""
        self.position = position
        self.record = record
        self.received_ns = record.received_ns
        self.identified = bool(record.flags & IDENTIFIED)

    def origin(self) -> Origin:
        """Where the record stands."""
        return Origin(self.source, self.position, self.received_ns)

    def at(self, source_ns: int) -> int:
        """The event time for the sender's; one that cannot be yet is replaced by the time of receipt, and counted.

        Old stamps are kept: a backlog arrives late, and what late means is decided downstream.
        """
        if source_ns <= self.received_ns + MAX_AHEAD_NS:
            return source_ns
        self._extra["clock_skew"] += 1
        return self.received_ns

    def equipment(self) -> Equipment:
        """The asset that the route leads to; Refused if it leads to none."""
        if self.route.equipment is None:
            raise self.route.refusal()
        return self.route.equipment

    def add(self, asset: str, rows: list[Row], *, historical: bool = False) -> None:
        """Add values of one asset to its open block."""
        block = self._open.get((asset, historical))
        if block is None:
            block = self._open[asset, historical] = Rows(asset, self.origin(), historical)
            self._events.append(block)
        block.rows += rows

    def put(self, event: Event, asset: str | None) -> None:
        """Add another event: values of that asset (None: of any) that come later stand behind it."""
        if asset is None:
            self._open.clear()
        else:
            self._open.pop((asset, False), None)
            self._open.pop((asset, True), None)
        self._events.append(event)

    def gap(self, hole: Hole, *, filled: bool) -> None:
        """Say that messages are missing, or that those said to be missing have come after all."""
        gap = Gap(
            self.source,
            hole.asset,
            hole.point,
            hole.from_ns,
            hole.to_ns,
            GapCause.SEQUENCE,
            filled,
            self.origin(),
        )
        self.put(gap, hole.asset)

    def remark(self, code: str, subject: str, severity: int, detail: str) -> None:
        """Say something about the line itself that a person has to know; said once, however often it is so."""
        if self.identity.remarks.begins(code, subject, self.received_ns):
            self._note(code, subject, severity, detail, active=True)

    def remarks_over(self) -> None:
        """Say which remarks are over by now."""
        for code, subject in self.identity.remarks.over(self.received_ns):
            self._note(code, subject, 1, "not seen for an hour", active=False)

    def _note(self, code: str, subject: str, severity: int, detail: str, *, active: bool) -> None:
        """The code as plain text, which is what a snapshot brings back."""
        self.put(Notice(self.received_ns, str(code), subject, active, severity, detail, self.origin()), None)

    def tally(self, name: str, count: int) -> None:
        """Count something beside the balance."""
        self._extra[name] += count

    def refuse(self, refusal: Refused) -> None:
        """The record becomes a dead letter."""
        body = self.record.body
        digest = hashlib.sha256(body).hexdigest()
        self.letter(refusal.reason, refusal.detail, head=body[:HEAD_BYTES], length=len(body), sha256=digest)

    def letter(self, reason: str, detail: str, *, head: bytes, length: int, sha256: str) -> None:
        """Keep a dead letter and count it."""
        self._extra[f"refused.{reason}"] += 1
        clean = detail[:500].replace("\x00", "\\0").encode("utf-8", "backslashreplace").decode()
        self._letters.append(
            DeadLetter(
                source=self.source,
                position=self.position,
                received_ns=self.received_ns,
                topic=self.record.topic,
                reason=reason,
                detail=clean,
                head=head,
                length=length,
                sha256=sha256,
                identified=self.identified,
            )
        )

    def decoded(self) -> Decoded:
        """All of it, blocks closed."""
        blocks = iter(readings_of([event for event in self._events if isinstance(event, Rows)]))
        events = [next(blocks) if isinstance(event, Rows) else event for event in self._events]
        counts = {
            "received": self.received,
            "stored": self.stored,
            "duplicates": self.duplicates,
            "overflow": self.overflow,
            "ignored": self.ignored,
            **self._extra,
        }
        return Decoded(events, self._letters, counts, self.rebirths)

"""Where the journal no longer reaches back: readings of the series and stops of the tickets, as events minute by minute.

Waveforms are kept in the journal alone, so kinds that judge them stay silent here, and that is said.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from sqlalchemy import Connection, select

from andon.events import (
    HOUR_NS,
    MINUTE_NS,
    Action,
    Event,
    Family,
    Origin,
    PackMLState,
    Readings,
    StopAlarm,
    Tick,
)
from andon.pipeline import Slice
from andon.ports import Decoded, Decoder, Record, RecordKind, State
from ingest.series import SeriesStore
from ticketing.rows import occurrence_of
from ticketing.tables import occurrence

SOURCE = "series"
WAVEFORM_KINDS = frozenset({"bearing_element", "machine_fault"})
"""Kinds that judge waveforms and nothing else."""
_AT_ONCE_NS = 6 * HOUR_NS
_ALL = 2**31


def begins_ns(series: SeriesStore, assets: Sequence[str], before_ns: int) -> int | None:
    """The time of the oldest reading of these assets that is kept before that time; None if there is none."""
    found = []
    for asset in assets:
        for channel, _, _, _ in series.channels(asset):
            at_ns, _, _ = series.read(asset, channel, 0, before_ns - 1, 4)
            found += at_ns[:1].tolist()
    return min(found, default=None)


def minutes(
    series: SeriesStore, conn: Connection, assets: Sequence[str], from_ns: int, to_ns: int
) -> Iterator[list[Event]]:
    """The events of each minute from `from_ns` to before `to_ns`, its tick last."""
    stops = _stops(conn, assets, from_ns, to_ns)
    first = from_ns // MINUTE_NS * MINUTE_NS
    for start_ns in range(first, to_ns, _AT_ONCE_NS):
        end_ns = min(start_ns + _AT_ONCE_NS, to_ns)
        blocks = [
            block for asset in assets if (block := _read(series, asset, max(start_ns, from_ns), end_ns))
        ]
        for minute_ns in range(start_ns, end_ns, MINUTE_NS):
            until_ns = min(minute_ns + MINUTE_NS, end_ns)
            events: list[Event] = [stop for stop in stops if minute_ns <= stop.at_ns < until_ns]
            events += [part for block in blocks if (part := _between(block, minute_ns, until_ns))]
            yield [*events, Tick(until_ns, Origin(SOURCE, 0, until_ns))]


def _read(series: SeriesStore, asset: str, from_ns: int, to_ns: int) -> Readings | None:
    """All channels of the asset in one block, in time order."""
    named = [(name, unit) for name, unit, _, _ in series.channels(asset)]
    columns = [series.read(asset, name, from_ns, to_ns - 1, _ALL) for name, _ in named]
    sizes = [len(at_ns) for at_ns, _, _ in columns]
    if not sum(sizes):
        return None
    at_ns = np.concatenate([column[0] for column in columns])
    order = np.argsort(at_ns, kind="stable")
    return Readings(
        asset=asset,
        channels=tuple(name for name, _ in named),
        units=tuple(unit for _, unit in named),
        at_ns=at_ns[order],
        channel=np.repeat(np.arange(len(named), dtype=np.int32), sizes)[order],
        value=np.concatenate([column[1] for column in columns])[order],
        quality=np.concatenate([column[2] for column in columns])[order],
        origin=Origin(SOURCE, 0, to_ns),
    )


def _between(block: Readings, from_ns: int, to_ns: int) -> Readings | None:
    first, after = np.searchsorted(block.at_ns, (from_ns, to_ns)).tolist()
    if first == after:
        return None
    return replace(
        block,
        at_ns=block.at_ns[first:after],
        channel=block.channel[first:after],
        value=block.value[first:after],
        quality=block.quality[first:after],
        origin=Origin(SOURCE, 0, int(block.at_ns[after - 1])),
    )


def _stops(conn: Connection, assets: Sequence[str], from_ns: int, to_ns: int) -> list[StopAlarm]:
    """The stops that became findings then, as the alarms that they were."""
    c = occurrence.c
    wanted = select(occurrence).where(
        c.family == str(Family.STOP), c.asset.in_(assets), c.event_ns >= from_ns, c.event_ns < to_ns
    )
    rows = conn.execute(wanted.order_by(c.event_ns, c.finding)).mappings()
    return [
        StopAlarm(
            asset=one.asset,
            at_ns=one.event_ns,
            state=PackMLState[one.text["state"]],
            reason_id=one.component,
            reason_value=int(one.text["reason_value"]),
            message=one.text["message"],
            category=one.text["category"],
            active=one.action is not Action.CLEAR,
            severity=one.severity,
            origin=Origin(SOURCE, 0, one.event_ns),
            event_id=one.text.get("event_id", ""),
        )
        for one in map(occurrence_of, rows)
        if {"state", "reason_value", "message", "category"} <= one.text.keys()
    ]


@dataclass(slots=True)
class WithStored:
    """The decoder of messages, which also gives the stored events of the minute that is told."""

    messages: Decoder
    minute: list[Event] = field(default_factory=list)

    def decode(self, source: str, position: int, records: Sequence[Record]) -> Decoded:
        """What the records say."""
        if source != SOURCE:
            return self.messages.decode(source, position, records)
        return Decoded(self.minute, (), {})

    def snapshot(self) -> State:
        """That of the messages."""
        return self.messages.snapshot()

    def restore(self, state: State) -> None:
        """That of the messages."""
        self.messages.restore(state)


def slice_of(number: int, at_ns: int) -> Slice:
    """What stands for a minute in a batch: a record of the engine's own kind, so that nobody takes it for a source's."""
    return Slice(SOURCE, number, [Record(RecordKind.TICK, at_ns, b"", b"")])


def not_judged(kinds_of: Mapping[str, Sequence[str]]) -> list[dict[str, str]]:
    """The detectors that stay silent while only stored readings are told, by asset and kind."""
    return [
        {"asset": asset, "kind": kind}
        for asset, kinds in sorted(kinds_of.items())
        for kind in kinds
        if kind in WAVEFORM_KINDS
    ]

"""Readings over time: written batch by batch, sealed into Parquet files, read back as one channel fit to draw.

What is read does not depend on what has been sealed or merged: a law with a test.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from andon.events import HOUR_NS, MINUTE_NS, Float64, Int64, Readings
from ingest.errors import SegmentGone
from ingest.series_files import Channel, SegmentReader, folder_of
from ingest.series_tail import Kind, Seen, TailWriter, open_series, seen
from ingest.thinning import Columns, extremes, in_order, joined, stretches, thin, within

T = TypeVar("T")

RAW_ROWS = 100_000
"""A range that holds more readings is drawn from the lowest and highest of each minute, or of each hour."""
TRIES = 5
"""How often a list of files is taken anew because one of them has been merged into another meanwhile."""


@dataclass(frozen=True, slots=True, eq=False)
class Summary:
    """One channel by minute or hour: its good values' lowest, highest, mean and number, each (n,)."""

    from_ns: Int64
    low: Float64
    high: Float64
    mean: Float64
    count: Int64


class SeriesStore:
    """The series of one data directory: the SQLite file `path`, and Parquet files in the folder beside it.

    Safe to use from several threads. `read_only` is for the process that only draws: it may open before the first
    reading is written.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self._lock = threading.Lock()
        self._conn = open_series(path, read_only=read_only)
        self._writer = TailWriter(self._conn)
        self._files = SegmentReader(folder_of(path))
        self.written = 0

    def write(self, batch: int, readings: Sequence[Readings]) -> None:
        """Keep these readings; a (batch, asset) that was kept before, sealed or not, changes nothing.

        Batches come in rising order, or again. sqlite3.Error if it cannot be written.
        """
        with self._lock:
            self.written += self._writer.write(batch, readings)

    def read(self, asset: str, channel: str, from_ns: int, to_ns: int, points: int = 2000) -> Columns:
        """One channel from `from_ns` up to and including `to_ns`, in time order.

        More than `points` rows are thinned so that the drawn line stays the same: of each stretch the lowest
        and the highest good value remain. Empty arrays where there is nothing.
        """
        if to_ns < from_ns:
            return np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.uint32)

        def drawn(view: "_View") -> Columns:
            kind = view.kind(from_ns, to_ns)
            rows = view.raw(from_ns, to_ns) if kind is Kind.RAW else view.extremes(kind, from_ns, to_ns)
            return thin(rows, points)

        return self._of_one_moment(asset, channel, from_ns, to_ns, drawn)

    def summary(self, asset: str, channel: str, from_ns: int, to_ns: int, kind: Kind) -> Summary:
        """One channel by minute or hour, of all stretches that begin between `from_ns` and `to_ns`."""
        until_ns = _floor(to_ns, kind.width_ns) + kind.width_ns - 1
        return self._of_one_moment(
            asset, channel, from_ns, until_ns, lambda view: view.summary(kind, from_ns, to_ns)
        )

    def channels(self, asset: str) -> list[tuple[str, str, int, float]]:
        """(channel, unit, last_at_ns, last_value) of the asset by name; a last value that is none is NaN."""
        with self._lock:
            found = self._conn.execute(
                "SELECT name, unit, last_at_ns, last_value FROM channel WHERE asset = ? ORDER BY name",
                (asset,),
            ).fetchall()
        return [
            (name, unit, at_ns, float("nan") if value is None else value)
            for name, unit, at_ns, value in found
        ]

    def sync(self) -> None:
        """Make what is written so far survive a power cut."""
        with self._lock:
            self._conn.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def close(self) -> None:
        """Release the files."""
        with self._lock:
            self._conn.close()
        self._files.close()

    def _of_one_moment(
        self, asset: str, channel: str, from_ns: int, to_ns: int, answer: Callable[["_View"], T]
    ) -> T:
        """What `answer` says of the channel as it is at one moment; asked again if a file of then has gone."""
        wide_from, wide_to = _floor(from_ns, HOUR_NS), min(_floor(to_ns, HOUR_NS) + HOUR_NS - 1, 2**63 - 1)
        for left in reversed(range(TRIES)):
            with self._lock:
                found = seen(self._conn, asset, channel, wide_from, wide_to)
            try:
                return answer(_View(self._files, found, (asset, channel)))
            except SegmentGone:
                if not left:
                    raise
        raise AssertionError("unreachable")


@dataclass(frozen=True, slots=True)
class _View:
    """One channel as it was at one moment."""

    files: SegmentReader
    seen: Seen
    of: Channel

    def kind(self, from_ns: int, to_ns: int) -> Kind:
        """Out of what the range is drawn: it depends on the readings and on what is kept, on nothing else."""
        kept = from_ns >= self.seen.raw_from_ns
        first, last = _floor(from_ns, MINUTE_NS), _floor(to_ns, MINUTE_NS)
        tail = within(self.seen.tail, first, last + MINUTE_NS - 1)[0]
        raw = [segment for segment in self.seen.segments if segment.kind is Kind.RAW]
        if kept and len(tail) + sum(segment.row_count for segment in raw) <= RAW_ROWS:
            return Kind.RAW
        count, oldest, newest = self.files.count(self.seen.segments, self.of, first, last)
        if kept and count + len(tail) <= RAW_ROWS:
            return Kind.RAW
        if len(tail):
            oldest, newest = min(oldest, int(tail.min())), max(newest, int(tail.max()))
        minutes = newest // MINUTE_NS - oldest // MINUTE_NS + 1
        return Kind.MINUTE if 2 * minutes <= RAW_ROWS else Kind.HOUR

    def raw(self, from_ns: int, to_ns: int) -> Columns:
        """The readings of the range, in time order."""
        sealed = self.files.raw(self.seen.segments, self.of, from_ns, to_ns)
        return in_order(joined([sealed, within(self.seen.tail, from_ns, to_ns)]))

    def extremes(self, kind: Kind, from_ns: int, to_ns: int) -> Columns:
        """The lowest and highest reading of each whole minute or hour, and all readings at the two ends.

        Where readings are not kept any more, the ends too are of what is left of them.
        """
        width_ns = kind.width_ns
        kept = from_ns >= self.seen.raw_from_ns
        first = -_floor(-from_ns, width_ns) if kept else _floor(from_ns, width_ns)
        after = _floor(to_ns + 1, width_ns)
        if to_ns < self.seen.raw_from_ns:
            after = _floor(to_ns, width_ns) + width_ns
        if first >= after:
            return self.raw(from_ns, to_ns)
        sealed = self.files.extremes(self.seen.segments, kind, self.of, first, after - width_ns)
        middle = in_order(joined([sealed, within(self.seen.tail, first, after - 1)]))
        ends = self.raw(from_ns, first - 1), self.raw(after, to_ns)
        return within(joined([ends[0], extremes(middle, width_ns), ends[1]]), from_ns, to_ns)

    def summary(self, kind: Kind, from_ns: int, to_ns: int) -> Summary:
        """The channel by minute or hour."""
        sealed = self.files.summary(self.seen.segments, kind, self.of, from_ns, to_ns)
        tail = in_order(self.seen.tail)
        kept = stretches(tail, kind.width_ns)
        fresh = np.flatnonzero((kept.good > 0) & (kept.from_ns >= from_ns) & (kept.from_ns <= to_ns))
        value = tail[1]
        starts = np.concatenate((sealed[0], kept.from_ns[fresh]))
        order = np.argsort(starts, kind="stable")
        first = np.flatnonzero(np.diff(starts[order], prepend=-1))
        if not len(first):
            none = np.zeros(0)
            return Summary(starts, none, none, none, np.zeros(0, np.int64))
        low = np.concatenate((sealed[1], value[kept.low[fresh]]))[order]
        high = np.concatenate((sealed[2], value[kept.high[fresh]]))[order]
        total = np.concatenate((sealed[3], kept.total[fresh]))[order]
        good = np.add.reduceat(np.concatenate((sealed[4], kept.good[fresh]))[order], first)
        return Summary(
            starts[order][first],
            np.minimum.reduceat(low, first),
            np.maximum.reduceat(high, first),
            np.add.reduceat(total, first) / good,
            good,
        )


def _floor(at_ns: int, width_ns: int) -> int:
    return at_ns // width_ns * width_ns

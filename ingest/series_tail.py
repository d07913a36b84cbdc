"""The tail of the series, and the manifest of their files: one SQLite file that says what is where.

A reading is in the tail while its batch is above `sealed.through`, and in a segment from then on; that number and
the list of segments change in one transaction. So the rows of sealed batches may be deleted at leisure.
The tail can be made again from the journal: it is synced now and then (`synchronous=NORMAL`: a power cut may lose
the last writes, never the file); what seals it is synced at once.
"""

import secrets
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate, groupby
from pathlib import Path
from typing import TypeVar
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from andon.events import HOUR_NS, MINUTE_NS, Float64, Int32, Int64, Readings
from ingest.thinning import Columns

Number = TypeVar("Number", bound=np.generic)

BUCKETS = 4
"""The files of one period hold the channels of one bucket of assets each: merging sorts a quarter at a time."""
FRESH = -1
"""The bucket and period of a segment that holds all of them, as it was sealed."""
DAY_NS = 24 * HOUR_NS
_WIDTHS = 8, 4, 8, 4
"""Bytes of each value in the columns of a stored block: at_ns, channel id, value, quality."""

_TABLES = """
CREATE TABLE IF NOT EXISTS channel (
    id INTEGER PRIMARY KEY,
    asset TEXT NOT NULL,
    name TEXT NOT NULL,
    unit TEXT NOT NULL,
    last_at_ns INTEGER NOT NULL,
    last_value REAL,
    UNIQUE (asset, name)
);
CREATE TABLE IF NOT EXISTS block (
    batch INTEGER NOT NULL,
    asset TEXT NOT NULL,
    from_ns INTEGER NOT NULL,
    to_ns INTEGER NOT NULL,
    at_ns BLOB NOT NULL,
    channel BLOB NOT NULL,
    value BLOB NOT NULL,
    quality BLOB NOT NULL,
    UNIQUE (asset, batch)
);
DROP INDEX IF EXISTS block_time;
CREATE INDEX IF NOT EXISTS block_batch ON block (batch);
CREATE TABLE IF NOT EXISTS sealed (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    store TEXT NOT NULL,
    through INTEGER NOT NULL,
    raw_from_ns INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS segment (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    bucket INTEGER NOT NULL,
    period INTEGER NOT NULL,
    first_batch INTEGER NOT NULL,
    through_batch INTEGER NOT NULL,
    row_count INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    from_ns INTEGER NOT NULL,
    to_ns INTEGER NOT NULL,
    file TEXT NOT NULL UNIQUE
);
CREATE TABLE IF NOT EXISTS retired (file TEXT PRIMARY KEY, since_ns INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS mirror (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    through INTEGER NOT NULL,
    values_max INTEGER NOT NULL,
    dropped INTEGER NOT NULL
);
"""


class Kind(StrEnum):
    """What a segment holds: readings, or what is left of each minute or hour of them."""

    RAW = "raw"
    MINUTE = "minute"
    HOUR = "hour"

    @property
    def width_ns(self) -> int:
        """How long the stretches are that one row stands for; 0 for readings."""
        return {Kind.RAW: 0, Kind.MINUTE: MINUTE_NS, Kind.HOUR: HOUR_NS}[self]

    @property
    def period_ns(self) -> int:
        """How much time one file stands for, counted from the epoch."""
        return {Kind.RAW: DAY_NS, Kind.MINUTE: 30 * DAY_NS, Kind.HOUR: 360 * DAY_NS}[self]


@dataclass(frozen=True, slots=True)
class Segment:
    """A Parquet file of readings or of what is left of them; `first_batch` is also its place in the order of writing."""

    id: int
    kind: Kind
    bucket: int
    period: int
    first_batch: int
    through_batch: int
    row_count: int
    bytes: int
    from_ns: int
    to_ns: int
    file: str


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """One channel as it was at one moment: its rows in the tail, and the segments that may hold the others."""

    tail: Columns
    segments: Sequence[Segment]
    raw_from_ns: int


def open_series(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """A connection to the tail and manifest at `path`, whose tables are made if they are not there."""
    conn = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
    conn.execute("PRAGMA journal_mode=WAL")
    conn.execute("PRAGMA synchronous=NORMAL")
    conn.executescript(_TABLES)
    conn.execute("INSERT OR IGNORE INTO sealed VALUES (1, ?, -1, 0)", (secrets.token_hex(4),))
    if read_only:
        conn.execute("PRAGMA query_only=ON")
    return conn


def bucket_of(asset: str) -> int:
    """The bucket of an asset: the same on every machine and for ever."""
    return crc32(asset.encode()) % BUCKETS


def segments_of(conn: sqlite3.Connection, where: str = "1", values: Sequence[object] = ()) -> list[Segment]:
    """The segments that satisfy `where`, in the order in which their readings were written."""
    rows = conn.execute(f"SELECT * FROM segment WHERE {where} ORDER BY first_batch, id", values)  # noqa: S608
    return [Segment(row[0], Kind(row[1]), *row[2:]) for row in rows]


def seen(conn: sqlite3.Connection, asset: str, channel: str, from_ns: int, to_ns: int) -> Seen:
    """One channel from `from_ns` up to and including `to_ns`, tail and file list of one moment."""
    conn.execute("BEGIN")
    try:
        through, raw_from_ns = conn.execute("SELECT through, raw_from_ns FROM sealed").fetchone()
        blocks = conn.execute(
            "SELECT block.at_ns, block.channel, block.value, block.quality, channel.id FROM channel "
            "JOIN block ON block.asset = channel.asset AND block.batch > ? AND block.to_ns >= ? "
            "AND block.from_ns <= ? WHERE channel.asset = ? AND channel.name = ? ORDER BY block.batch",
            (through, from_ns, to_ns, asset, channel),
        ).fetchall()
        segments = segments_of(
            conn,
            "bucket IN (?, ?) AND to_ns >= ? AND from_ns <= ?",
            (FRESH, bucket_of(asset), from_ns, to_ns),
        )
    finally:
        conn.execute("COMMIT")
    at_ns, ids, value, quality = columns_of([row[:4] for row in blocks])
    mine = ids == (blocks[0][4] if blocks else 0)
    rows = np.flatnonzero(mine & (at_ns >= from_ns) & (at_ns <= to_ns))
    return Seen((at_ns[rows], value[rows], quality[rows]), segments, raw_from_ns)


def columns_of(blocks: Sequence[Sequence[bytes]]) -> tuple[Int64, Int32, Float64, NDArray[np.uint32]]:
    """(at_ns, channel id, value, quality) of stored blocks, one after the other."""
    return (
        _numbers((row[0] for row in blocks), np.dtype("<i8")),
        _numbers((row[1] for row in blocks), np.dtype("<i4")),
        _numbers((row[2] for row in blocks), np.dtype("<f8")),
        _numbers((row[3] for row in blocks), np.dtype("<u4")),
    )


class TailWriter:
    """Adds batches to the tail. Not to be used by two threads at once."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn
        self._ids: dict[tuple[str, str, str], int] = {}

    def write(self, batch: int, readings: Sequence[Readings]) -> int:
        """Add these readings in one transaction; gives how many are new: none of a batch that was here before."""
        blocks = sorted((block for block in readings if len(block.at_ns)), key=_asset)
        if not blocks:
            return 0
        self._conn.execute("BEGIN IMMEDIATE")
        try:
            (through,) = self._conn.execute("SELECT through FROM sealed").fetchone()
            new = self._add(batch, blocks) if batch > through else 0
        except BaseException:
            self._conn.execute("ROLLBACK")
            self._ids.clear()
            raise
        self._conn.execute("COMMIT")
        return new

    def _add(self, batch: int, blocks: Sequence[Readings]) -> int:
        """Add the blocks, ordered by asset; all at once, since most hold a few values and each call costs the same."""
        kept = {asset for (asset,) in self._conn.execute("SELECT asset FROM block WHERE batch = ?", (batch,))}
        by_asset = {asset: list(of) for asset, of in groupby(blocks, key=_asset) if asset not in kept}
        fresh = [block for of in by_asset.values() for block in of]
        if not fresh:
            return 0
        at_ns = np.concatenate([block.at_ns for block in fresh])
        value = np.concatenate([block.value for block in fresh])
        channel = self._channel_ids(fresh)
        quality = np.concatenate([block.quality for block in fresh])
        counts = [sum(len(block.at_ns) for block in of) for of in by_asset.values()]
        starts = [0, *accumulate(counts)][:-1]
        stored = [
            at_ns.astype("<i8").tobytes(),
            channel.astype("<i4").tobytes(),
            value.astype("<f8").tobytes(),
            quality.astype("<u4").tobytes(),
        ]
        from_ns, to_ns = (of.reduceat(at_ns, starts).tolist() for of in (np.minimum, np.maximum))
        self._conn.executemany(
            "INSERT INTO block VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (batch, asset, first_ns, last_ns, *_cut(stored, first, count))
                for asset, first_ns, last_ns, first, count in zip(
                    by_asset, from_ns, to_ns, starts, counts, strict=True
                )
            ],
        )
        self._note_last(channel, at_ns, value)
        return len(at_ns)

    def _channel_ids(self, blocks: Sequence[Readings]) -> Int32:
        """The id of each value's channel."""
        ids = [
            self._channel_id(block.asset, name, unit)
            for block in blocks
            for name, unit in zip(block.channels, block.units, strict=True)
        ]
        counts, widths = [len(block.at_ns) for block in blocks], [len(block.channels) for block in blocks]
        index = np.concatenate([block.channel for block in blocks])
        if (index >= np.repeat(widths, counts)).any():
            raise IndexError("a value of a channel that its block does not name")
        found: Int32 = np.array(ids, np.int32)[index + np.repeat([0, *accumulate(widths)][:-1], counts)]
        return found

    def _channel_id(self, asset: str, name: str, unit: str) -> int:
        known = self._ids.get((asset, name, unit))
        if known is None:
            (known,) = self._conn.execute(
                "INSERT INTO channel (asset, name, unit, last_at_ns) VALUES (?, ?, ?, -1) "
                "ON CONFLICT (asset, name) DO UPDATE SET unit = excluded.unit RETURNING id",
                (asset, name, unit),
            ).fetchone()
            self._ids[asset, name, unit] = known
        return known

    def _note_last(self, channel: Int32, at_ns: Int64, value: Float64) -> None:
        order = np.lexsort((at_ns, channel))
        last = order[np.flatnonzero(np.diff(channel[order], append=-1))]
        self._conn.executemany(
            "UPDATE channel SET last_at_ns = ?1, last_value = ?2 WHERE id = ?3 AND last_at_ns <= ?1",
            zip(at_ns[last].tolist(), value[last].tolist(), channel[last].tolist(), strict=True),
        )


def _asset(block: Readings) -> str:
    return block.asset


def _cut(columns: Sequence[bytes], first: int, count: int) -> list[bytes]:
    """Those rows of the stored columns."""
    return [
        column[first * width : (first + count) * width]
        for column, width in zip(columns, _WIDTHS, strict=True)
    ]


def _numbers(blobs: Iterable[bytes], kind: np.dtype[Number]) -> NDArray[Number]:
    return np.frombuffer(b"".join(blobs), kind)

"""Readings over time: one row of column blobs per batch and asset, read back as one channel fit to draw.

The store can be made again from the journal, so it is synced now and then, not at every write
(`synchronous=NORMAL`: a power cut may lose the last writes, never the file).
"""

import sqlite3
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from andon.events import Float64, Int32, Int64, Quality, Readings, UInt32

Number = TypeVar("Number", bound=np.generic)
Columns = tuple[Int64, Float64, UInt32]
"""(at_ns, value, quality), each (n,)."""

_DROP_AT_ONCE = 1000
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
CREATE INDEX IF NOT EXISTS block_time ON block (asset, to_ns, from_ns);
"""


class SeriesStore:
    """The series of one data directory, in one SQLite file. Safe to use from several threads.

    `read_only` is for the process that only draws: it may open before the first reading is written.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self._lock = threading.Lock()
        self._ids: dict[tuple[str, str, str], int] = {}
        self._conn = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
        self._conn.execute("PRAGMA journal_mode=WAL")
        self._conn.execute("PRAGMA synchronous=NORMAL")
        self._conn.executescript(_TABLES)
        if read_only:
            self._conn.execute("PRAGMA query_only=ON")

    def write(self, batch: int, readings: Sequence[Readings]) -> None:
        """Keep these readings; a (batch, asset) that is kept already changes nothing. sqlite3.Error if it cannot."""
        by_asset: dict[str, list[Readings]] = {}
        for block in readings:
            if len(block.at_ns):
                by_asset.setdefault(block.asset, []).append(block)
        if not by_asset:
            return
        with self._lock:
            self._conn.execute("BEGIN IMMEDIATE")
            try:
                for asset, blocks in by_asset.items():
                    self._write_asset(batch, asset, blocks)
            except BaseException:
                self._conn.execute("ROLLBACK")
                self._ids.clear()
                raise
            self._conn.execute("COMMIT")

    def read(self, asset: str, channel: str, from_ns: int, to_ns: int, points: int = 2000) -> Columns:
        """One channel from `from_ns` up to and including `to_ns`, in time order.

        More than `points` rows are thinned so that the drawn line stays the same: of each stretch the lowest
        and the highest good value remain. Empty arrays where there is nothing.
        """
        return thin(_in_order(self._tail(asset, channel, from_ns, to_ns)), points)

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

    def drop_before(self, at_ns: int) -> int:
        """Forget blocks that end before `at_ns`; gives how many. The lock is given back between portions."""
        dropped = 0
        while True:
            with self._lock:
                gone = self._conn.execute(
                    "DELETE FROM block WHERE rowid IN (SELECT block.rowid FROM block WHERE to_ns < ? "
                    "AND asset IN (SELECT asset FROM channel) LIMIT ?)",
                    (at_ns, _DROP_AT_ONCE),
                ).rowcount
            dropped += gone
            if gone < _DROP_AT_ONCE:
                return dropped

    def close(self) -> None:
        """Release the file."""
        with self._lock:
            self._conn.close()

    def _write_asset(self, batch: int, asset: str, blocks: Sequence[Readings]) -> None:
        at_ns = np.concatenate([block.at_ns for block in blocks])
        channel = np.concatenate([self._channel_ids(block) for block in blocks])
        value = np.concatenate([block.value for block in blocks])
        quality = np.concatenate([block.quality for block in blocks])
        kept = self._conn.execute(
            "INSERT OR IGNORE INTO block VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                batch,
                asset,
                int(at_ns.min()),
                int(at_ns.max()),
                at_ns.astype("<i8").tobytes(),
                channel.astype("<i4").tobytes(),
                value.astype("<f8").tobytes(),
                quality.astype("<u4").tobytes(),
            ),
        )
        if kept.rowcount:
            self._note_last(channel, at_ns, value)

    def _channel_ids(self, block: Readings) -> Int32:
        return np.array(
            [
                self._channel_id(block.asset, name, unit)
                for name, unit in zip(block.channels, block.units, strict=True)
            ],
            np.int32,
        )[block.channel]

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
        order = np.argsort(at_ns, kind="stable")
        last = {int(channel[row]): row for row in order}
        self._conn.executemany(
            "UPDATE channel SET last_at_ns = ?1, last_value = ?2 WHERE id = ?3 AND last_at_ns <= ?1",
            [(int(at_ns[row]), float(value[row]), which) for which, row in last.items()],
        )

    def _tail(self, asset: str, channel: str, from_ns: int, to_ns: int) -> Columns:
        """The rows of one channel that are still in this file."""
        with self._lock:
            found = self._conn.execute(
                "SELECT block.at_ns, block.channel, block.value, block.quality, channel.id FROM channel "
                "JOIN block ON block.asset = channel.asset AND block.to_ns >= ? AND block.from_ns <= ? "
                "WHERE channel.asset = ? AND channel.name = ? ORDER BY block.batch",
                (from_ns, to_ns, asset, channel),
            ).fetchall()
        at_ns = _joined([row[0] for row in found], np.dtype("<i8"))
        of_channel = _joined([row[1] for row in found], np.dtype("<i4")) == (found[0][4] if found else 0)
        rows = np.flatnonzero(of_channel & (at_ns >= from_ns) & (at_ns <= to_ns))
        values = _joined([row[2] for row in found], np.dtype("<f8"))
        qualities = _joined([row[3] for row in found], np.dtype("<u4"))
        return at_ns[rows], values[rows], qualities[rows]


def thin(columns: Columns, points: int) -> Columns:
    """At most `points` rows that draw the same line: the ends, and of each stretch the lowest and highest good value.

    Rows of bad quality or without a number are left out unless their whole stretch is so. Fewer than 4 points
    are taken as 4.
    """
    at_ns, value, quality = columns
    if len(at_ns) <= points:
        return columns
    stretches = max((points - 2) // 2, 1)
    width = -(-len(at_ns) // stretches)
    good = np.full(stretches * width, np.nan)
    good[: len(value)] = np.where((quality >= Quality.BAD) | ~np.isfinite(value), np.nan, value)
    grid = good.reshape(stretches, width)
    starts = np.arange(stretches) * width
    low = starts + np.where(np.isnan(grid), np.inf, grid).argmin(axis=1)
    high = starts + np.where(np.isnan(grid), -np.inf, grid).argmax(axis=1)
    rows = np.unique(np.concatenate(([0], low, high, [len(at_ns) - 1])))
    rows = rows[rows < len(at_ns)]
    return at_ns[rows], value[rows], quality[rows]


def _in_order(columns: Columns) -> Columns:
    """The rows in time order; those of one moment in the order in which they were written."""
    order = np.argsort(columns[0], kind="stable")
    return columns[0][order], columns[1][order], columns[2][order]


def _joined(blobs: Iterable[bytes], kind: np.dtype[Number]) -> NDArray[Number]:
    return np.frombuffer(b"".join(blobs), kind)

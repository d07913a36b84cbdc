"""The tail becomes files, many files become few, and old ones go: a process beside the engine, which ends when it is done.

`python -m ingest.series_sealing JSON`, with the fields of an `Order`; it prints its report as JSON. Every change is one
transaction of the manifest, and files are durable before it: whenever this is killed, each reading is there once.
"""

import contextlib
import fcntl
import json
import os
import shutil
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from andon.durable import sync
from andon.events import Float64, Int32, Int64, UInt32
from ingest.series_files import connect, folder_of
from ingest.series_order import Order
from ingest.series_sql import columns_sql, merged_sql, partitions_sql, range_sql
from ingest.series_tail import (
    DAY_NS,
    FRESH,
    Kind,
    Segment,
    bucket_of,
    columns_of,
    open_series,
    segments_of,
)
from ingest.thinning import Columns, stretches

Column = Int64 | Float64 | UInt32

PORTION = 100_000
"""Readings sealed into one file at a time: it bounds the memory that this takes."""
FRESH_MOST = 6
"""So many files of all assets and times are split into files by period and bucket."""
MERGE_AT = 4
"""So many files of one period and bucket are merged into one; two, once the period is over."""
TRIM_BLOCKS = 256
"""Rows of the tail deleted in one transaction: the engine waits a moment at most."""
GRACE_NS = 60_000_000_000
"""How long a file that was merged into another stays for those who still read it."""


class Sealer:
    """Seals, splits, merges, forgets and trims; `step` is called after each thing that a crash could come after."""

    def __init__(self, order: Order, step: Callable[[str], None] = lambda _name: None) -> None:
        self._order = order
        self._step = step
        path = Path(order.path)
        self._folder = folder_of(path)
        self._folder.mkdir(exist_ok=True)
        self._conn = open_series(path)
        self._conn.execute("PRAGMA synchronous=FULL")
        (self._store,) = self._conn.execute("SELECT store FROM sealed").fetchone()
        (self._number,) = self._conn.execute(
            "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'segment'"
        ).fetchone()
        self._duck = connect(self._folder)

    def run(self) -> dict[str, int]:
        """Do all there is to do; gives the report."""
        self._clean()
        sealed = self._seal()
        for kind in Kind:
            self._split(kind)
            self._merge(kind)
            self._forget(kind)
        dropped = self._trim()
        self._delete_retired()
        files, rows, size = self._conn.execute(
            "SELECT count(*), coalesce(sum(row_count) FILTER (WHERE kind = 'raw'), 0), coalesce(sum(bytes), 0) FROM segment"
        ).fetchone()
        return {"sealed": sealed, "dropped": dropped, "files": files, "readings": rows, "bytes": size}

    def close(self) -> None:
        """Release the files."""
        self._duck.close()
        self._conn.close()

    def _clean(self) -> None:
        """Delete what a crash has left: unfinished files, and whole ones of this store that no manifest came to name."""
        shutil.rmtree(self._folder / "sorting", ignore_errors=True)
        known = {
            file
            for (file,) in self._conn.execute("SELECT file FROM segment UNION ALL SELECT file FROM retired")
        }
        for path in [*self._folder.glob(f"*-{self._store}-*.parquet"), *self._folder.glob("*.partial")]:
            if path.name not in known:
                path.unlink()

    def _seal(self) -> int:
        """The tail as it is now becomes files, portion by portion."""
        (through,) = self._conn.execute("SELECT through FROM sealed").fetchone()
        sizes = self._conn.execute(
            "SELECT batch, sum(length(at_ns)) / 8 FROM block WHERE batch > ? GROUP BY batch ORDER BY batch",
            (through,),
        ).fetchall()
        sealed = waiting = 0
        for place, (batch, rows) in enumerate(sizes):
            waiting += rows
            if waiting >= PORTION or place == len(sizes) - 1:
                self._seal_portion(through, batch)
                through, sealed, waiting = batch, sealed + waiting, 0
        return sealed

    def _seal_portion(self, after: int, through: int) -> None:
        blocks = self._conn.execute(
            "SELECT at_ns, channel, value, quality FROM block WHERE batch > ? AND batch <= ? ORDER BY batch",
            (after, through),
        ).fetchall()
        at_ns, ids, value, quality = columns_of(blocks)
        named = self._conn.execute("SELECT id, asset, name FROM channel ORDER BY asset, name").fetchall()
        rank = np.zeros(max(row[0] for row in named) + 1, np.int32)
        rank[[row[0] for row in named]] = np.arange(len(named))
        order = np.lexsort((at_ns, rank[ids]))
        columns = at_ns[order], value[order], quality[order]
        channel = rank[ids][order]
        assets, names = (np.array([row[place] for row in named], object) for place in (1, 2))
        new = []
        for kind in Kind:
            rows, of = _left_of(columns, channel, kind)
            self._duck.register("fresh", {"asset": assets[of], "channel": names[of], **rows})
            new.append(self._written(kind, "SELECT * FROM fresh", [], (FRESH, FRESH), (after + 1, through)))
            self._duck.unregister("fresh")
        self._commit(new, [], through)

    def _split(self, kind: Kind) -> None:
        """Files of all assets and times, once there are enough of them, become one of each period and bucket."""
        fresh = segments_of(self._conn, "kind = ? AND bucket = ?", (kind, FRESH))
        if len(fresh) < FRESH_MOST:
            return
        parts: dict[tuple[int, int], list[str]] = defaultdict(list)
        files = self._paths(fresh)
        for asset, period in self._duck.execute(partitions_sql(kind), [kind.period_ns, files]).fetchall():
            parts[bucket_of(asset), period].append(asset)
        new = [
            self._written(
                kind, merged_sql(kind, part=True), self._part(files, assets, kind, place[1]), place, _batches(fresh)
            )
            for place, assets in parts.items()
        ]  # fmt: skip
        self._commit(new, fresh)

    def _part(self, files: list[str], assets: list[str], kind: Kind, period: int) -> list[object]:
        return [files, assets, period * kind.period_ns, (period + 1) * kind.period_ns - 1]

    def _merge(self, kind: Kind) -> None:
        """The files of one period and bucket become one, if there are many, or if the period is over."""
        groups: dict[tuple[int, int], list[Segment]] = defaultdict(list)
        for segment in segments_of(self._conn, "kind = ? AND bucket <> ?", (kind, FRESH)):
            groups[segment.bucket, segment.period].append(segment)
        newest = max((period for _, period in groups), default=0)
        for place, segments in groups.items():
            if len(segments) >= (2 if place[1] < newest else MERGE_AT):
                merged = self._written(
                    kind,
                    merged_sql(kind, part=False),
                    [self._paths(segments)],
                    place,
                    _batches(segments),
                )
                self._commit([merged], segments)

    def _forget(self, kind: Kind) -> None:
        """Drop the files of periods that ended before what is to be kept."""
        days = self._order.raw_days if kind is Kind.RAW else self._order.view_days
        keep_from_ns = self._order.now_ns - days * DAY_NS
        over = segments_of(
            self._conn,
            "kind = ? AND bucket <> ? AND (period + 1) * ? <= ?",
            (kind, FRESH, kind.period_ns, keep_from_ns),
        )
        if over:
            raw = max((segment.period + 1) * kind.period_ns for segment in over) if kind is Kind.RAW else 0
            self._commit([], over, raw_from_ns=raw)

    def _trim(self) -> int:
        """Delete what is sealed from the tail, unless the mirror still wants it; gives how much it will never get."""
        (bound,) = self._conn.execute("SELECT through FROM sealed").fetchone()
        dropped = 0
        if not self._order.mirrored:
            self._conn.execute("DELETE FROM mirror")
        wanted = self._conn.execute("SELECT through, values_max FROM mirror").fetchone()
        if wanted is not None:
            bound, dropped = self._mirror_bound(bound, *wanted)
        self._conn.execute("PRAGMA synchronous=NORMAL")
        while (
            self._conn.execute(
                "DELETE FROM block WHERE rowid IN (SELECT rowid FROM block WHERE batch <= ? LIMIT ?)",
                (bound, TRIM_BLOCKS),
            ).rowcount
            == TRIM_BLOCKS
        ):
            self._step("trimmed")
            time.sleep(0.002)  # the engine's turn
        return dropped

    def _mirror_bound(self, sealed: int, mirrored: int, values_max: int) -> tuple[int, int]:
        """Up to which batch the tail may be deleted, and how many readings that takes from the mirror."""
        waiting = self._conn.execute(
            "SELECT batch, sum(length(at_ns)) / 8 FROM block WHERE batch > ? AND batch <= ? "
            "GROUP BY batch ORDER BY batch DESC",
            (mirrored, sealed),
        )
        kept = dropped = cut = 0
        for batch, rows in waiting:
            if kept + rows <= values_max and not cut:
                kept += rows
            else:
                cut, dropped = cut or batch, dropped + rows
        if not cut:
            return min(sealed, mirrored), 0
        moved = self._conn.execute(
            "UPDATE mirror SET through = ?, dropped = dropped + ? WHERE through = ?", (cut, dropped, mirrored)
        )
        return (cut, dropped) if moved.rowcount else (mirrored, 0)

    def _written(
        self,
        kind: Kind,
        query: str,
        values: list[object],
        place: tuple[int, int],
        batches: tuple[int, int],
    ) -> Segment:
        """A file with what the query gives, of a (bucket, period), durable under its name; no manifest names it yet."""
        self._number += 1
        file = f"{kind}-{self._store}-{self._number:08d}.parquet"
        partial = self._folder / f"{file}.partial"
        self._duck.execute(f"COPY ({query}) TO '{_quoted(partial)}' ({columns_sql()})", values).fetchall()
        self._step("written")
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        partial.rename(self._folder / file)
        sync(self._folder)
        self._step("renamed")
        size = (self._folder / file).stat().st_size
        ((count, from_ns, to_ns),) = self._duck.execute(
            range_sql(kind), [str(self._folder / file)]
        ).fetchall()
        return Segment(self._number, kind, *place, *batches, count, size, from_ns, to_ns, file)

    def _commit(
        self, new: Sequence[Segment], gone: Sequence[Segment], through: int = -1, *, raw_from_ns: int = 0
    ) -> None:
        """The manifest changes from one moment to the next."""
        since_ns = time.monotonic_ns()
        self._conn.execute("BEGIN IMMEDIATE")
        try:
            self._conn.executemany(
                "INSERT INTO segment VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", map(_row, new)
            )
            self._conn.executemany("DELETE FROM segment WHERE id = ?", [(old.id,) for old in gone])
            self._conn.executemany(
                "INSERT INTO retired VALUES (?, ?)", [(old.file, since_ns) for old in gone]
            )
            self._conn.execute(
                "UPDATE sealed SET through = max(through, ?), raw_from_ns = max(raw_from_ns, ?)",
                (through, raw_from_ns),
            )
        except BaseException:
            self._conn.execute("ROLLBACK")
            raise
        self._conn.execute("COMMIT")
        self._step("committed")

    def _delete_retired(self) -> None:
        """Delete files that nobody reads any more; a moment that lies ahead is of before the machine was restarted."""
        now_ns = time.monotonic_ns()
        for file, since_ns in self._conn.execute("SELECT file, since_ns FROM retired").fetchall():
            if not 0 <= now_ns - since_ns < GRACE_NS:
                (self._folder / file).unlink(missing_ok=True)
                self._conn.execute("DELETE FROM retired WHERE file = ?", (file,))

    def _paths(self, segments: Sequence[Segment]) -> list[str]:
        return [str(self._folder / segment.file) for segment in segments]


def _left_of(columns: Columns, channel: Int32, kind: Kind) -> tuple[dict[str, Column], Int32]:
    """The columns of a file of that kind, but for names, and of which channel each row is."""
    at_ns, value, quality = columns
    if kind is Kind.RAW:
        return {"at_ns": at_ns, "value": value, "quality": quality}, channel
    left = stretches(columns, kind.width_ns, channel)
    rows: dict[str, Column] = {
        "from_ns": left.from_ns,
        "low_at_ns": at_ns[left.low],
        "low": value[left.low],
        "low_quality": quality[left.low],
        "high_at_ns": at_ns[left.high],
        "high": value[left.high],
        "high_quality": quality[left.high],
        "total": left.total,
        "good": left.good,
        "row_count": left.rows,
    }
    return rows, channel[left.low]


def _row(segment: Segment) -> tuple[int | str, ...]:
    return (
        segment.id,
        segment.kind,
        segment.bucket,
        segment.period,
        segment.first_batch,
        segment.through_batch,
        segment.row_count,
        segment.bytes,
        segment.from_ns,
        segment.to_ns,
        segment.file,
    )


def _batches(segments: Sequence[Segment]) -> tuple[int, int]:
    return segments[0].first_batch, segments[-1].through_batch


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


@contextlib.contextmanager
def alone(path: Path) -> Iterator[bool]:
    """Whether no other process seals these series; none will while this lasts."""
    folder = folder_of(path)
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True


def seal(order: Order, step: Callable[[str], None] = lambda _name: None) -> dict[str, int]:
    """Carry out the order; an empty report if another process is at it."""
    with alone(Path(order.path)) as mine:
        if not mine:
            return {}
        with contextlib.closing(Sealer(order, step)) as sealer:
            return sealer.run()


if __name__ == "__main__":
    os.nice(10)  # the engine goes first
    sys.stdout.write(json.dumps(seal(Order(**json.loads(sys.argv[1])))))

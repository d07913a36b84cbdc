"""A journal file copied beside its writer: rows in short reads, then the segment that they name.

No read stays open for longer than it takes to fetch a piece, so that the writer's checkpoints go on. Rows are copied as
they stand, checksums and all: what was damaged is damaged in the copy too, and is told by whoever reads it.
"""

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

from ingest.volume import Volume

_ROWS_AT_ONCE = 64
_NEVER = 2**63 - 1
_SOME = (
    "SELECT position, count, frames FROM batch WHERE position >= ? AND position + count <= ? "
    "ORDER BY position LIMIT ?"
)


def copy_rows(
    folder: Path, first: int, to: Path, *, before: int = _NEVER, step: Callable[[int], None]
) -> int:
    """Copy the rows of the file that begins at `first` into a new one in `to`; gives the position after the last.

    Rows beyond `before` stay out. `step` is told the bytes of each piece, and may wait. FileNotFoundError if the file
    was dropped; sqlite3.DatabaseError if it cannot be made sense of.
    """
    path = folder / Volume.name(first)
    if not path.exists():
        raise FileNotFoundError(path)
    to.mkdir(mode=0o700, parents=True, exist_ok=True)
    Volume.create(to, first)
    at = first
    with (
        contextlib.closing(
            sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=30)
        ) as rows,
        contextlib.closing(sqlite3.connect(to / path.name, isolation_level=None)) as copy,
    ):
        copy.execute("PRAGMA synchronous=OFF")  # it is a step on the way into the archive
        while some := rows.execute(_SOME, (at, before, _ROWS_AT_ONCE)).fetchall():
            copy.execute("BEGIN")
            copy.executemany("INSERT INTO batch VALUES (?, ?, ?)", some)
            copy.execute("COMMIT")
            at = some[-1][0] + some[-1][1]
            step(sum(len(row[2]) for row in some))
        copy.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return at

"""Whether a data directory is whole: journals, store, audit, snapshots, series and photos, each against its own proof."""

import contextlib
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

from sqlalchemy import Engine as Database
from sqlalchemy import inspect, select, text, union

from andon import history, manifest, snapshots
from andon.access import audit as access_audit
from andon.access.tables import deeds
from andon.database import reading
from andon.ports import CorruptRecord
from andon.soundness import verify
from ingest.journal import SqliteJournal
from ingest.series_files import connect, folder_of
from ingest.series_tail import segments_of
from ticketing import audit
from ticketing.requests.tables import attachment
from ticketing.tables import photo

_PIECE_BYTES = 1024 * 1024
Check = Callable[[Path, Database], Iterator[str]]


def _journals(data: Path, database: Database) -> Iterator[str]:
    """Every record by its checksum, what was taken of them, and what became of it."""
    with reading(database) as conn:
        at, stages = manifest.where_each_source_stands(conn), manifest.counted(conn)
    order = list(history.recorded(data, database))
    there = {path.name for path in (data / "journal").glob("*") if path.is_dir()}
    for name in sorted(there | at.keys()):
        if name not in there:
            yield f"{name}: its journal is missing"
            continue
        with contextlib.closing(SqliteJournal(data / "journal" / name, read_only=True)) as journal:
            counts: Counter[str] = stages.get(f"source.{name}", Counter())
            found = verify(
                name, journal, order, taken=at.get(name, 0), counts=counts, advance=lambda _n: None
            )
        yield from (f"{name}: {problem}" for problem in found.problems)


def _store(_data: Path, database: Database) -> Iterator[str]:
    """The database's own check of its pages, and every reference between rows."""
    if database.dialect.name != "sqlite":
        return  # PostgreSQL checks its pages itself (data_checksums), and its references at each commit
    with reading(database) as conn:
        said = [str(row[0]) for row in conn.execute(text("PRAGMA integrity_check"))]
        yield from (line for line in said if line != "ok")
        for row in conn.execute(text("PRAGMA foreign_key_check")):
            yield f"{row[0]} {row[1]}: it names a row of {row[2]} that is not there"


def _audit(_data: Path, database: Database) -> Iterator[str]:
    """The chains of tickets, problems and accounts."""
    with reading(database) as conn:
        for found in audit.verify(conn):
            yield f"{found.of} {found.id}, line {found.seq}: {found.why.replace('_', ' ')}"
        broken = access_audit.first_break(conn) if inspect(conn).has_table(deeds.name) else None
        if broken is not None:
            yield f"accounts, line {broken}: changed or missing"


def _snapshots(data: Path, database: Database) -> Iterator[str]:
    """The newest can be read, is not ahead of the store, and nothing is missing between it and the last batch."""
    latest = snapshots.load_latest(data / "snapshots")
    with reading(database) as conn:
        last = manifest.last_number(conn)
        since, _ = latest if latest is not None else (0, {})
        numbers = [number for number, _, _ in manifest.since(conn, since)]
    if latest is None and any((data / "snapshots").glob("*.npz")):
        yield "none of them can be read"
    if numbers and (numbers[0] != since + 1 or len(numbers) != numbers[-1] - since):
        yield f"the snapshot is of batch {since}, and the batches {since + 1} to {last} are not all there"
    if last and since > last:
        yield f"the snapshot is of batch {since}, and the store ends at {last}"


def _series(data: Path, _database: Database) -> Iterator[str]:
    """The tail's pages, and every file that the manifest names: its size and its rows."""
    path = data / "series.sqlite"
    if not path.exists():
        return
    with contextlib.closing(
        sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=30)
    ) as conn:
        yield from (str(row[0]) for row in conn.execute("PRAGMA integrity_check") if row[0] != "ok")
        segments = segments_of(conn)
    if not segments:
        return
    with contextlib.closing(connect(folder_of(path))) as duck:
        for segment in segments:
            file = folder_of(path) / segment.file
            if not file.exists():
                yield f"{segment.file} is missing"
            elif file.stat().st_size != segment.bytes:
                yield f"{segment.file} has {file.stat().st_size:,} bytes, and {segment.bytes:,} were written"
            else:
                yield from _rows_of(duck, file, segment.row_count)


def _rows_of(duck: "object", file: Path, expected: int) -> Iterator[str]:
    """What is wrong with the columns of a file: all of them are read."""
    import duckdb  # noqa: PLC0415 - as in series_files.connect

    assert isinstance(duck, duckdb.DuckDBPyConnection)  # noqa: S101
    try:
        (rows,) = duck.execute("SELECT count(hash(COLUMNS(*))) FROM read_parquet(?)", [str(file)]).fetchall()
    except duckdb.Error as error:
        yield f"{file.name} cannot be read: {str(error).splitlines()[0]}"
    else:
        if set(rows) != {expected}:
            yield f"{file.name} has {rows[0]:,} rows, and {expected:,} were written"


def _photos(data: Path, database: Database) -> Iterator[str]:
    """Every photo that a ticket has, and every file of a report, against the hash that it is named by."""
    with reading(database) as conn:
        kept = union(select(photo.c.sha256), select(attachment.c.sha256))
        names = sorted(conn.execute(kept).scalars())
    for name in names:
        path = data / "photos" / name
        if not path.is_file():
            yield f"{name} is missing"
        elif _hash_of(path) != name:
            yield f"{name} is not as it was written"


def _history(data: Path, _database: Database) -> Iterator[str]:
    """The order in which all was taken can be read, and follows itself."""
    folder = data / history.FOLDER
    if not folder.exists():
        return
    with contextlib.closing(SqliteJournal(folder, read_only=True)) as journal:
        position, end = journal.start(), journal.end()
        while position < end:
            try:
                position += len(journal.read(position, 64)) or end
            except CorruptRecord as error:
                yield f"records {position} to {error.resume - 1} are not as they were written"
                position = error.resume


CHECKS: dict[str, Check] = {
    "journals": _journals,
    "history": _history,
    "store": _store,
    "audit": _audit,
    "snapshots": _snapshots,
    "series": _series,
    "photos": _photos,
}
"""What is looked at, in this order."""


def _hash_of(path: Path) -> str:
    summed = sha256()
    with path.open("rb") as file:
        while some := file.read(_PIECE_BYTES):
            summed.update(some)
    return summed.hexdigest()

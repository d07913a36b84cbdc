"""One file of a journal: SQLite rows of frames, and beside it a segment for the large bodies.

A row is one group commit. Large bodies are in the segment, and fsynced, before the row that names them is
written: the row is the truth, and what a crash leaves at the segment's end without a row is never read.
"""

import contextlib
import errno
import fcntl
import os
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from andon.durable import sync
from andon.ports import Record
from ingest.errors import Damaged, JournalFailed, JournalFull
from ingest.frames import HEADER_BYTES, Fault, Place, Row, count_frames, encode

READ_BYTES = 32 * 1024 * 1024
"""A read ends early once its records hold this much: memory stays bounded where bodies are large."""
_SUFFIX = ".sqlite"
_APPLICATION = 0x416E_646F  # "Ando", so that `file` can tell what it is
_SCHEMA = "CREATE TABLE batch (position INTEGER PRIMARY KEY, count INTEGER NOT NULL, frames BLOB NOT NULL)"
_SHORT_READ = sqlite3.SQLITE_IOERR_SHORT_READ
_SOUND_FILE = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_MISUSE,
    }
)
"""SQLite's results that say nothing against the file; all others mean that it is not what was written."""


class Volume:
    """The records of one journal file, from position `first` on. One writer, any number of reading processes."""

    def __init__(self, folder: Path, first: int, *, read_only: bool = False) -> None:
        self.first = first
        self.path = folder / f"{first:020d}{_SUFFIX}"
        self._folder = folder
        self._segment_path = self.path.with_suffix(".segment")
        mode = "ro" if read_only else "rw"
        with self._telling():
            self._rows = sqlite3.connect(
                f"{self.path.resolve().as_uri()}?mode={mode}",
                uri=True,
                isolation_level=None,
                check_same_thread=False,
                timeout=5,
            )
        self._row: Row | None = None
        self._segment: int | None = None
        self._segment_end = 0
        self.size_bytes = 0
        try:
            if not read_only:
                self._prepare_to_write()
        except BaseException:
            self._rows.close()
            raise

    @staticmethod
    def create(folder: Path, first: int) -> None:
        """Make an empty volume, whole or not at all. JournalFull if there is no space."""
        path = folder / f"{first:020d}{_SUFFIX}"
        unfinished = path.with_suffix(".new")
        try:
            for leftover in folder.glob("*.new*"):
                leftover.unlink()
            for name in (unfinished, path.with_suffix(".segment")):
                os.close(os.open(name, os.O_RDWR | os.O_CREAT, 0o600))
            with contextlib.closing(sqlite3.connect(unfinished, isolation_level=None)) as rows:
                for statement in (
                    f"PRAGMA application_id={_APPLICATION}",
                    _SCHEMA,
                    "PRAGMA journal_mode=WAL",
                ):
                    rows.execute(statement)
            unfinished.rename(path)
            sync(folder)
        except (sqlite3.Error, OSError) as error:
            raise _told(folder, error) from error

    @staticmethod
    def name(first: int) -> str:
        """The name of the file that begins at that position."""
        return f"{first:020d}{_SUFFIX}"

    @staticmethod
    def firsts(folder: Path) -> list[int]:
        """The first positions of the volumes in `folder`, rising."""
        return sorted(int(path.stem) for path in folder.glob(f"*{_SUFFIX}") if path.stem.isdecimal())

    @staticmethod
    def remove(folder: Path, first: int) -> None:
        """Delete the volume that begins at `first`."""
        path = folder / f"{first:020d}{_SUFFIX}"
        for name in (path, Path(f"{path}-wal"), Path(f"{path}-shm"), path.with_suffix(".segment")):
            name.unlink(missing_ok=True)
        sync(folder)

    @staticmethod
    def size_on_disk(folder: Path, first: int) -> int:
        """The bytes of the volume that begins at `first`, with its segment and its write-ahead log."""
        path = folder / f"{first:020d}{_SUFFIX}"
        size = 0
        for name in (path, Path(f"{path}-wal"), path.with_suffix(".segment")):
            with contextlib.suppress(FileNotFoundError):
                size += name.stat().st_size
        return size

    def add(self, position: int, records: Sequence[Record], inline_bytes: int) -> None:
        """Write these records at `position` as one row; durable on return, or nothing of it is there.

        Raises JournalFull, JournalFailed, or Damaged if the file itself cannot take a row.
        """
        frames, bodies = encode(records, position, inline_bytes=inline_bytes, offset=self._segment_end)
        try:
            size = self._write_bodies(bodies) if bodies else 0
            self._rows.execute("INSERT INTO batch VALUES (?, ?, ?)", (position, len(records), frames))
        except (sqlite3.Error, OSError) as error:
            self._undo()
            raise _told(self._folder, error) from error
        self._segment_end += size
        self.size_bytes += size + len(frames)

    def read(self, position: int, limit: int) -> tuple[list[Record], Fault | None]:
        """Up to `limit` records from `position` on, and the fault that ended them, if one did.

        The statement ends before this returns, so that no reader holds back the writer's checkpoints.
        """
        records: list[Record] = []
        fault: Fault | None = None
        row = self._row
        if row is not None and row.position <= position < row.end and row.skip_to(position):
            records, fault = row.take(limit, self._body)
        if fault or len(records) >= limit:
            return records, fault
        position += len(records)
        try:
            return self._read_rows(position, limit, records)
        except (sqlite3.DatabaseError, TypeError) as error:  # TypeError: a column has lost its type
            if not isinstance(told := _told(self._folder, error), Damaged):
                raise told from error
            return records, Fault(position, self._next_row(position))

    def _read_rows(
        self, position: int, limit: int, records: list[Record]
    ) -> tuple[list[Record], Fault | None]:
        """Add to `records` what stands in the rows from `position` on."""
        size = 0
        with contextlib.closing(self._rows_from(position)) as rows:
            for first, count, frames in rows:
                if first > position:
                    return records, Fault(position, first)
                self._row = row = Row(frames, first, count)  # rows never change: the next read goes on in it
                if not row.skip_to(position):
                    return records, Fault(position, row.end)
                found, fault = row.take(limit - len(records), self._body)
                records += found
                size += sum(len(record.body) for record in found)
                position += len(found)
                if fault or len(records) >= limit or size >= READ_BYTES:
                    return records, fault
        return records, None

    def end(self) -> int:
        """The position after the last row. Damaged if it cannot be told."""
        with self._telling():
            row = self._rows.execute(
                "SELECT position, count FROM batch ORDER BY position DESC LIMIT 1"
            ).fetchone()
        return self.first if row is None else int(row[0]) + int(row[1])

    def end_by_frames(self) -> int:
        """The position after the last row, counted out of its frames rather than believed. Damaged as in `end`."""
        with self._telling():
            row = self._rows.execute("SELECT * FROM batch ORDER BY position DESC LIMIT 1").fetchone()
            if row is None:
                return self.first
            position, count, frames = int(row[0]), int(row[1]), bytes(row[2])
        counted = count_frames(frames)
        return position + (min(count, len(frames) // HEADER_BYTES) if counted is None else counted)

    @staticmethod
    def most_records(folder: Path, first: int) -> int:
        """More records than the volume at `first` can hold, for when it can no longer be read."""
        sizes = (folder / f"{first:020d}{_SUFFIX}{tail}" for tail in ("", "-wal"))
        return sum(path.stat().st_size for path in sizes if path.exists()) // HEADER_BYTES + 1

    def close(self) -> None:
        """Release the files."""
        self._rows.close()
        if self._segment is not None:
            os.close(self._segment)
            self._segment = None

    def _prepare_to_write(self) -> None:
        with self._telling():
            for setting in ("synchronous=FULL", "fullfsync=ON", "checkpoint_fullfsync=ON"):
                self._rows.execute(f"PRAGMA {setting}")
            self._rows.execute("SELECT count(*) FROM (SELECT 1 FROM batch LIMIT 1)").fetchone()
        self._segment = os.open(self._segment_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._segment_end = os.fstat(self._segment).st_size  # a torn tail is left behind, never read
        self.size_bytes = self.path.stat().st_size + self._segment_end

    def _write_bodies(self, bodies: Sequence[bytes]) -> int:
        segment = self._segment
        if segment is None:
            raise JournalFailed(self._folder, "it is closed")
        at = self._segment_end
        for body in bodies:
            rest = memoryview(body)
            while rest:
                written = os.pwrite(segment, rest, at)
                at, rest = at + written, rest[written:]
        _sync(segment)
        return at - self._segment_end

    def _undo(self) -> None:
        """Leave nothing half-written: no open transaction, no body without a row (where the disk lets us)."""
        with contextlib.suppress(sqlite3.Error):
            if self._rows.in_transaction:
                self._rows.rollback()
        if self._segment is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(self._segment, self._segment_end)

    def _rows_from(self, position: int) -> sqlite3.Cursor:
        return self._rows.execute(
            "SELECT position, count, frames FROM batch WHERE position >= "
            "coalesce((SELECT max(position) FROM batch WHERE position <= ?1), ?1) "
            "AND position + count > ?1 ORDER BY position",
            (position,),
        )

    def _next_row(self, position: int) -> int | None:
        query = "SELECT min(position) FROM batch WHERE position > ?"
        with contextlib.suppress(sqlite3.DatabaseError):
            found = self._rows.execute(query, (position,)).fetchone()[0]
            return found if isinstance(found, int) else None
        return None

    def _body(self, place: Place) -> bytes | None:
        if self._segment is None:
            with contextlib.suppress(FileNotFoundError):
                self._segment = os.open(self._segment_path, os.O_RDONLY | os.O_CLOEXEC)
        if self._segment is None:
            return None
        body = os.pread(self._segment, place.length, place.offset)
        return body if len(body) == place.length and zlib.crc32(body) == place.crc else None

    @contextlib.contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, TypeError, ValueError) as error:
            raise _told(self._folder, error) from error


def _told(folder: Path, error: Exception) -> Damaged | JournalFull | JournalFailed:
    """What SQLite or the system said, in the journal's words."""
    if isinstance(error, JournalFull | JournalFailed):
        return error
    if isinstance(error, OSError):
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        return JournalFull(folder) if full else JournalFailed(folder, str(error))
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    if isinstance(error, sqlite3.ProgrammingError):
        return JournalFailed(folder, str(error))
    if code & 0xFF not in _SOUND_FILE or code == _SHORT_READ:
        return Damaged(f"{folder}: {error}")
    return JournalFull(folder) if _is_full(folder, code & 0xFF) else JournalFailed(folder, str(error))


def _is_full(folder: Path, code: int) -> bool:
    """Whether the disk is full rather than failing; SQLite says so clearly only where it writes itself."""
    if code in {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN}:
        free = os.statvfs(folder)
        return free.f_bavail * free.f_frsize < 256 * 1024 or free.f_favail == 0
    return code == sqlite3.SQLITE_FULL


def _sync(file: int) -> None:
    if hasattr(fcntl, "F_FULLFSYNC"):  # macOS: fsync alone stops at the drive's cache
        fcntl.fcntl(file, fcntl.F_FULLFSYNC)
    else:
        os.fsync(file)

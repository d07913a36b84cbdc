"""What arrived, as it arrived, fsynced before anybody is told so: one folder per source, embedded in SQLite.

The folder holds volumes (`volume.py`) that are rotated by size and dropped whole, `lock`, which one writing
process holds, and `end`, the position after the last commit. `end` is written after the commit and not
synced: it can only lag, so that an `end` beyond the last row means that rows were lost after they were durable.
"""

import bisect
import contextlib
import fcntl
import itertools
import logging
import os
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from andon.ports import Record
from ingest.errors import (
    CorruptRecord,
    Damaged,
    JournalFailed,
    JournalFull,
    JournalLocked,
    RecordDropped,
)
from ingest.volume import Volume

ROTATE_BYTES = 256 * 1024 * 1024
INLINE_BYTES = 16 * 1024
_END = struct.Struct("<QI")
_NEVER_NS = 2**63
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class JournalFile:
    """One file with its segment: positions `first` up to but not including `after`, and when the last was received.

    `last_ns` is None if nothing in it can be read, or nothing is in it.
    """

    first: int
    after: int
    size_bytes: int
    last_ns: int | None


class SqliteJournal:
    """The durable, append-only record of one source (a `Journal`), in `folder`.

    One process writes; `read_only` opens the same folder elsewhere and follows. A commit is one row, whatever
    its number of records; bodies over `inline_bytes` go to the segment beside it. `on_commit` is called with
    the records after each commit, on the thread that appended. A file is full at `rotate_bytes`, or when its first
    record is `rotate_ns` old. While `is_full` says so, nothing is appended. Appending and reading belong to
    one thread at a time; `end` and `drop_before` may be called from any.

    Raises JournalLocked if another process writes here, JournalFull if a new journal finds no space.
    """

    def __init__(
        self,
        folder: Path,
        *,
        read_only: bool = False,
        rotate_bytes: int = ROTATE_BYTES,
        rotate_ns: int = _NEVER_NS,
        inline_bytes: int = INLINE_BYTES,
        is_full: Callable[[], bool] | None = None,
        on_commit: Callable[[Sequence[Record]], None] | None = None,
    ) -> None:
        self._folder = folder
        self._rotate_bytes, self._rotate_ns = rotate_bytes, rotate_ns
        self._is_full = is_full
        self._began_ns: int | None = None
        self._inline_bytes = inline_bytes
        self._on_commit = on_commit
        self._writing: Volume | None = None
        self._reading: Volume | None = None
        self._firsts: list[int] = []
        self._failed: JournalFailed | None = None
        self._end = 0
        self._end_file: int | None = None
        self._lock = None if read_only else _locked(folder)
        if read_only:
            return
        try:
            self._end_file = os.open(folder / "end", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._open_to_write()
        except BaseException:
            self.close()
            raise

    def append(self, records: Sequence[Record]) -> int:
        """Write and fsync these records as one commit; durable on return. Gives the position after the last.

        Raises JournalFull (an OSError: nothing was written, append again once there is space), JournalFailed
        (an OSError: open the journal anew), ValueError if a record does not fit its frame.
        """
        if self._writing is None:
            raise JournalFailed(self._folder, "it is closed or was opened to be read only")
        if self._failed is not None:
            raise self._failed
        if not records:
            return self._end
        if self._is_full is not None and self._is_full():
            raise JournalFull(self._folder)
        try:
            if self._is_due(self._writing, records[0].received_ns):
                self._rotate(self._writing)
            self._add(records)
        except JournalFailed as error:
            self._failed = error
            raise
        self._end += len(records)
        self._note_end()
        if self._on_commit is not None:
            self._on_commit(records)
        return self._end

    def read(self, position: int, limit: int) -> Sequence[Record]:
        """Up to `limit` records from `position` on; only an empty answer means the end.

        Fewer than `limit` come where a file ends, where the bodies reach 32 MiB, and before a corrupt record.
        When the corrupt record itself is at `position`, CorruptRecord is raised: its `resume` is where reading
        goes on (`position + 1`, or farther where a whole run is lost). Raises RecordDropped before `start()`.
        """
        while True:
            known_end = self._noted_end()  # before the rows: they can only be ahead of it
            volume = self._volume_at(position)
            if volume is None:
                return []
            records, fault = volume.read(position, limit)
            if records:
                return records
            following = self._first_after(volume.first)
            if following is not None and following <= position:
                continue  # rotated while we were looking
            if fault is None and following is None and known_end <= position:
                return []
            resume = fault.resume if fault else None
            if resume is None:
                resume = known_end if following is None else following
            if resume > position:
                raise CorruptRecord(volume.path, position, resume)
            return []

    def start(self) -> int:
        """The first position that is kept."""
        self._firsts = Volume.firsts(self._folder)
        return self._firsts[0] if self._firsts else 0

    def end(self) -> int:
        """The position after the last durable record."""
        if self._writing is not None:
            return self._end
        self._firsts = Volume.firsts(self._folder)
        rows_end = 0
        if self._firsts:
            with contextlib.suppress(Damaged):
                rows_end = self._opened(self._firsts[-1]).end()
        return max(rows_end, self._noted_end())

    def drop_before(self, position: int) -> int:
        """Delete the files all of whose records stand before `position`, never the newest. Gives how many."""
        firsts = Volume.firsts(self._folder)
        gone = [first for first, following in itertools.pairwise(firsts) if following <= position]
        for first in gone:
            Volume.remove(self._folder, first)
        return len(gone)

    def files(self) -> list[JournalFile]:
        """The files, oldest first, as they are now."""
        firsts = Volume.firsts(self._folder)
        afters = [*firsts[1:], max(self.end(), firsts[-1])] if firsts else []
        return [
            JournalFile(first, after, Volume.size_on_disk(self._folder, first), self._last_ns(first, after))
            for first, after in zip(firsts, afters, strict=True)
        ]

    def close(self) -> None:
        """Release files; appending after this raises."""
        for volume in (self._writing, self._reading):
            if volume is not None:
                volume.close()
        for file in (self._end_file, self._lock):
            if file is not None:
                os.close(file)
        self._writing = self._reading = self._end_file = self._lock = None

    def _open_to_write(self) -> None:
        """Find the end, and open the last volume, or a new one after it if the last cannot be made sense of."""
        noted = self._noted_end()
        self._firsts = Volume.firsts(self._folder)
        if not self._firsts:
            self._begin(noted)
            return
        try:
            self._writing = Volume(self._folder, self._firsts[-1])
            self._end = max(self._writing.end_by_frames(), noted)
        except Damaged as error:
            self._begin_beside_damage(error, noted)
        else:
            self._note_end()

    def _begin_beside_damage(self, error: Damaged, noted: int) -> None:
        """Leave a file that SQLite cannot make sense of as it is, and go on in a new one, past all it may hold."""
        last = Volume.firsts(self._folder)[-1]
        _log.error(
            "a journal file is damaged; its records are reported as corrupt, and a new file goes on",
            extra={"folder": str(self._folder), "first": last, "error": str(error)},
        )
        past = last + Volume.most_records(self._folder, last)
        if self._writing is not None:
            self._writing.close()
        self._begin(noted if noted > last else past)

    def _begin(self, first: int) -> None:
        Volume.create(self._folder, first)
        self._writing = Volume(self._folder, first)
        self._firsts = Volume.firsts(self._folder)
        self._end = first
        self._note_end()

    def _rotate(self, full: Volume) -> None:
        Volume.create(self._folder, self._end)
        self._writing, self._began_ns = Volume(self._folder, self._end), None
        self._firsts = Volume.firsts(self._folder)
        full.close()

    def _is_due(self, volume: Volume, now_ns: int) -> bool:
        """Whether the file that is written is full or old."""
        if volume.size_bytes >= self._rotate_bytes:
            return True
        if self._began_ns is None and self._end > volume.first:
            records, _ = volume.read(volume.first, 1)
            self._began_ns = records[0].received_ns if records else now_ns
        return self._began_ns is not None and now_ns - self._began_ns >= self._rotate_ns

    def _last_ns(self, first: int, after: int) -> int | None:
        """When the last record of that file that can be read was received."""
        for position in range(after - 1, max(first, after - 100) - 1, -1):
            with contextlib.suppress(CorruptRecord, RecordDropped, JournalFailed, Damaged):
                if records := self.read(position, 1):
                    return records[0].received_ns
        return None

    def _add(self, records: Sequence[Record]) -> None:
        try:
            self._volume().add(self._end, records, self._inline_bytes)
        except Damaged as error:
            self._begin_beside_damage(error, self._end)
            self._volume().add(self._end, records, self._inline_bytes)

    def _volume(self) -> Volume:
        if self._writing is None:
            raise JournalFailed(self._folder, "it is closed")
        return self._writing

    def _volume_at(self, position: int) -> Volume | None:
        """The volume that holds `position`, or would; None while there is none at all."""
        if self._reading is None or self._reading.first > position:
            self._firsts = Volume.firsts(self._folder)
        while self._firsts:
            index = bisect.bisect_right(self._firsts, position) - 1
            if index < 0:
                raise RecordDropped(position, self._firsts[0])
            try:
                return self._opened(self._firsts[index])
            except JournalFailed:
                known, self._firsts = self._firsts, Volume.firsts(self._folder)
                if known == self._firsts:  # it was not dropped meanwhile: it cannot be opened
                    raise
        return None

    def _first_after(self, first: int) -> int | None:
        self._firsts = Volume.firsts(self._folder)
        index = bisect.bisect_right(self._firsts, first)
        return self._firsts[index] if index < len(self._firsts) else None

    def _opened(self, first: int) -> Volume:
        if self._reading is None or self._reading.first != first:
            if self._reading is not None:
                self._reading.close()
                self._reading = None
            self._reading = Volume(self._folder, first, read_only=True)
        return self._reading

    def _note_end(self) -> None:
        if self._end_file is not None:
            position = self._end.to_bytes(8, "little")
            os.pwrite(self._end_file, _END.pack(self._end, zlib.crc32(position)), 0)

    def _noted_end(self) -> int:
        """The end as noted by the writer; 0 if there is no such note, or a damaged one."""
        if self._end_file is None:
            with contextlib.suppress(FileNotFoundError):
                self._end_file = os.open(self._folder / "end", os.O_RDONLY | os.O_CLOEXEC)
        note = os.pread(self._end_file, _END.size, 0) if self._end_file is not None else b""
        if len(note) != _END.size:
            return 0
        end, crc = _END.unpack(note)
        return int(end) if zlib.crc32(note[:8]) == crc else 0


def _locked(folder: Path) -> int:
    """The lock of the one writer, held as long as the file is open. JournalLocked if another holds it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise JournalLocked(folder) from error
    return lock

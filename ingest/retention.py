"""Which files of a journal may go: history is kept for its days and within its bytes, and never what is still needed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from andon.config import Keeping
from andon.events import SECOND_NS
from ingest.journal import JournalFile, SqliteJournal

_DAY_NS = 86_400 * SECOND_NS
_FILES_IN_ALL = 8


@dataclass(frozen=True, slots=True)
class Kept:
    """What a look found and did."""

    files: int
    size_bytes: int
    dropped: int


def goes_before(
    files: Sequence[JournalFile], needed: int, now_ns: int, keeping: Keeping, *, shed: bool
) -> int:
    """The position before which files may be dropped whole.

    A file goes when nothing in it is needed and it is too old, over the budget, or (`shed`) the disk is
    nearly full; and all before it with it.
    """
    oldest_ns = now_ns - int(keeping.keep_days * _DAY_NS)
    size = sum(file.size_bytes for file in files)
    position = files[0].first if files else 0
    for file in files[:-1]:
        too_old = file.last_ns is not None and file.last_ns < oldest_ns
        if file.after > needed or not (shed or too_old or size > keeping.keep_bytes):
            break
        size -= file.size_bytes
        position = file.after
    return position


def enforce(folder: Path, needed: int, now_ns: int, keeping: Keeping, *, shed: bool) -> Kept:
    """Drop from the journal in `folder` what may go. Safe beside its writer and readers."""
    journal = SqliteJournal(folder, read_only=True)
    try:
        files = journal.files()
        dropped = journal.drop_before(goes_before(files, needed, now_ns, keeping, shed=shed))
    finally:
        journal.close()
    return Kept(len(files) - dropped, sum(file.size_bytes for file in files[dropped:]), dropped)


def rotate_bytes(keeping: Keeping, largest: int) -> int:
    """When a file is to be full, so that the budget can be kept file by file."""
    return max(64 * 1024, min(largest, keeping.keep_bytes // _FILES_IN_ALL))


def rotate_ns(keeping: Keeping) -> int:
    """When a file is to be old, so that the days can be kept file by file."""
    return int(min(_DAY_NS, keeping.keep_days * _DAY_NS / _FILES_IN_ALL))

"""Reading journals so that nothing is passed over silently: for the engine, and for those who look into them."""

import json
from bisect import bisect_left
from collections.abc import Iterator, Sequence

from andon.events import Json
from andon.pipeline import Slice
from andon.ports import CorruptRecord, Journal, Record, RecordKind
from ingest.errors import RecordDropped

WALK_AT_ONCE = 512
READ_AT_ONCE = 256


def take(
    journal: Journal, source: str, first: int, limit: int, *, bytes_max: int | None = None
) -> tuple[Slice, str | None, bool]:
    """Up to `limit` records from `first` on, where the journal is damaged, if it is, and whether that was all there is.

    No more are taken once their bodies hold `bytes_max`, so that many small ones fit into one batch, or a few large.
    A corrupt record stands as a refusal. When it was received nobody knows: it is given the time of the one before.
    """
    records: list[Record] = []
    damaged = None
    ended = False
    size = 0
    while len(records) < limit and (bytes_max is None or size < bytes_max):
        try:
            more = journal.read(first + len(records), min(READ_AT_ONCE, limit - len(records)))
        except CorruptRecord as error:
            damaged = damaged or str(error)
            before_ns = records[-1].received_ns if records else _received_ns(journal, error.position - 1)
            more = [_corrupt(error, before_ns)] * min(error.resume - error.position, limit - len(records))
        if not more:
            ended = True
            break
        records.extend(more)
        size += sum(len(record.body) for record in more)
    return Slice(source, first, records), damaged, ended


def original(journal: Journal, position: int) -> Record | None:
    """The record at `position`; None if it is not kept or not as it was written."""
    try:
        records = journal.read(position, 1)
    except (CorruptRecord, RecordDropped):
        return None
    return records[0] if records else None


def walk(journal: Journal, position: int, end: int) -> Iterator[tuple[int, Sequence[Record], int]]:
    """Every record from `position` up to `end`, as (position of the first, records, how many after them are corrupt)."""
    while position < end:
        try:
            records = journal.read(position, min(WALK_AT_ONCE, end - position))
        except CorruptRecord as error:
            resume = min(error.resume, end)
            yield position, (), resume - position
            position = resume
        except RecordDropped as error:  # meanwhile: this is read beside the writer
            position = error.first
        else:
            if not records:
                return
            yield position, records, 0
            position += len(records)


def position_at(journal: Journal, start: int, end: int, at_ns: int) -> int:
    """The first position from `start` on that was received at `at_ns` or later, if the clock never went back."""

    def received_ns(position: int) -> int:
        for near in range(position, end):
            record = original(journal, near)
            if record is not None:
                return record.received_ns
        return at_ns

    return bisect_left(range(end), at_ns, start, end, key=received_ns)


def _received_ns(journal: Journal, position: int) -> int:
    before = original(journal, position) if position >= 0 else None
    return before.received_ns if before else 0


def _corrupt(error: CorruptRecord, received_ns: int) -> Record:
    refusal: dict[str, Json] = {
        "reason": "record_corrupt",
        "length": 0,
        "sha256": "",
        "head": "",
        "detail": str(error),
    }
    return Record(RecordKind.REFUSED, received_ns, b"", json.dumps(refusal).encode())

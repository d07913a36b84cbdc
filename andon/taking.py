"""Reading journals for the engine: runs of records in which nothing is passed over silently."""

import json

from andon.events import Json
from andon.pipeline import Slice
from andon.ports import CorruptRecord, Journal, Record, RecordKind
from ingest.errors import RecordDropped


def take(journal: Journal, source: str, first: int, limit: int) -> tuple[Slice, str | None]:
    """Up to `limit` records from `first` on, and where the journal is damaged, if it is.

    A corrupt record stands as a refusal. When it was received nobody knows: it is given the time of the one before.
    """
    records: list[Record] = []
    damaged = None
    while len(records) < limit:
        try:
            more = journal.read(first + len(records), limit - len(records))
        except CorruptRecord as error:
            damaged = damaged or str(error)
            before_ns = records[-1].received_ns if records else _received_ns(journal, error.position - 1)
            more = [_corrupt(error, before_ns)] * min(error.resume - error.position, limit - len(records))
        if not more:
            break
        records.extend(more)
    return Slice(source, first, records), damaged


def original(journal: Journal, position: int) -> Record | None:
    """The record at `position`; None if it is not kept or not as it was written."""
    try:
        records = journal.read(position, 1)
    except (CorruptRecord, RecordDropped):
        return None
    return records[0] if records else None


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

"""The order in which all kept messages were taken: what the manifest no longer needs for a restart goes on here.

It stands in a journal of its own beside the sources', checksummed and dropped by age like theirs, so that history
can be told again batch by batch (`andon replay --journal`).
"""

import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine as Database

from andon import manifest
from andon.database import reading
from andon.events import Json
from andon.manifest import Taken
from andon.ports import CorruptRecord, Record, RecordKind
from ingest.journal import SqliteJournal

FOLDER = "history"
ROTATE_BYTES = 16 * 1024 * 1024
_DIGEST_CHARS = 16
_BATCHES_PER_RECORD = 5_000
Batches = Sequence[tuple[int, str, list[Taken]]]


@dataclass(frozen=True, slots=True)
class Recorded:
    """One batch as it was taken; `digest` is the beginning of what its outcome had."""

    number: int
    digest: str
    taken: tuple[Taken, ...]

    def gives(self, digest: str) -> bool:
        """Whether an outcome with that digest is the same."""
        return digest.startswith(self.digest)


def keep(data: Path, batches: Batches, now_ns: int, rotate_ns: int) -> None:
    """Write these batches down, durably. OSError if that is not possible."""
    if not batches:
        return
    journal = SqliteJournal(data / FOLDER, rotate_bytes=ROTATE_BYTES, rotate_ns=rotate_ns)
    try:
        for first in range(0, len(batches), _BATCHES_PER_RECORD):
            rows = [
                [number, digest[:_DIGEST_CHARS], [[part.source, part.first, part.after] for part in taken]]
                for number, digest, taken in batches[first : first + _BATCHES_PER_RECORD]
            ]
            body = zlib.compress(json.dumps(rows, separators=(",", ":")).encode())
            journal.append([Record(RecordKind.ORDER, now_ns, b"", body)])
    finally:
        journal.close()


def recorded(data: Path, database: Database) -> Iterator[Recorded]:
    """Every batch that is written down, in order, each once; one that cannot be read is missing."""
    with reading(
        database
    ) as conn:  # first the newest: what moves on meanwhile is then there twice, not never
        newest = [_recorded(number, digest, taken) for number, digest, taken in manifest.since(conn, 0)]
    last = 0
    for batch in _older(data):
        if last < batch.number:
            last = batch.number
            yield batch
    for batch in newest:
        if last < batch.number:
            yield batch


def _older(data: Path) -> Iterator[Recorded]:
    if not (data / FOLDER).exists():
        return
    journal = SqliteJournal(data / FOLDER, read_only=True)
    try:
        position = journal.start()
        while True:
            try:
                records = journal.read(position, 16)
            except CorruptRecord as error:
                position = error.resume
                continue
            if not records:
                return
            position += len(records)
            for record in records:
                rows: Json = json.loads(zlib.decompress(record.body))
                for number, digest, taken in rows:
                    yield _recorded(number, digest, [Taken(*part) for part in taken])
    finally:
        journal.close()


def _recorded(number: int, digest: str, taken: Sequence[Taken]) -> Recorded:
    return Recorded(number, digest[:_DIGEST_CHARS], tuple(taken))

"""What a finding was made of, as it arrived: its record in a source's journal, and the block of samples in it.

A trace id (`plant_mqtt:3147`) is a source and a position in its journal: the reference by which a finding keeps its
block, without a copy. What retention has dropped is gone, and is said to be.
"""

import contextlib
import json
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from andon.events import Waveform
from andon.plant import Plant
from andon.ports import CorruptRecord, Record, RecordKind
from andon.redrive import unwrap
from ingest.decode import MessageDecoder
from ingest.errors import Damaged, JournalFailed, RecordDropped
from ingest.journal import SqliteJournal

_PLANT = "plant"


@dataclass(frozen=True, slots=True)
class Original:
    """One record with its place; a refused message that was taken anew stands as what it was."""

    source: str
    position: int
    record: Record


def original(journals: Path, trace_id: str) -> Original | None:
    """The record that a trace id names; None if it is not kept any more, cannot be read or never was.

    `journals` is the folder that has one journal per source.
    """
    source, _, digits = trace_id.rpartition(":")
    folder = journals / source
    if not digits.isdecimal() or not source or folder.parent != journals or not folder.is_dir():
        return None
    position = int(digits)
    with contextlib.suppress(CorruptRecord, RecordDropped, JournalFailed, Damaged, sqlite3.Error, OSError):
        with contextlib.closing(SqliteJournal(folder, read_only=True)) as journal:
            records = journal.read(position, 1)
        if not records:
            return None
        again = unwrap(records[0]) if records[0].kind is RecordKind.REDRIVE else None
        if again is not None:
            return Original(again.source, again.position, again.record)
        return Original(source, position, records[0])
    return None


def block_in(found: Original, plant: Plant, point: str = "") -> Waveform | None:
    """The block of samples that a record holds, of that point if there are several; None if it holds none.

    It is decoded as the engine did, by the plant's present mapping. What only earlier messages could explain (an alias
    of a Sparkplug birth) is not found.
    """
    decoder = MessageDecoder()
    document = {"version": plant.version, "document": plant.model_dump(mode="json")}
    configured = Record(
        RecordKind.CONFIG, found.record.received_ns, b"", json.dumps(document, default=str).encode()
    )
    decoder.decode(_PLANT, 0, [configured])
    events = decoder.decode(found.source, found.position, [found.record]).events
    blocks = [event for event in events if isinstance(event, Waveform)]
    return next((block for block in blocks if block.point == point), blocks[0] if blocks else None)

"""An installation's own history as batches to be told again, in the order in which they were taken where that is kept.

What came before the order that is written down is taken by its time of receipt.
"""

import contextlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from andon.engine import OWN, TAKE_AT_MOST, TAKE_BYTES
from andon.history import Recorded
from andon.manifest import Taken
from andon.pipeline import Slice
from andon.plant import Plant
from andon.ports import Record, RecordKind
from andon.taking import position_at, take
from ingest.journal import SqliteJournal


@dataclass(frozen=True, slots=True)
class Span:
    """The records `first` up to but not including `after` of one source, to be told again."""

    journal: SqliteJournal
    first: int
    after: int

    def part(self, taken: Taken) -> Taken | None:
        """What of a slice lies in it."""
        first, after = max(taken.first, self.first), min(taken.after, self.after)
        return Taken(taken.source, first, after) if first < after else None


def spans_of(
    origin: Path,
    stack: contextlib.ExitStack,
    *,
    sources: Collection[str] = (),
    from_ns: int | None = None,
    to_ns: int | None = None,
) -> dict[str, Span]:
    """What is to be told of each source: all that is kept, or what was received in that time.

    Of all sources, or of these and the engine's own. The journals are closed with `stack`.
    """
    spans = {}
    for folder in sorted(path for path in (origin / "journal").glob("*/") if path.is_dir()):
        if sources and folder.name not in {*sources, OWN}:
            continue
        journal = SqliteJournal(folder, read_only=True)
        stack.callback(journal.close)
        first, after = journal.start(), journal.end()
        if to_ns is not None:
            after = position_at(journal, first, after, to_ns)
        if from_ns is not None:
            first = position_at(journal, first, after, from_ns)
        spans[folder.name] = Span(journal, first, after)
    return spans


def batches_of(order: Sequence[Recorded], spans: Mapping[str, Span]) -> list[Recorded]:
    """Every batch of these spans: what was taken before the order that is kept, then what it says."""
    return [*_before_order(order, spans), *_in_order(order, spans)]


def why_incomplete(order: Sequence[Recorded], spans: Mapping[str, Span]) -> str | None:
    """What is missing at the beginning or in the order; None if what comes out has to be what came out then."""
    if not order or order[0].number != 1 or any(span.first > 0 for span in spans.values()):
        return "the beginning of the history is no longer kept, and with it what was learned from it"
    if any(after.number != before.number + 1 for before, after in pairwise(order)):
        return "the order of some batches can no longer be read"
    return None


def plant_before(own: Span, latest: Plant | None) -> Record | None:
    """The plant document of the beginning: the last one before it, else the first after it, else the newest."""
    before = _configs(own.journal, own.journal.start(), own.first)
    after = _configs(own.journal, own.first, own.after)
    if before or after:
        return [*before[-1:], *after[:1]][0]
    if latest is None:
        return None
    body = {"version": latest.version, "document": latest.model_dump(mode="json")}
    return Record(RecordKind.CONFIG, 1, b"", json.dumps(body).encode())


def _configs(journal: SqliteJournal, first: int, after: int) -> list[Record]:
    found = []
    while first < after:
        part, _, _ = take(journal, OWN, first, min(TAKE_AT_MOST, after - first))
        if not part.records:
            break
        first += len(part.records)
        found += [record for record in part.records if record.kind is RecordKind.CONFIG]
    return found


def _in_order(order: Sequence[Recorded], spans: Mapping[str, Span]) -> Iterator[Recorded]:
    for batch in order:
        parts = [spans[part.source].part(part) for part in batch.taken if part.source in spans]
        taken = tuple(part for part in parts if part is not None)
        if taken:
            yield Recorded(batch.number, batch.digest, taken)


def _before_order(order: Sequence[Recorded], spans: Mapping[str, Span]) -> Iterator[Recorded]:
    """What stands before the first batch that is written down, by its time of receipt; numbered up to that batch."""
    first = {name: span.after if not order else span.first for name, span in spans.items()}
    for batch in reversed(order):
        first.update({part.source: part.first for part in batch.taken if part.source in first})
    at = {name: span.first for name, span in spans.items()}
    batches = []
    while True:
        heads = {
            name: take(
                spans[name].journal,
                name,
                at[name],
                min(TAKE_AT_MOST, first[name] - at[name]),
                bytes_max=TAKE_BYTES,
            )[0].records
            for name in spans
            if at[name] < first[name]
        }
        heads = {name: records for name, records in heads.items() if records}
        if not heads:
            break
        horizon_ns = min(records[-1].received_ns for records in heads.values())
        taken = []
        for name, records in heads.items():
            count = sum(record.received_ns <= horizon_ns for record in records)
            if count:
                taken.append(Taken(name, at[name], at[name] + count))
                at[name] += count
        batches.append(tuple(taken))
    until = order[0].number if order else len(batches) + 1
    for number, parts in enumerate(batches, until - len(batches)):
        yield Recorded(number, "", parts)


def slices_of(spans: Mapping[str, Span], taken: Sequence[Taken]) -> tuple[Slice, ...]:
    """The records of a batch."""
    return tuple(
        take(spans[part.source].journal, part.source, part.first, part.after - part.first)[0]
        for part in taken
    )

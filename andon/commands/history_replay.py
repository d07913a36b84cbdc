"""`andon replay --journal`: an installation's own history through the line as it is now, into a store of its own.

The order in which the batches were taken is followed where it is written down, and each outcome is compared with the
one of then; what came before is taken by its time of receipt. The clock is the story's: it stands at the newest
record of the batch. Nobody is notified.
"""

import argparse
import contextlib
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from andon import history, manifest, plants
from andon.app import make_engine
from andon.clock import StoryClock
from andon.commands import Refused
from andon.commands.output import write_json
from andon.commands.report import all_tickets, balance, ticket_row
from andon.database import open_database, reading
from andon.datadir import Busy, only_instance, open_store
from andon.engine import OWN, TAKE_AT_MOST, TAKE_BYTES
from andon.events import Json
from andon.history import Recorded
from andon.manifest import Taken
from andon.pipeline import Slice
from andon.plant import Plant
from andon.ports import Record, RecordKind
from andon.taking import position_at, take
from ingest.journal import SqliteJournal

SEED = "replay"
"""The source of the plant document that was in force where the history begins."""


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


def run(arguments: argparse.Namespace) -> int:
    """Tell it again and say what came of it; 1 if it was comparable and is not identical, else 0."""
    if not (arguments.journal / "andon.sqlite").exists():
        raise Refused(f"{arguments.journal} holds no installation")
    data = arguments.data or Path(tempfile.mkdtemp(prefix="andon-"))
    if (data / "andon.sqlite").exists():
        raise Refused(f"{data} has been used before; give another --data")
    try:
        with only_instance(data), contextlib.ExitStack() as stack:
            facts = _tell(arguments, data, stack)
    except Busy as error:
        raise Refused(str(error)) from error
    finally:
        if arguments.data is None:
            shutil.rmtree(data, ignore_errors=True)
    if arguments.json is not None:
        write_json(arguments.json, facts)
    if arguments.json != Path("-"):
        _say(facts)
    return 1 if facts["differs"] else 0


def _tell(arguments: argparse.Namespace, data: Path, stack: contextlib.ExitStack) -> dict[str, Json]:
    origin: Path = arguments.journal
    there = open_database(origin / "andon.sqlite")
    order = list(history.recorded(origin, there))
    spans = _spans(arguments, origin, stack)
    why_not = _why_not_comparable(arguments, order, spans)
    seed = SqliteJournal(data / "journal" / SEED)
    stack.callback(seed.close)
    now = StoryClock(arguments.from_ns or 0)
    database = open_store(data)
    engine = make_engine(
        data, {name: span.journal for name, span in spans.items()} | {SEED: seed}, database, now
    )
    batches = [*_before_order(order, spans), *_in_order(order, spans)]
    if why_not is not None and batches:
        with reading(there) as conn:
            plant = _plant_before(spans[OWN], plants.latest(conn))
        if plant is not None:
            seed.append([plant])
            engine.follow(batches[0].number - 1, (Slice(SEED, 0, [plant]),))
    differs, found = [], Counter[str]()
    with _progress(len(batches)) as advance:
        for batch in batches:
            slices = _slices(spans, batch.taken)
            now.advance(max((record.received_ns for part in slices for record in part.records), default=0))
            outcome = engine.follow(batch.number, slices)
            found.update(f"{finding.condition} {finding.action}" for finding in outcome.findings)
            if why_not is None and not batch.gives(outcome.digest()):
                differs.append(batch.number)
            advance()
    with reading(database) as conn:
        stages = manifest.counted(conn)
        tickets = [ticket_row(ticket) for ticket in all_tickets(conn)]
    return {
        "batches": len(batches),
        "records": sum(part.after - part.first for batch in batches for part in batch.taken),
        "compared": why_not is None,
        "not_compared_because": why_not,
        "identical": why_not is None and not differs,
        "differs": differs,
        "findings": dict(sorted(found.items())),
        "tickets": tickets,
        "sources": {name: balance(stages.get(f"source.{name}", {})) for name in spans if name != OWN},
    }


def _spans(arguments: argparse.Namespace, origin: Path, stack: contextlib.ExitStack) -> dict[str, Span]:
    """What is to be told of each source: all that is kept, or what was received in the time that was asked for."""
    wanted = set(arguments.source or ())
    spans = {}
    for folder in sorted(path for path in (origin / "journal").glob("*/") if path.is_dir()):
        if wanted and folder.name not in {*wanted, OWN}:
            continue
        journal = SqliteJournal(folder, read_only=True)
        stack.callback(journal.close)
        first, after = journal.start(), journal.end()
        if arguments.to_ns is not None:
            after = position_at(journal, first, after, arguments.to_ns)
        if arguments.from_ns is not None:
            first = position_at(journal, first, after, arguments.from_ns)
        spans[folder.name] = Span(journal, first, after)
    missing = wanted - spans.keys()
    if missing:
        raise Refused(f"{origin} has no source {', '.join(sorted(missing))}")
    return spans


def _why_not_comparable(
    arguments: argparse.Namespace, order: Sequence[Recorded], spans: Mapping[str, Span]
) -> str | None:
    """None if what comes out has to be what came out then."""
    if arguments.source or arguments.from_ns is not None or arguments.to_ns is not None:
        return "a part of the history was asked for"
    if not order or order[0].number != 1 or any(span.first > 0 for span in spans.values()):
        return "the beginning of the history is no longer kept, and with it what was learned from it"
    if any(after.number != before.number + 1 for before, after in pairwise(order)):
        return "the order of some batches can no longer be read"
    return None


def _plant_before(own: Span, latest: Plant | None) -> Record | None:
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


def _slices(spans: Mapping[str, Span], taken: Sequence[Taken]) -> tuple[Slice, ...]:
    return tuple(
        take(spans[part.source].journal, part.source, part.first, part.after - part.first)[0]
        for part in taken
    )


@contextlib.contextmanager
def _progress(total: int) -> Iterator[Callable[[], None]]:
    columns = (TextColumn("history"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("history", total=total)
        yield lambda: bar.advance(task)


def _say(facts: Mapping[str, Json]) -> None:
    print(f"{facts['batches']:,} batches, {facts['records']:,} records")
    if not facts["compared"]:
        print(f"not compared with then: {facts['not_compared_because']}")
    elif facts["identical"]:
        print("identical: every batch gave what it gave then")
    else:
        print(f"{len(facts['differs'])} batches gave something else than then: {facts['differs'][:20]}")
    for name, count in facts["findings"].items():
        print(f"  {name}: {count}")
    for ticket in facts["tickets"]:
        what = ticket["condition"]
        print(
            f"ticket {ticket['number']}: {what} on {ticket['asset']}, {ticket['occurrences']} events, {ticket['opened_at']}"
        )
    if not facts["tickets"]:
        print("no ticket")

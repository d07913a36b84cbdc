"""`andon replay --journal`: an installation's own history through the line as it is now, into a store of its own.

The order in which the batches were taken is followed where it is written down, and each outcome is compared with the
one of then; what came before is taken by its time of receipt. The clock is the story's: it stands at the newest
record of the batch. Nobody is notified.
"""

import argparse
import contextlib
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from andon import history, manifest, plants
from andon.app import make_engine
from andon.clock import StoryClock
from andon.commands import Refused
from andon.commands.finished import all_tickets, balance, ticket_row
from andon.commands.output import write_json
from andon.database import open_database, reading
from andon.datadir import Busy, has_store, only_instance, open_store, store_at
from andon.engine import OWN
from andon.events import Json
from andon.pipeline import Slice
from andon.retelling import Span, batches_of, plant_before, slices_of, spans_of, why_incomplete
from ingest.journal import SqliteJournal

SEED = "replay"
"""The source of the plant document that was in force where the history begins."""


def run(arguments: argparse.Namespace) -> int:
    """Tell it again and say what came of it; 1 if it was comparable and is not identical, else 0."""
    if not has_store(arguments.journal):
        raise Refused(f"{arguments.journal} holds no installation")
    data = arguments.data or Path(tempfile.mkdtemp(prefix="andon-"))
    if has_store(data):
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
    there = open_database(store_at(origin))
    order = list(history.recorded(origin, there))
    spans = _spans(arguments, origin, stack)
    in_part = arguments.source or arguments.from_ns is not None or arguments.to_ns is not None
    why_not = "a part of the history was asked for" if in_part else why_incomplete(order, spans)
    seed = SqliteJournal(data / "journal" / SEED)
    stack.callback(seed.close)
    now = StoryClock(arguments.from_ns or 0)
    database = open_store(data)
    engine = make_engine(
        data, {name: span.journal for name, span in spans.items()} | {SEED: seed}, database, now
    )
    batches = batches_of(order, spans)
    if why_not is not None and batches:
        with reading(there) as conn:
            plant = plant_before(spans[OWN], plants.latest(conn))
        if plant is not None:
            seed.append([plant])
            engine.follow(batches[0].number - 1, (Slice(SEED, 0, [plant]),))
    differs, found = [], Counter[str]()
    with _progress(len(batches)) as advance:
        for batch in batches:
            slices = slices_of(spans, batch.taken)
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
    """What was asked for; Refused if a source is not there."""
    wanted = set(arguments.source or ())
    spans = spans_of(origin, stack, sources=wanted, from_ns=arguments.from_ns, to_ns=arguments.to_ns)
    missing = wanted - spans.keys()
    if missing:
        raise Refused(f"{origin} has no source {', '.join(sorted(missing))}")
    return spans


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

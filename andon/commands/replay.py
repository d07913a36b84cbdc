"""`andon replay`: a recording through the same line: MQTT, journal, features, detectors, tickets; as fast as it goes.

The clock is the story's: it stands at the time of the block that is being sent. The recording gets a data
directory of its own and notifies nobody.
"""

import argparse
import asyncio
import contextlib
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from andon import clock, manifest
from andon.app import make_engine
from andon.clock import StoryClock
from andon.commands import Refused, history_replay, moment
from andon.commands.finished import all_tickets, appended, balance, ticket_row
from andon.commands.output import write_json
from andon.database import reading
from andon.datadir import Busy, only_instance, open_store
from andon.engine import OWN, TakeAndCommit
from andon.events import HOUR_NS, SECOND_NS, Json
from andon.ports import SourceContext
from ingest import listener
from ingest.credentials import hash_password
from ingest.journal import SqliteJournal
from simulators import recordings
from simulators.mqtt import Publisher
from ticketing import store

SOURCE = "recording"
AHEAD = 16  # blocks sent before the engine takes a turn
"""Kinds of recording: how to read one, given its path and when its story begins."""
KINDS = {"femto": recordings.femto}


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb takes."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--recording", choices=sorted(KINDS), help="what kind of recording the file is")
    what.add_argument(
        "--journal", type=Path, metavar="DIR", help="the data directory whose history is told again"
    )
    parser.add_argument("file", type=Path, nargs="?", help="the recording")
    parser.add_argument("--from", dest="from_ns", type=moment, metavar="TIME", help="journal: received since")
    parser.add_argument("--to", dest="to_ns", type=moment, metavar="TIME", help="journal: received before")
    parser.add_argument("--source", action="append", help="journal: only this source (may be said again)")
    parser.add_argument(
        "--data", type=Path, help="keep the data directory here (default: a folder that goes)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write tickets with their evidence here")


def run(arguments: argparse.Namespace) -> int:
    """Send the recording, say what came of it; 0 if it ended with one ticket on the machine, else 1."""
    if arguments.journal is not None:
        return history_replay.run(arguments)
    if arguments.file is None:
        raise Refused("say which file the recording is in")
    try:
        start_ns = clock.wall() // HOUR_NS * HOUR_NS
        recording = KINDS[arguments.recording](arguments.file, start_ns)
    except (FileNotFoundError, ValueError) as error:
        raise Refused(str(error)) from error
    data = arguments.data or Path(tempfile.mkdtemp(prefix="andon-"))
    try:
        with only_instance(data):
            asyncio.run(_send(recording, data.absolute()))
            facts = result(recording, data)
    except Busy as error:
        raise Refused(str(error)) from error
    finally:
        if arguments.data is None:
            shutil.rmtree(data, ignore_errors=True)
    if arguments.json is not None:
        write_json(arguments.json, facts)
    _say(facts)
    return 0 if len(facts["tickets"]) == 1 else 1


async def _send(recording: recordings.Recording, data: Path) -> None:
    """Listener, publisher and engine around one journal, block by block."""
    if (data / "journal").exists():
        raise Refused(f"{data} has been used before; give another --data")
    now = StoryClock(recording.start_ns)
    journals = {OWN: SqliteJournal(data / "journal" / OWN), SOURCE: SqliteJournal(data / "journal" / SOURCE)}
    reader = SqliteJournal(data / "journal" / SOURCE, read_only=True)
    engine = make_engine(data, {OWN: journals[OWN], SOURCE: reader}, open_store(data), now)
    engine.configure(recording.plant)
    password, stopping = secrets.token_urlsafe(18), asyncio.Event()
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    parameters = listener.Parameters.model_validate(
        {"port": 0, "users": {"sensor": {"password": hash_password(password)}}}
    )
    async with asyncio.TaskGroup() as tasks:
        at = SourceContext(
            journals[SOURCE], now, stopping, address.set_result, lambda _: None, data / "journal" / SOURCE
        )
        serving = listener.run(parameters, at)
        tasks.create_task(serving, name="listener")
        port = int((await address).rpartition(":")[2])
        async with Publisher(
            "127.0.0.1", port, client_id="recording", username="sensor", password=password
        ) as publisher:
            with _progress(recording) as advance:
                await _tell(recording, publisher, engine, now, advance)
        stopping.set()
    for journal in (*journals.values(), reader):
        journal.close()


async def _tell(
    recording: recordings.Recording,
    publisher: Publisher,
    engine: TakeAndCommit,
    now: StoryClock,
    advance: Callable[[], None],
) -> None:
    """Send some blocks, wait until they are on disk, let the engine take them; and so on to the end."""
    for number in range(len(recording)):
        message = recording.message(number)
        now.advance(message.at_ns)
        await publisher.publish(message.at_ns, message.topic, message.body)
        advance()
        if (number + 1) % AHEAD == 0 or number + 1 == len(recording):
            if not await publisher.drain(30):
                raise Refused(f"the listener did not acknowledge block {number} within 30 s")
            while await asyncio.to_thread(engine.turn, tick=False):
                pass
            await asyncio.to_thread(engine.turn, tick=True)


@contextlib.contextmanager
def _progress(recording: recordings.Recording) -> Iterator[Callable[[], None]]:
    columns = (
        TextColumn(recording.name),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns) as bar:
        task = bar.add_task(recording.name, total=len(recording))
        yield lambda: bar.advance(task)


def result(recording: recordings.Recording, data: Path) -> dict[str, Json]:
    """The tickets with their evidence, how long before the end of life they came, and what became of each block."""
    with reading(open_store(data)) as conn:
        details = [store.ticket(conn, ticket.id) for ticket in all_tickets(conn)]
        stages = manifest.counted(conn)
    seconds = {"blocks": len(recording), "end_s": len(recording) * recordings.PERIOD_NS / SECOND_NS}
    return {
        "recording": {"name": recording.name, **seconds},
        "tickets": [_with_evidence(recording, detail) for detail in details],
        "counters": {
            "ingest": {"journaled": appended(data)[SOURCE], **balance(stages.get(f"source.{SOURCE}", {}))}
        },
    }


def _with_evidence(recording: recordings.Recording, detail: store.TicketDetail) -> dict[str, Json]:
    ticket = detail.ticket
    opened_by = min(detail.occurrences, key=lambda occurrence: (occurrence.recorded_ns, occurrence.event_ns))
    return {
        **ticket_row(ticket),
        "onset_s": (opened_by.onset_ns - recording.start_ns) / SECOND_NS,
        "ticket_s": (ticket.anchor_ns - recording.start_ns) / SECOND_NS,
        "lead_s": (recording.end_ns - ticket.anchor_ns) / SECOND_NS,
        "evidence": {part: drawing.body for part, drawing in detail.drawings.items()},
    }


def _say(facts: Mapping[str, Json]) -> None:
    recording = facts["recording"]
    print(f"{recording['name']}: {recording['blocks']} blocks, {recording['end_s'] / 3600:.2f} h")
    for ticket in facts["tickets"]:
        print(
            f"ticket {ticket['number']}: {ticket['condition']} on {ticket['asset']}, began after {ticket['onset_s'] / 60:.0f} min, "
            f"raised after {ticket['ticket_s'] / 60:.0f} min, {ticket['lead_s'] / 60:.0f} min before the end of life; "
            f"evidence: {', '.join(ticket['evidence'])}"
        )
    if not facts["tickets"]:
        print("no ticket")

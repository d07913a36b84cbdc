"""`andon deadletters`: the messages that could not be used: list them, show one whole, take them anew once it is mended."""

import argparse
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine as Database

from andon import clock
from andon.app import make_engine
from andon.commands import Refused, moment
from andon.commands.output import write_json
from andon.commands.place import data_of, place_arguments, store_of
from andon.config import Keeping
from andon.database import reading, writing
from andon.datadir import Busy, only_instance
from andon.engine import OWN
from andon.events import Json, rfc3339
from andon.ports import DeadLetter, Journal, RecordKind
from andon.taking import original
from ingest import deadletters
from ingest.deadletters import Which
from ingest.journal import SqliteJournal

WAIT_S = 60.0


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb takes."""
    parser.add_argument("what", nargs="?", choices=["list", "show", "redrive"], default="list")
    place_arguments(parser)
    parser.add_argument("--reason", help="only those refused for this")
    parser.add_argument("--source", help="only those of this source")
    parser.add_argument("--since", type=moment, metavar="TIME", help="only those received since")
    parser.add_argument("--id", metavar="SOURCE:POSITION", help="only this one")
    parser.add_argument("--limit", type=int, default=20, help="list: at most so many (default 20)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write it here ('-': standard output)")


def run(arguments: argparse.Namespace) -> int:
    """Do it; 0 when it is done, 1 when some that were to be taken anew were refused again."""
    which = Which(arguments.reason, arguments.source, arguments.since)
    if arguments.id is not None:
        which = Which(*_place(arguments.id))
    database = store_of(arguments)
    if arguments.what == "redrive":
        return _redrive(arguments, database, which)
    if arguments.what == "show":
        if which.position is None:
            raise Refused("say which one: --id SOURCE:POSITION, as the list shows it")
        return _show(arguments, database, which)
    return _list(arguments, database, which)


def _place(text: str) -> tuple[None, str, None, int]:
    source, _, position = text.rpartition(":")
    if not source or not position.isdecimal() or int(position[:20]) >= 2**63:
        raise Refused(f"{text!r} is no SOURCE:POSITION, like floor:1041")
    return None, source, None, int(position)


def _list(arguments: argparse.Namespace, database: Database, which: Which) -> int:
    with reading(database) as conn:
        letters = deadletters.recent(conn, arguments.limit, which)
        counts = deadletters.counts(conn, which)
    if arguments.json is not None:
        rows = [asdict(x) | {"topic": repr(x.topic), "head": repr(x.head)} for x in letters]
        write_json(arguments.json, {"counts": dict(counts), "dead_letters": rows})
        return 0
    title = ", ".join(f"{reason} {count}" for reason, count in counts.items())
    table = Table("id", "received", "reason", "topic", "detail", "head", title=title)
    for letter in letters:
        topic = letter.topic.decode("utf-8", "backslashreplace")
        head = letter.head[:60].decode("utf-8", "backslashreplace")
        where = f"{letter.source}:{letter.position}"
        table.add_row(where, rfc3339(letter.received_ns), letter.reason, topic, letter.detail, head)
    Console().print(table)
    return 0


def _show(arguments: argparse.Namespace, database: Database, which: Which) -> int:
    with reading(database) as conn:
        found = deadletters.one(conn, str(which.source), int(which.position or 0))
    if found is None:
        raise Refused(f"{arguments.id} is no dead letter")
    letter, redriven_ns = found
    journal = SqliteJournal(data_of(arguments) / "journal" / letter.source, read_only=True)
    try:
        record = original(journal, letter.position)
    finally:
        journal.close()
    whole = record is not None and len(record.body) == letter.length
    body = record.body if record is not None and whole else letter.head
    if arguments.json is not None:
        said = asdict(letter) | {"topic": repr(letter.topic), "head": repr(letter.head)}
        said |= {"whole": whole, "redriven_ns": redriven_ns, "body_hex": body.hex()}
        write_json(arguments.json, said)
        return 0
    again = "" if redriven_ns is None else f", used after all at {rfc3339(redriven_ns)}"
    print(f"{letter.source}:{letter.position}, received {rfc3339(letter.received_ns)}{again}")
    print(f"topic   {letter.topic.decode('utf-8', 'backslashreplace')}")
    print(f"reason  {letter.reason}: {letter.detail}")
    print(f"length  {letter.length} bytes{'' if whole else f', of which the first {len(body)} are kept'}")
    print(_dump(body))
    return 0


def _dump(body: bytes) -> str:
    """The bytes as text where they are text, else as hexadecimal rows."""
    try:
        text = body.decode()
        if all(c.isprintable() or c in "\t\r\n" for c in text):
            return text
    except UnicodeDecodeError:
        pass
    rows = []
    for at in range(0, len(body), 16):
        part = body[at : at + 16]
        shown = "".join(chr(c) if 32 <= c < 127 else "." for c in part)
        rows.append(f"{at:08x}  {part.hex(' '):47}  {shown}")
    return "\n".join(rows)


def _redrive(arguments: argparse.Namespace, database: Database, which: Which) -> int:
    """Ask the engine that runs, or be the engine for that long."""
    with reading(database) as conn:
        wanted = deadletters.recent(conn, 2**31, which)
    with writing(database) as conn:
        deadletters.ask(conn, which, clock.wall())
    data = data_of(arguments)
    try:
        with only_instance(data):
            _take_offline(data, database)
    except Busy:
        _wait_for_engine(database)
    facts = _what_became(data / "journal", database, wanted)
    if arguments.json is not None:
        write_json(arguments.json, facts)
    else:
        print(
            f"asked for {facts['asked']}: {facts['redriven']} used after all, {facts['refused']} refused again, "
            f"{facts['not_kept']} no longer kept whole"
        )
        for reason, count in facts["refused_by_reason"].items():
            print(f"  {reason}: {count}")
    return 0 if facts["redriven"] == facts["asked"] else 1


def _take_offline(data: Path, database: Database) -> None:
    folder = data / "journal"
    journals: dict[str, Journal] = {OWN: SqliteJournal(folder / OWN)}
    for path in folder.iterdir():
        if path.is_dir() and path.name != OWN:
            journals[path.name] = SqliteJournal(path, read_only=True)
    try:
        engine = make_engine(data, journals, database, clock.wall, notify=True, keeping=Keeping())
        engine.recover()
        while engine.take_asked():
            pass
        engine.snapshot()
    finally:
        for journal in journals.values():
            journal.close()


def _wait_for_engine(database: Database) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while True:
        with reading(database) as conn:
            left = deadletters.asked(conn, 1)
        if not left:
            return
        if time.monotonic() > deadline_s:
            raise Refused("the running engine has not taken them yet; it will: see the counters later")
        time.sleep(0.2)


def _what_became(folder: Path, database: Database, wanted: list[DeadLetter]) -> Mapping[str, Json]:
    became: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    with reading(database) as conn, ExitStack() as stack:
        journals: dict[str, SqliteJournal] = {}
        for letter in wanted:
            if letter.source not in journals:
                journals[letter.source] = SqliteJournal(folder / letter.source, read_only=True)
                stack.callback(journals[letter.source].close)
            found = deadletters.one(conn, letter.source, letter.position)
            record = original(journals[letter.source], letter.position)
            if found is not None and found[1] is not None:
                became["redriven"] += 1
            elif found is None or record is None or record.kind is not RecordKind.MESSAGE:
                became["not_kept"] += 1
            else:
                refused[found[0].reason] += 1
    return {
        "asked": len(wanted),
        "redriven": became["redriven"],
        "refused": refused.total(),
        "refused_by_reason": dict(refused),
        "not_kept": became["not_kept"],
    }

"""`andon outbox`: what is told to people and systems: list, show one with every call, send dead ones again, the topics."""

import argparse
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine as Database

from andon import clock
from andon.commands import Refused
from andon.commands.output import write_json
from andon.commands.place import place_arguments, store_of
from andon.database import reading
from andon.events import rfc3339
from ticketing import deliveries
from ticketing.deliveries import STATES, Which
from ticketing.topics import TOPICS


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb takes."""
    parser.add_argument("what", nargs="?", choices=["list", "show", "redrive", "topics"], default="list")
    place_arguments(parser)
    parser.add_argument("--state", choices=STATES, help="list: only these (redrive takes dead ones alone)")
    parser.add_argument("--channel", help="only those of this channel")
    parser.add_argument("--id", type=int, help="only this one, as the list shows it")
    parser.add_argument("--limit", type=int, default=20, help="list: at most so many (default 20)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write it here ('-': standard output)")


def run(arguments: argparse.Namespace) -> int:
    """Do it; 0 when it is done, 1 when there was nothing to send again."""
    if arguments.what == "topics":
        return _topics(arguments)
    database = store_of(arguments)
    ids = None if arguments.id is None else (arguments.id,)
    which = Which(arguments.state, arguments.channel, ids)
    if arguments.what == "show":
        return _show(arguments, database)
    if arguments.what == "list":
        return _list(arguments, database, which)
    again = deliveries.redrive(database, which, clock.wall())
    if arguments.json is not None:
        write_json(arguments.json, {"redriven": again})
    else:
        print(f"{again} messages are sent again, under the keys they had")
    return int(again == 0)


def _topics(arguments: argparse.Namespace) -> int:
    if arguments.json is not None:
        write_json(arguments.json, {"topics": [{"type": one.name, "schema": one.schema} for one in TOPICS]})
        return 0
    for one in TOPICS:
        print(f"{one.name:36} {one.data.__name__}")
    return 0


def _list(arguments: argparse.Namespace, database: Database, which: Which) -> int:
    with reading(database) as conn:
        found, waiting = deliveries.recent(conn, which, arguments.limit), deliveries.waiting(conn)
    if arguments.json is not None:
        write_json(arguments.json, {"waiting": waiting, "messages": [asdict(one) for one in found]})
        return 0
    title = ", ".join(
        f"{name}: {count.get('pending', 0)} waiting, {count.get('dead', 0)} dead"
        for name, count in waiting.items()
    )
    table = Table("id", "said", "channel", "to", "ticket", "what", "state", "tries", "error", title=title)
    for one in found:
        cells = (one.channel, one.recipient, one.ticket, one.kind, one.state, str(one.attempts))
        table.add_row(str(one.id), rfc3339(one.at_ns), *cells, one.last_error[:60])
    Console().print(table)
    return 0


def _show(arguments: argparse.Namespace, database: Database) -> int:
    if arguments.id is None:
        raise Refused("say which one: --id N, as the list shows it")
    with reading(database) as conn:
        found = deliveries.one(conn, arguments.id)
    if found is None:
        raise Refused(f"there is no message {arguments.id}")
    sent, content, calls = found
    if arguments.json is not None:
        document = {**asdict(sent), "content": content, "calls": [asdict(call) for call in calls]}
        write_json(arguments.json, document)
        return 0
    print(f"{sent.key}: {sent.state} after {sent.attempts} tries, trace {sent.trace_id}")
    print(f"on {sent.channel} to {sent.recipient or 'all'}: {sent.kind}, said {rfc3339(sent.at_ns)}")
    for call in calls:
        print(f"  {rfc3339(call.at_ns)} {call.outcome}, {call.took_ms} ms: {call.answer}")
    return 0

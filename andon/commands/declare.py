"""`andon declare`: say what was done to a machine, so that detectors know; and list what was said."""

import argparse
import getpass
import time
from pathlib import Path

from rich.console import Console
from rich.table import Column, Table
from sqlalchemy import Engine as Database

from andon import clock, declarations, plants
from andon.commands import Refused
from andon.commands.output import write_json
from andon.commands.place import data_of, place_arguments, store_of
from andon.database import reading, writing
from andon.datadir import Busy, only_instance
from andon.declarations import DeclarationRefused, Entry
from andon.events import Declared, rfc3339
from api.answers import plain

WAIT_S = 15.0
WHAT = {str(what).replace("_", "-"): what for what in Declared}


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb takes."""
    parser.add_argument("what", nargs="?", choices=list(WHAT))
    parser.add_argument("asset", nargs="?", metavar="ASSET")
    parser.add_argument(
        "--list",
        nargs="?",
        const="",
        metavar="ASSET",
        help="what was declared, of ASSET or of all, newest first",
    )
    parser.add_argument(
        "--component", help="only of this component; maintenance is always of the whole asset"
    )
    parser.add_argument("--note", default="", help="what was done, for who reads it later")
    parser.add_argument("--by", help="who declares it (default: who is logged in)")
    parser.add_argument("--limit", type=int, default=20, help="list: at most so many (default 20)")
    place_arguments(parser)
    parser.add_argument(
        "--json",
        type=Path,
        nargs="?",
        const=Path("-"),
        metavar="FILE",
        help="write it here (without FILE: standard output)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Ask for it, and say whether it is in the stream already; 0 once it is asked for."""
    if arguments.list is not None:
        return _list(arguments, store_of(arguments))
    if arguments.what is None or arguments.asset is None:
        raise Refused(
            f"say what of which machine: andon declare {'|'.join(WHAT)} ASSET; or andon declare --list"
        )
    database = store_of(arguments)
    entry = _ask(arguments, database)
    runs = _runs(data_of(arguments))
    entry = _once_taken(database, entry) if runs else entry
    if arguments.json is not None:
        write_json(
            arguments.json, {"declaration": plain(entry), "running": runs, "taken": entry.at_ns is not None}
        )
        return 0
    of = f" of {entry.component}" if entry.component else ""
    print(f"{arguments.what}{of} on {entry.asset}, declared by {entry.by}: {_how_far(entry, runs=runs)}")
    return 0


def _ask(arguments: argparse.Namespace, database: Database) -> Entry:
    what = WHAT[arguments.what]
    try:
        with writing(database) as conn:
            plant = plants.latest(conn)
            if plant is None:
                raise Refused("no plant document has come into force yet: start Andon once, then declare")
            declarations.check(plant, arguments.asset, arguments.component, what)
            return declarations.ask(
                conn,
                asset=arguments.asset,
                component=arguments.component,
                what=what,
                by=getpass.getuser() if arguments.by is None else arguments.by,
                note=arguments.note,
                now_ns=clock.wall(),
            )
    except DeclarationRefused as error:
        raise Refused(str(error)) from error


def _runs(data: Path) -> bool:
    try:
        with only_instance(data):
            return False
    except Busy:
        return True


def _once_taken(database: Database, entry: Entry) -> Entry:
    """The entry as it is when the running engine has taken it, or after a while."""
    deadline_s = time.monotonic() + WAIT_S
    while entry.at_ns is None and time.monotonic() < deadline_s:
        time.sleep(0.1)
        with reading(database) as conn:
            entry = next(
                (one for one in declarations.recent(conn, 100, entry.asset) if one.id == entry.id), entry
            )
    return entry


def _how_far(entry: Entry, *, runs: bool) -> str:
    if entry.at_ns is not None:
        return f"in the stream since {rfc3339(entry.at_ns)}"
    if runs:
        return "Andon runs and has not taken it yet; it will: see andon declare --list"
    return "Andon does not run here; it is taken when it starts"


def _list(arguments: argparse.Namespace, database: Database) -> int:
    with reading(database) as conn:
        found = declarations.recent(conn, arguments.limit, arguments.list)
        standing = declarations.maintained(conn)
    if arguments.json is not None:
        maintenance = [plain(entry) for entry in standing.values()]
        write_json(
            arguments.json, {"maintenance": maintenance, "declarations": [plain(one) for one in found]}
        )
        return 0
    for entry in standing.values():
        print(
            f"{entry.asset} is being maintained since {rfc3339(entry.since_ns)}, by {entry.by}: it is not judged"
        )
    table = Table(Column("at", no_wrap=True), "asset", "component", "what", "by", "ticket", "note")
    for entry in found:
        at = rfc3339(entry.at_ns) if entry.at_ns is not None else "not taken yet"
        component, ticket = entry.component or "all", entry.ticket or ""
        table.add_row(at, entry.asset, component, str(entry.what), entry.by, ticket, entry.note)
    Console().print(table)
    return 0

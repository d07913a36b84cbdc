"""`andon label`: what is known to have happened to a machine: mark it, list it, take it back."""

import argparse
import getpass
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Column, Table
from sqlalchemy import Engine as Database

from andon import plants
from andon.clock import wall
from andon.commands import Refused, moment
from andon.commands.output import write_json
from andon.commands.place import place_arguments, store_of
from andon.config import unknown
from andon.database import reading, writing
from andon.events import rfc3339
from ticketing import store
from ticketing.labels import Label, LabelRefused, What, check_component, marked, of_tickets, remove, save

ALL = 1_000_000


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb takes."""
    parser.add_argument("deed", choices=["add", "list", "remove"], nargs="?", default="list")
    place_arguments(parser)
    parser.add_argument("--asset", help="of this asset")
    parser.add_argument("--component", help="add: of this component alone")
    parser.add_argument("--from", dest="from_ns", type=moment, metavar="TIME", help="add: from then on")
    parser.add_argument(
        "--to",
        dest="to_ns",
        type=moment,
        metavar="TIME",
        help="add: until then; of a fault: its failure or repair",
    )
    parser.add_argument("--what", choices=[str(what) for what in What], help="add: what it was")
    parser.add_argument("--by", default=getpass.getuser(), help="add: who says so (default: your login)")
    parser.add_argument("--note", default="", help="add: how it is known")
    parser.add_argument("--id", type=int, help="remove: this one")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="list: write it here ('-': standard output)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Do it; 0 when it is done."""
    database = store_of(arguments)
    match arguments.deed:
        case "add":
            return _add(arguments, database)
        case "remove":
            with writing(database) as conn:
                if arguments.id is None or not remove(conn, arguments.id):
                    raise Refused("there is no such label: --id takes the number that the list shows")
            return 0
        case _:
            return _list(arguments, database)


def _add(arguments: argparse.Namespace, database: Database) -> int:
    given = {name: getattr(arguments, name) for name in ("asset", "from_ns", "to_ns", "what")}
    missing = [f"--{name.removesuffix('_ns')}" for name, value in given.items() if value is None]
    if missing:
        raise Refused(f"a label needs {', '.join(missing)}")
    with reading(database) as conn:
        plant = plants.latest(conn)
    asset = None if plant is None else plant.asset(arguments.asset)
    if asset is None:
        ids = [] if plant is None else [one.id for one in plant.assets]
        raise Refused(f"asset {unknown(arguments.asset, ids)}")
    label = Label(
        asset=arguments.asset,
        component=arguments.component,
        from_ns=arguments.from_ns,
        to_ns=arguments.to_ns,
        what=What(arguments.what),
        by=arguments.by,
        note=arguments.note,
        at_ns=wall(),
    )
    try:
        with writing(database) as conn:
            check_component(conn, asset, label.component)
            print(f"label {save(conn, label)}")
    except LabelRefused as error:
        raise Refused(str(error)) from error
    return 0


def _list(arguments: argparse.Namespace, database: Database) -> int:
    with reading(database) as conn:
        tickets = store.tickets(conn, store.Filter(asset=arguments.asset or ""), limit=ALL).tickets
        found = sorted(
            [*of_tickets(tickets), *marked(conn, arguments.asset or "")], key=lambda one: one.from_ns
        )
    if arguments.json is not None:
        write_json(arguments.json, {"labels": [asdict(label) for label in found]})
        return 0
    times_shown = (Column(name, no_wrap=True) for name in ("from, UTC", "to, UTC"))
    table = Table("id", "asset", "component", "what", *times_shown, "said by", "note")
    for label in found:
        times = rfc3339(label.from_ns)[:16], rfc3339(label.to_ns)[:16]
        number = str(label.id) if label.id else ""
        who = label.ticket or label.by
        table.add_row(number, label.asset, label.component or "", label.what, *times, who, label.note)
    Console().print(table)
    return 0

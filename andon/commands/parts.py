"""`andon parts`: spare parts, suppliers and stock from CSV files and into them; what is below its safety stock."""

import argparse
import getpass
from pathlib import Path

from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine as Database

from andon.clock import wall
from andon.commands import Refused
from andon.commands.output import write_json
from andon.commands.place import place_arguments, store_of
from andon.database import reading
from api.answers import plain
from ticketing.errors import TicketingError
from ticketing.parts import catalogue, sheets
from ticketing.service import Tickets

ALL = 1_000_000


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb takes."""
    parser.add_argument("deed", choices=["import", "export", "list"], nargs="?", default="list")
    parser.add_argument(
        "file",
        type=Path,
        nargs="*",
        metavar="FILE",
        help="import: CSV files of suppliers, parts or stock; export: one, called parts.csv, suppliers.csv or stock.csv",
    )
    place_arguments(parser)
    parser.add_argument("--by", default=getpass.getuser(), help="import: who says so (default: your login)")
    parser.add_argument("--low", action="store_true", help="list: only what is below its safety stock")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="list: write it here ('-': standard output)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Do it; 0 when it is done."""
    database = store_of(arguments)
    match arguments.deed:
        case "import":
            return _import(database, arguments.file, arguments.by)
        case "export":
            return _export(database, arguments.file)
        case _:
            return _list(database, arguments)


def _import(database: Database, files: list[Path], by: str) -> int:
    """One file after the other, each whole or not at all."""
    if not files:
        raise Refused("name the CSV files: suppliers first, then parts, then stock")
    for path in files:
        try:
            body = path.read_bytes()
            with Tickets(database).transaction(wall()) as book:
                taken = sheets.take_in(book, body, by=by)
        except OSError as error:
            raise Refused(f"{path}: {error.strerror}") from error
        except TicketingError as error:
            raise Refused(f"{path}: nothing of it was taken: {error}") from error
        print(f"{path}: {taken.rows} {taken.kind}")
    return 0


def _export(database: Database, files: list[Path]) -> int:
    kinds = {f"{kind}.csv": kind for kind in sheets.Kind}
    for path in files:
        if path.name not in kinds:
            raise Refused(f"{path}: what is written goes by the file's name: {', '.join(kinds)}")
    with reading(database) as conn:
        for path in files or [Path(name) for name in kinds]:
            try:
                path.write_text(sheets.written(conn, kinds[path.name]), "utf-8", newline="")
            except OSError as error:
                raise Refused(f"{path}: {error.strerror}") from error
            print(path)
    return 0


def _list(database: Database, arguments: argparse.Namespace) -> int:
    with reading(database) as conn:
        found = catalogue.parts(conn, low=arguments.low, limit=ALL)
    if arguments.json is not None:
        write_json(arguments.json, {"parts": plain(found)})
        return 0
    table = Table("code", "name", "on hand", "spoken for", "safety stock", "unit")
    for one in found:
        style = "red" if one.is_low else ""
        amounts = (f"{amount:g}" for amount in (one.on_hand, one.reserved, one.min_stock))
        table.add_row(one.code, one.name, *amounts, one.unit, style=style)
    Console().print(table)
    return 0

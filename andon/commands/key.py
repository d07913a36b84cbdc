"""`andon key`: the keys of programs, beside the installation while it runs."""

import argparse
import getpass
from pathlib import Path

from rich.console import Console
from rich.table import Column, Table
from sqlalchemy import Engine as Database

from andon import clock
from andon.access import keys
from andon.access.audit import By
from andon.access.errors import AccessRefused
from andon.access.roles import Right
from andon.commands import Refused, positive
from andon.commands.output import write_json
from andon.commands.place import place_arguments, store_of
from andon.database import reading, writing
from andon.events import rfc3339
from api.answers import plain

GRANTED = [right for right in Right if right is not Right.SELF]


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb takes."""
    verbs = parser.add_subparsers(dest="deed", required=True, metavar="DEED")
    add = verbs.add_parser("add", help="make a key of an account; it is shown once")
    add.add_argument("account")
    add.add_argument("--name", required=True, help="what it is for")
    add.add_argument(
        "--right",
        dest="rights",
        action="append",
        type=Right,
        choices=GRANTED,
        default=[],
        help="of the account's own",
    )
    add.add_argument(
        "--days",
        type=positive,
        default=90.0,
        help=f"it works so long (default 90, at most {keys.LONGEST_DAYS})",
    )
    shown = verbs.add_parser("list", help="the keys of an account or of all, newest first")
    shown.add_argument("account", nargs="?", default="")
    shown.add_argument("--json", type=Path, nargs="?", const=Path("-"), metavar="FILE")
    revoke = verbs.add_parser("revoke", help="let a key work no more, at once")
    revoke.add_argument("number", type=int, help="as andon key list shows it")
    for one in (add, shown, revoke):
        place_arguments(one)


def run(arguments: argparse.Namespace) -> int:
    """Do it, on the store itself."""
    database = store_of(arguments)
    by = By(getpass.getuser(), clock.wall())
    if arguments.deed == "list":
        return _list(arguments, database)
    try:
        with writing(database) as conn:
            if arguments.deed == "revoke":
                keys.revoke(conn, arguments.number, by)
                print(f"key {arguments.number} works no more")
                return 0
            rights = arguments.rights or [Right.READ]
            key = keys.add(
                conn, arguments.account, name=arguments.name, rights=rights, days=arguments.days, by=by
            )
    except AccessRefused as refused:
        raise Refused(str(refused)) from refused
    print(f"key of {arguments.account} to {', '.join(rights)}, shown once: {key}")
    return 0


def _list(arguments: argparse.Namespace, database: Database) -> int:
    with reading(database) as conn:
        found = keys.of(conn, arguments.account)
    if arguments.json is not None:
        write_json(arguments.json, {"keys": [plain(one) for one in found]})
        return 0
    table = Table("number", Column("key", no_wrap=True), "account", "for", "rights", "until", "last used")
    for one in found:
        until = "revoked" if one.revoked_ns is not None else rfc3339(one.expires_ns)
        used = rfc3339(one.used_ns) if one.used_ns is not None else "never"
        table.add_row(
            str(one.id), f"{one.prefix}…", one.account, one.name, ", ".join(one.rights), until, used
        )
    Console().print(table)
    return 0

"""`andon user`: the accounts of an installation, beside it while it runs."""

import argparse
import getpass
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Column, Table
from sqlalchemy import Connection
from sqlalchemy import Engine as Database

from andon import clock, plants
from andon.access import accounts, audit
from andon.access.audit import By
from andon.access.errors import AccessRefused
from andon.access.roles import Role
from andon.commands import Refused
from andon.commands.output import write_json
from andon.commands.place import place_arguments, store_of
from andon.database import reading, writing
from andon.events import rfc3339
from api.answers import plain

_DEEDS: dict[str, tuple[str, Callable[[Connection, argparse.Namespace, By], None], str]] = {
    "roles": (
        "give it these roles and no others",
        lambda conn, a, by: accounts.set_roles(conn, a.name, a.roles, by),
        "has other roles; who was signed in there signs in again",
    ),
    "places": (
        "let its rights hold at these ISA-95 paths and below; none: everywhere",
        lambda conn, a, by: accounts.set_places(conn, a.name, a.places, by),
        "has other places; who was signed in there signs in again",
    ),
    "disable": (
        "let nobody in under that name; its keys are revoked",
        lambda conn, a, by: accounts.disable(conn, a.name, by),
        "is disabled; its sessions have ended and its keys are revoked",
    ),
    "enable": (
        "let its owner in again",
        lambda conn, a, by: accounts.enable(conn, a.name, by),
        "is enabled",
    ),
    "unlock": (
        "forget its failed attempts",
        lambda conn, a, by: accounts.unlock(conn, a.name, by),
        "may be tried again at once",
    ),
}
"""Verb -> what it is for, what it does, what is said when it is done."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb takes."""
    verbs = parser.add_subparsers(dest="deed", required=True, metavar="DEED")
    add = verbs.add_parser("add", help="make an account; its first password is random and shown once")
    add.add_argument(
        "name", help="what its owner signs in as; best the id that the plant document gives them"
    )
    add.add_argument("--role", dest="roles", action="append", type=Role, choices=list(Role), required=True)
    add.add_argument(
        "--place", dest="places", action="append", default=[], metavar="PATH", help="ISA-95 path"
    )
    add.add_argument("--person", help="the id in the plant document that it acts as (default: NAME)")
    reset = verbs.add_parser("reset", help="give it a random password, shown once, and end its sessions")
    reset.add_argument("name")
    for deed, (what, _, _) in _DEEDS.items():
        one = verbs.add_parser(deed, help=what)
        one.add_argument("name")
        if deed == "roles":
            one.add_argument("roles", nargs="+", type=Role, choices=list(Role), metavar="ROLE")
        elif deed == "places":
            one.add_argument("places", nargs="*", metavar="PATH")
        place_arguments(one)
    shown = verbs.add_parser("list", help="all accounts")
    log = verbs.add_parser(
        "log", help="what was done to accounts, sessions and keys, newest first, and if it is whole"
    )
    log.add_argument("name", nargs="?", default="")
    log.add_argument("--limit", type=int, default=50)
    for one in (shown, log):
        one.add_argument("--json", type=Path, nargs="?", const=Path("-"), metavar="FILE")
    for one in (add, reset, shown, log):
        place_arguments(one)


def run(arguments: argparse.Namespace) -> int:
    """Do it, on the store itself."""
    database = store_of(arguments)
    by = By(getpass.getuser(), clock.wall())
    try:
        if arguments.deed == "list":
            return _list(arguments, database)
        if arguments.deed == "log":
            return _log(arguments, database)
        with writing(database) as conn:
            print(_do(conn, arguments, by))
    except AccessRefused as refused:
        raise Refused(str(refused)) from refused
    return 0


def _do(conn: Connection, arguments: argparse.Namespace, by: By) -> str:
    name = arguments.name
    if arguments.deed == "add":
        first = not accounts.any_there(conn)
        person = arguments.person or name
        secret = accounts.create(
            conn, name, roles=arguments.roles, places=arguments.places, person=person, by=by
        )
        plant = plants.latest(conn)
        known = plant is None or any(one.id == person for one in plant.people)
        hints = (
            []
            if known
            else [f"the plant document has no person {person}: nothing is assigned to them until it has"]
        )
        hints += (
            ["from the next start of andon run people sign in, and its link no longer opens it"]
            if first
            else []
        )
        return "\n".join(
            [f"password of {name}, shown once: {secret}", "it is changed at the first sign-in", *hints]
        )
    if arguments.deed == "reset":
        return f"password of {name}, shown once: {accounts.reset(conn, name, by)}\nit is changed at the next sign-in"
    _, do, said = _DEEDS[arguments.deed]
    do(conn, arguments, by)
    return f"{name} {said}"


def _list(arguments: argparse.Namespace, database: Database) -> int:
    with reading(database) as conn:
        found = accounts.every(conn, clock.wall())
    if arguments.json is not None:
        write_json(arguments.json, {"accounts": [plain(one) for one in found]})
        return 0
    table = Table(Column("name", no_wrap=True), "person", "roles", "places", "state", "signed in")
    for one in found:
        last = rfc3339(one.signed_in_ns) if one.signed_in_ns else "never"
        places = ", ".join(one.places) or "everywhere"
        table.add_row(one.id, one.person, ", ".join(one.roles), places, _state(one), last)
    Console().print(table)
    return 0


def _state(account: accounts.Account) -> str:
    if account.disabled:
        return "disabled"
    if account.locked_until_ns is not None:
        return f"locked until {rfc3339(account.locked_until_ns)}"
    return "has the first password" if account.must_change else "good"


def _log(arguments: argparse.Namespace, database: Database) -> int:
    with reading(database) as conn:
        found = audit.recent(conn, arguments.limit, arguments.name)
        broken = audit.first_break(conn)
    if arguments.json is not None:
        write_json(arguments.json, {"deeds": [dict(one) for one in found], "first_break": broken})
        return int(broken is not None)
    for one in found:
        at = f" from {one['address']}" if one["address"] else ""
        facts = "" if one["facts"] == "{}" else f" {one['facts']}"
        print(
            f"{one['seq']} {rfc3339(one['at_ns'])} {one['actor'] or 'somebody'} by {one['channel']}{at}: "
            f"{one['action']} {one['account']}{facts}"
        )
    if broken is not None:
        print(f"line {broken} was changed, or one before it is missing: the record is not whole")
    return int(broken is not None)

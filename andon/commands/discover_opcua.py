"""`andon discover opc.tcp://…`: what an OPC UA server has, as items for andon.toml and machines for the plant document."""

import argparse
import asyncio
import re
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from asyncua.ua.uaerrors import UaError
from pydantic import SecretStr
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, TextColumn
from rich.table import Table

from andon.clock import wall
from andon.commands import Refused
from andon.commands.connection import password_of
from andon.commands.discover import outcomes_table
from andon.commands.discovered import install, say_next
from andon.commands.output import write_json
from andon.commands.plant import text_of
from andon.config import check
from andon.plant import Plant
from ingest.discover_nodes import Proposed, propose_items, samples_of, toml_of
from ingest.discover_trial import Outcome, dry_run
from ingest.errors import CertificateRefused
from ingest.notices import Notices
from ingest.opcua_connection import Door, Server, said
from ingest.opcua_discover import Around, Bounds, Look, facts
from ingest.pki import Pki

SHOWN = 60


def run(arguments: argparse.Namespace, plant: Plant) -> int:
    """Browse, propose and try; 1 if a value as it stands would be refused."""
    server = _server(arguments)
    with Progress(TextColumn("browsing: {task.fields[nodes]:,} nodes"), console=Console(stderr=True)) as bar:
        task = bar.add_task("", nodes=0)
        bounds = Bounds(arguments.depth, arguments.nodes, server.timeout_s)
        around = _around(arguments, server, bounds, lambda nodes: bar.update(task, nodes=nodes))
    items, proposed = propose_items(around, plant)
    outcomes = list(dry_run(proposed, samples_of(items), connection=0))
    settings: dict[str, str | bool] = {"security": server.security}
    if server.security == "none":
        settings["allow_insecure_over_the_network" if server.is_exposed else "allow_insecure"] = True
    if arguments.user is not None:
        settings |= {"user": arguments.user, "password_file": str(arguments.password_file or "FILE")}
    name = re.sub(r"[^a-z0-9_]", "_", server.host.lower())[:24].lstrip("_0123456789") or "server"
    toml = toml_of(name, server.url, items, around, settings)
    if arguments.write is not None:
        arguments.write.write_text(text_of(proposed), "utf-8")
        arguments.write.with_suffix(".toml").write_text(toml, "utf-8")
    if arguments.json is not None:
        write_json(arguments.json, _document(around, items, proposed, toml, outcomes))
    if arguments.json != Path("-"):
        _show(around, items, outcomes)
        say_next(arguments)
        if arguments.write is not None:
            print(f"{arguments.write.with_suffix('.toml')}: the lines for andon.toml")
    if arguments.install:
        return install(arguments, proposed, toml)
    return int(any(outcome.kind == "refused" for outcome in outcomes))


def _server(arguments: argparse.Namespace) -> Server:
    insecure = arguments.security == "none"
    password = password_of(arguments)
    return check(
        Server,
        {
            "url": arguments.target,
            "security": arguments.security,
            "allow_insecure": insecure,
            "allow_insecure_over_the_network": insecure,
            "user": arguments.user,
            "password": None if password is None else SecretStr(password),
        },
        arguments.target,
    )


def _around(
    arguments: argparse.Namespace, server: Server, bounds: Bounds, turn: Callable[[int], None]
) -> Around:
    with tempfile.TemporaryDirectory() as folder:
        pki = Pki((arguments.data or Path(folder)) / "pki")
        door = Door(server, pki, wall, Notices(Path(folder), wall, lambda _record: None))

        async def look() -> Around:
            async with door.connected() as client:
                return await Look(client, bounds, turn).around(wall)

        try:
            return asyncio.run(look())
        except (OSError, TimeoutError, UaError, CertificateRefused) as error:
            raise Refused(f"{server.url}: {said(error)}") from error


def _document(
    around: Around, items: list[Proposed], proposed: Plant, toml: str, outcomes: list[Outcome]
) -> dict[str, object]:
    return {
        **facts(around),
        "items": [asdict(item) for item in items],
        "notifiers": around.notifiers,
        "event_types": [asdict(kind) for kind in around.event_types],
        "proposal": proposed.model_dump(mode="json", exclude_defaults=True),
        "toml": toml,
        "dry_run": [asdict(outcome) for outcome in outcomes],
    }


def _show(around: Around, items: list[Proposed], outcomes: list[Outcome]) -> None:
    console = Console()
    table = Table("node", "type", "unit", "range", "history", "machine", "channel", title="variables")
    for item in items[:SHOWN]:
        variable = item.variable
        span = "" if variable.low is None else f"{variable.low:g} … {variable.high:g}"
        words = (variable.node, variable.type_name or variable.data_type, variable.unit, span)
        kept = "yes" if variable.historizing else ""
        table.add_row(*map(escape, words), kept, escape(item.asset), escape(item.channel or item.why))
    console.print(table)
    for name, node in around.notifiers:
        console.print(escape(f"sends events: {name} {node}"))
    for kind in around.event_types:
        console.print(escape(f"{'condition' if kind.is_condition else 'event'}: {kind.name} {kind.node}"))
    console.print(outcomes_table(outcomes))
    refused = sum(outcome.kind == "refused" for outcome in outcomes)
    print(f"{len(items):,} variables on {around.nodes:,} nodes; of {len(outcomes):,} tried {refused} refused")
    if around.cut_off:
        print(f"not everything was seen: {around.cut_off}; see --depth and --nodes")

"""`andon discover`: listens to a broker, looks around an OPC UA server or at what came in, and makes Andon understand it."""

import argparse
import importlib
from dataclasses import asdict
from pathlib import Path
from urllib.parse import urlsplit

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from andon.clock import wall
from andon.commands import Refused, positive
from andon.commands.connection import broker_arguments, broker_at
from andon.commands.discovered import install, installed, received, say_next, source_lines
from andon.commands.output import write_json
from andon.commands.plant import text_of
from andon.commands.run import read_plant
from andon.config import load_config
from andon.events import Json
from andon.plant import Plant
from ingest.discover_mqtt import Broker, Minute, NotHeard, listen
from ingest.discover_payloads import shape_of
from ingest.discover_periods import with_periods
from ingest.discover_plant import propose
from ingest.discover_sparkplug import births
from ingest.discover_topics import groups_of
from ingest.discover_trial import Outcome, dry_run

LISTEN_S, LOOK_BACK_S = 60.0, 3600.0
SHOWN_TOPICS, SHOWN_OUTCOMES = 40, 60


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb takes."""
    parser.add_argument(
        "target",
        nargs="?",
        help="mqtt(s)://host[:port] or opc.tcp://host:port/path; without one, what this installation received",
    )
    parser.add_argument("--plant", type=Path, metavar="FILE", help="the plant document to add to")
    parser.add_argument(
        "--write",
        type=Path,
        metavar="FILE",
        help="write the proposed plant document here, or add to this one",
    )
    parser.add_argument(
        "--install", action="store_true", help="bring it into the installation of --config, after its diff"
    )
    parser.add_argument("--yes", action="store_true", help="--install: without asking")
    parser.add_argument("--config", type=Path, default=Path("andon.toml"), help="(default andon.toml)")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write all of it here ('-': standard output)"
    )
    broker_arguments(parser)
    mqtt = parser.add_argument_group("mqtt")
    mqtt.add_argument("--topics", action="append", metavar="FILTER", help="topic filters (default '#')")
    mqtt.add_argument(
        "--seconds",
        type=positive,
        help="how long to listen (default 60), or how far to look back (default an hour)",
    )
    opcua = parser.add_argument_group("opc.tcp")
    opcua.add_argument(
        "--security",
        default="Basic256Sha256",
        choices=["none", "Basic256Sha256", "Aes128Sha256RsaOaep", "Aes256Sha256RsaPss"],
        help="security policy (default Basic256Sha256)",
    )
    opcua.add_argument(
        "--data", type=Path, help="the data directory with Andon's certificate and its trust list"
    )
    opcua.add_argument("--depth", type=int, default=10, help="levels to look below Objects (default 10)")
    opcua.add_argument("--nodes", type=int, default=20_000, help="nodes to look at, at most (default 20000)")


def run(arguments: argparse.Namespace) -> int:
    """Say what is there and what would become of it; 1 if a message of it would be refused, unless it is installed."""
    plant = _plant(arguments)
    target = arguments.target or ""
    if arguments.seconds is None:
        arguments.seconds = LISTEN_S if target else LOOK_BACK_S
    if urlsplit(target).scheme == "opc.tcp":
        return int(importlib.import_module("andon.commands.discover_opcua").run(arguments, plant))
    minute = _listen(_broker(arguments), arguments) if target else received(arguments)
    samples = {topic: heard.samples for topic, heard in minute.topics.items()}
    try:
        proposed = propose(samples, plant, wall())
    except ValueError as error:
        raise Refused(f"no plant document could be made of it: {error}") from error
    timed = {
        topic: list(zip(heard.received_ns, heard.samples, strict=True))
        for topic, heard in minute.topics.items()
    }
    outcomes = list(dry_run(proposed, timed))
    proposed = with_periods(proposed, outcomes, minute.topics)
    if arguments.write is not None:
        arguments.write.write_text(text_of(proposed), "utf-8")
    if arguments.json is not None:
        write_json(arguments.json, _document(minute, proposed, outcomes))
    if arguments.json != Path("-"):
        _show(minute, proposed, outcomes)
        say_next(arguments)
    if arguments.install:
        lines = source_lines(arguments, _broker(arguments)) if target else ""
        return install(arguments, proposed, lines)
    return int(any(outcome.kind == "refused" for outcome in outcomes))


def _plant(arguments: argparse.Namespace) -> Plant:
    """The document to add to: the one that is named; what --write has already; what the installation has."""
    if arguments.plant is not None:
        return read_plant(arguments.plant)
    if arguments.write is not None and arguments.write.exists():
        return read_plant(arguments.write)
    if arguments.install or not arguments.target:
        return installed(load_config(arguments.config)) or Plant(name="plant")
    return Plant(name="plant")


def _broker(arguments: argparse.Namespace) -> Broker:
    place = broker_at(arguments.target, arguments)
    is_tls = place.context is not None
    return Broker(place.host, place.port, is_tls, place.ca, place.user, place.password)


def _listen(broker: Broker, arguments: argparse.Namespace) -> Minute:
    columns = (TextColumn("listening"), BarColumn(), TextColumn("{task.fields[said]}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("", total=arguments.seconds, said="")

        def turn(passed_s: float, minute: Minute) -> None:
            said = f"{minute.messages:,} messages, {len(minute.topics):,} topics"
            progress.update(bar, completed=passed_s, said=said)

        try:
            return listen(broker, tuple(arguments.topics or ("#",)), arguments.seconds, wall, turn)
        except (NotHeard, OSError) as error:
            raise Refused(str(error)) from error


def _groups(minute: Minute) -> list[dict[str, Json]]:
    """The topics by template: how many, how often, how large, what they hold, and one example."""
    now_ns = wall()
    shapes = {
        topic: shape_of(topic, heard.samples[0], now_ns)
        for topic, heard in minute.topics.items()
        if heard.samples
    }
    rows: list[dict[str, Json]] = []
    for group in groups_of(shapes):
        its = [minute.topics[topic] for topic in group.topics()]
        rows.append(
            {
                "template": group.separator.join(level or "+" for level in group.pattern),
                "topics": len(its),
                "per_s": round(sum(heard.count for heard in its) / max(minute.seconds, 1e-9), 3),
                "bytes": [min(heard.sizes[0] for heard in its), max(heard.sizes[1] for heard in its)],
                "retained": sum(heard.retained for heard in its),
                "payload": group.shape.form,
                "fields": [*group.shape.leaves][:50],
                "units": list(group.shape.units),
                "example": its[0].samples[0][:120].decode("utf-8", "backslashreplace"),
            }
        )
    return rows


def _document(minute: Minute, proposed: Plant, outcomes: list[Outcome]) -> dict[str, Json]:
    return {
        "seconds": minute.seconds,
        "messages": minute.messages,
        "bytes": minute.size,
        "topics": len(minute.topics),
        "beyond": minute.beyond,
        "groups": _groups(minute),
        "sparkplug": [asdict(born) for born in births({t: h.samples for t, h in minute.topics.items()})],
        "proposal": proposed.model_dump(mode="json", exclude_defaults=True),
        "dry_run": [asdict(outcome) for outcome in outcomes],
    }


def _show(minute: Minute, proposed: Plant, outcomes: list[Outcome]) -> None:
    console = Console()
    heard = Table("topics", "", "per s", "bytes", "payload", "example", title="heard", title_justify="left")
    for row in _groups(minute)[:SHOWN_TOPICS]:
        low, high = row["bytes"]
        size = f"{low:,}" if low == high else f"{low:,}–{high:,}"
        heard.add_row(
            escape(row["template"]),
            f"{row['topics']:,}",
            f"{row['per_s']:g}",
            size,
            row["payload"],
            escape(row["example"]),
        )
    console.print(heard)
    for born in births({topic: its.samples for topic, its in minute.topics.items()}):
        place = "/".join(filter(None, (born.group, born.edge, born.device)))
        console.print(escape(f"Sparkplug {place}: {', '.join(name for name, _, _ in born.metrics[:20])}"))
    console.print(_rules(proposed))
    console.print(outcomes_table(outcomes))
    refused = sum(outcome.kind == "refused" for outcome in outcomes)
    print(
        f"{minute.messages:,} messages on {len(minute.topics):,} topics; of {len(outcomes):,} tried {refused} refused"
    )
    if minute.beyond:
        print(f"{minute.beyond:,} messages were of topics beyond what is kept; narrow it with --topics")


def _rules(proposed: Plant) -> Table:
    rules = Table("", "topic", "payload", "machine", "values", title="proposed rules", title_justify="left")
    for number, rule in enumerate(proposed.mappings, 1):
        values = ", ".join(f"{name} → {value.channel}" for name, value in list(rule.channels.items())[:6])
        asset = "" if rule.payload == "ignore" else rule.asset
        rules.add_row(str(number), escape(rule.topic), rule.payload, escape(asset), escape(values))
    return rules


def outcomes_table(outcomes: list[Outcome]) -> Table:
    """A dry run as a table, what would be refused first."""
    table = Table("message", "becomes", "machine", "values", "at", title="dry run", title_justify="left")
    ordered = sorted(outcomes, key=lambda outcome: outcome.kind != "refused")
    for outcome in ordered[:SHOWN_OUTCOMES]:
        values = ", ".join(
            f"{name} {'–' if value is None else f'{value:g} {unit}'}".strip()
            for name, value, unit in outcome.values
        )
        style = "red" if outcome.kind == "refused" else None
        table.add_row(
            *map(escape, (outcome.topic, outcome.kind, outcome.asset, values or outcome.detail, outcome.at)),
            style=style,
        )
    return table

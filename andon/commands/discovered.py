"""What was discovered, brought into an installation: its plant document with a diff, and its source into andon.toml."""

import argparse
import json
import sys
import tomllib
from difflib import unified_diff
from pathlib import Path

from andon import plants
from andon.clock import wall
from andon.commands import Refused
from andon.commands.plant import bring, following, text_of
from andon.commands.run import read_plant
from andon.config import Config, ConfigError, load_config
from andon.database import reading
from andon.datadir import has_store, open_store
from andon.events import SECOND_NS
from andon.plant import Plant
from andon.ports import RecordKind
from andon.sources import check_sources
from andon.taking import position_at, walk
from ingest.discover_mqtt import Broker, Minute
from ingest.journal import SqliteJournal

_RETAIN = 1


def received(arguments: argparse.Namespace) -> Minute:
    """What the installation has received by MQTT in the last `--seconds`, understood or not."""
    config = load_config(arguments.config)
    minute = Minute(seconds=arguments.seconds)
    since_ns = wall() - round(arguments.seconds * SECOND_NS)
    for name, source in config.sources.items():
        folder = config.data / "journal" / name
        if source.kind not in {"listener", "mqtt"} or not folder.is_dir():
            continue
        journal = SqliteJournal(folder, read_only=True)
        try:
            start, end = journal.start(), journal.end()
            for _, records, _ in walk(journal, position_at(journal, start, end, since_ns), end):
                for record in records:
                    if record.kind is RecordKind.MESSAGE:
                        topic = record.topic.decode("utf-8", "replace")
                        is_retained = bool(record.flags & _RETAIN)
                        minute.hear(topic, record.body, record.received_ns, retained=is_retained)
        finally:
            journal.close()
    if not minute.messages:
        raise Refused(
            f"nothing came in by MQTT in the last {arguments.seconds:g} s: let the machines publish, "
            "give --seconds, or name a broker or server"
        )
    return minute


def installed(config: Config) -> Plant | None:
    """The plant in force; before the first start, the one that andon.toml names."""
    if has_store(config.data):
        with reading(open_store(config.data)) as conn:
            in_force = plants.latest(conn)
        if in_force is not None:
            return in_force
    return read_plant(config.plant) if config.plant is not None and config.plant.exists() else None


def say_next(arguments: argparse.Namespace) -> None:
    """What to do with the document that was written."""
    if arguments.write is not None and not arguments.install:
        print(f"{arguments.write}: look through it, then: andon plant import {arguments.write} --data DIR")
    elif arguments.write is None and not arguments.install:
        print("once it looks right: the same with --install, or with --write FILE to edit it first")


def source_lines(arguments: argparse.Namespace, broker: Broker) -> str:
    """The lines of andon.toml that subscribe to this broker; none if a source does already."""
    config = load_config(arguments.config)
    for source in config.sources.values():
        settings = source.parameters
        if source.kind == "mqtt" and (settings.get("host"), settings.get("port", 1883)) == (
            broker.host,
            broker.port,
        ):
            return ""
    name = next(name for name in _names("broker") if name not in config.sources)
    lines = [
        f"[sources.{name}]",
        'kind = "mqtt"',
        f"host = {json.dumps(broker.host)}",
        f"port = {broker.port}",
    ]
    lines += [f'client_id = "andon-{name}"', f"topics = {json.dumps(arguments.topics or ['#'])}"]
    if broker.user is not None:
        lines += [f"user = {json.dumps(broker.user)}"]
    if arguments.password_file is not None:
        lines += [f"password_file = {json.dumps(str(arguments.password_file.absolute()))}"]
    if broker.tls:
        lines += [f"[sources.{name}.tls]"]
        lines += [f"ca = {json.dumps(str(broker.ca.absolute()))}"] if broker.ca is not None else []
    return "\n".join(lines) + "\n"


def _names(stem: str) -> list[str]:
    return [stem, *(f"{stem}{number}" for number in range(2, 100))]


def install(arguments: argparse.Namespace, proposed: Plant, lines: str) -> int:
    """Show what would change, ask, and do it: the plant at once if Andon runs, else at its first start."""
    config = load_config(arguments.config)
    before = installed(config)
    text = arguments.config.read_text("utf-8")
    more = _more(text, lines)
    in_force = _in_force(config)
    after = following(in_force, proposed) if in_force is not None else proposed
    if (after is None or after == before) and not more:
        print("nothing would change")
        return 0
    _show(before, after)
    if more:
        print(f"{arguments.config}: these lines are added\n{more}")
    if not arguments.yes and not _agreed():
        print("nothing was changed")
        return 1
    if after is not None and in_force is not None:
        print(bring(config.data, after))
        print("what came before it was understood: andon deadletters redrive")
    elif after is not None:
        path = config.plant
        if path is None:
            raise Refused(f'{arguments.config} names no first plant document: add plant = "plant.json" to it')
        path.write_text(text_of(after), "utf-8")
        print(f"{path}: comes into force at the first start: andon run")
    if more:
        _append(arguments.config, text, more)
    return 0


def _show(before: Plant | None, after: Plant | None) -> None:
    """The difference, and in one line what it adds."""
    if after is None:
        return
    old = text_of(before).splitlines() if before else []
    print("\n".join(unified_diff(old, text_of(after).splitlines(), "plant", "discovered", lineterm="", n=1)))
    known = {asset.id for asset in before.assets} if before else set()
    new = [asset.id for asset in after.assets if asset.id not in known]
    rules = len(after.mappings) - (len(before.mappings) if before else 0)
    print(f"{len(new)} new machines ({', '.join(new[:20])}), {rules} new rules")


def _in_force(config: Config) -> Plant | None:
    if not has_store(config.data):
        return None
    with reading(open_store(config.data)) as conn:
        return plants.latest(conn)


def _more(text: str, lines: str) -> str:
    """The lines, unless the file has a source of that server already."""
    wanted = tomllib.loads(lines).get("sources", {}) if lines else {}
    there = tomllib.loads(text).get("sources", {})
    known = {str(source.get("url", "")).rstrip("/") for source in there.values()} - {""}
    for name, source in wanted.items():
        if str(source.get("url", "")).rstrip("/") in known:
            return ""
        if name in there:
            raise Refused(
                f"andon.toml has another source {name}: rename it, or add the lines of --write by hand"
            )
    return lines


def _append(path: Path, text: str, more: str) -> None:
    """Add the lines at the end, at once or not at all; what could not be used is not kept."""
    partial = path.with_suffix(".partial")
    partial.write_text(f"{text.rstrip()}\n\n{more}", "utf-8")
    try:
        config = load_config(partial)
        check_sources(config.sources, partial)
    except ConfigError as error:
        partial.unlink()
        raise Refused(f"{path} stays as it was: {error}") from error
    partial.rename(path)
    print(f"{path}: changed; a running Andon follows within a second")


def _agreed() -> bool:
    if not sys.stdin.isatty():
        raise Refused("nobody is there to agree: look through it, then add --yes")
    return input("bring this into force? [y/N] ").strip().casefold() in {"y", "yes", "j", "是"}

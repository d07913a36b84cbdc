"""`andon device`: who may publish to Andon's own listener, and where; a password is shown once, and only its hash is kept."""

import argparse
import secrets
from collections.abc import Mapping
from pathlib import Path

from andon import plants
from andon.clock import wall
from andon.commands import Refused
from andon.commands.output import write_json
from andon.commands.run import read_plant
from andon.config import Config, load_config
from andon.database import reading
from andon.datadir import has_store, open_store
from andon.events import rfc3339
from andon.plant import Plant
from ingest.credentials import fault_of, hash_password
from ingest.devices import Device, check_name, devices_at, load, save

DEEDS = ("add", "list", "revoke", "rotate")
PLACE = "andon/v1/+/+/+/+/+/{name}"
"""Where a device that the plant does not know may publish: beneath its own name, wherever that stands."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb takes."""
    parser.add_argument(
        "words", nargs="+", metavar="add|list|revoke|rotate|NAME", help="what to do, and NAME"
    )
    parser.add_argument("--source", help="the listener in andon.toml (default: the only one)")
    parser.add_argument(
        "--topic",
        action="append",
        default=[],
        help="it may publish here and below, `+` is any one level (default: beneath its own name in Andon's layout)",
    )
    parser.add_argument("--config", type=Path, default=Path("andon.toml"), help="(default andon.toml)")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write what is said here ('-': standard output)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Do it; a running listener follows within a second, and nobody else notices."""
    deed, *names = arguments.words if arguments.words[0] in DEEDS else ("", *arguments.words)
    if len(names) != (deed != "list"):
        raise Refused("say andon device add NAME, list, revoke NAME or rotate NAME")
    if deed == "":
        return _lines(names[0], arguments)
    config = load_config(arguments.config)
    path = devices_at(config.data, _listener(config, arguments.source))
    devices = load(path)
    if deed == "list":
        return _list(devices, arguments.json)
    name = _named(names[0])
    if deed == "add":
        if name in devices:
            raise Refused(f"{name} is there already: andon device rotate {name} gives it another password")
        topics = _topics(name, arguments.topic, _plant(config))
    elif name not in devices:
        raise Refused(f"there is no device {name}: andon device list names them")
    if deed == "revoke":
        save(path, {other: device for other, device in devices.items() if other != name})
        print(f"{name} may not come in any more")
        return 0
    kept = Device(password=None, topics=topics) if deed == "add" else devices[name]
    password = secrets.token_urlsafe(18)
    known = {"password": hash_password(password), "since": rfc3339(wall())}
    save(path, {**devices, name: kept.model_copy(update=known)})
    _tell(name, password, list(kept.topics), arguments.json)
    return 0


def _tell(name: str, password: str, topics: list[str], json: Path | None) -> None:
    if json is not None:
        write_json(json, {"name": name, "password": password, "topics": topics})
    if json != Path("-"):
        print(f"password of {name}, shown once: {password}")
        print(f"it may publish to {' and '.join(topics)} and below, and reads nothing")


def _list(devices: Mapping[str, Device], json: Path | None) -> int:
    if json is not None:
        rows = [
            {"name": name, "topics": list(one.topics), "since": one.since} for name, one in devices.items()
        ]
        write_json(json, {"devices": rows})
    if json != Path("-"):
        for name, one in devices.items():
            print(f"{name}  since {one.since or '?'}  {'  '.join(one.topics)}")
        if not devices:
            print("no device may publish yet: andon device add NAME")
    return 0


def _lines(name: str, arguments: argparse.Namespace) -> int:
    """Print the lines for an andon.toml that is kept by hand; nothing is stored, so that nothing can leak."""
    _named(name)
    plant = _plant(load_config(arguments.config)) if arguments.config.exists() else None
    topics = ", ".join(f'"{topic}"' for topic in _topics(name, arguments.topic, plant))
    password = secrets.token_urlsafe(18)
    print(f"password of {name}, shown once: {password}\n")
    key = f'"{name}"' if "." in name else name
    print(f"[sources.{arguments.source or 'floor'}.users.{key}]")
    print(f'password = "{hash_password(password)}"')
    print(f"topics = [{topics}]")
    return 0


def _named(name: str) -> str:
    try:
        check_name(name)
    except ValueError as error:
        raise Refused(str(error)) from error
    return name


def _topics(name: str, asked: list[str], plant: Plant | None) -> tuple[str, ...]:
    """Where it may publish: where it was said; else where the plant has it; else beneath its own name."""
    asset = plant.asset(name) if plant is not None else None
    own = f"andon/v1/{asset.path}/{asset.id}" if asset is not None else PLACE.format(name=name)
    wrong = [f"{topic!r} is no place to publish: {why}" for topic in asked if (why := fault_of(topic))]
    if wrong:
        raise Refused("; ".join(wrong))
    return tuple(asked) or (own,)


def _listener(config: Config, asked: str | None) -> str:
    known = [name for name, source in config.sources.items() if source.kind == "listener"]
    if asked is None and len(known) == 1:
        return known[0]
    if asked in known:
        return str(asked)
    if not known:
        raise Refused("andon.toml has no listener: give devices to your broker, or add one to andon.toml")
    raise Refused(f"say which with --source: {', '.join(known)}")


def _plant(config: Config) -> Plant | None:
    """The plant in force, or the one that will be."""
    if has_store(config.data):
        with reading(open_store(config.data)) as conn:
            in_force = plants.latest(conn)
        if in_force is not None:
            return in_force
    first = config.plant
    return read_plant(first) if first is not None and first.exists() else None

"""`andon check`: what is wrong with a configuration or machine, and how to mend it."""

import argparse
import difflib
import importlib
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

from cryptography import x509
from pydantic import BaseModel
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from andon.channels import notifier_of, subscription_of
from andon.class_defaults import DEFAULTS, default_kinds
from andon.clock import Now, wall
from andon.commands import check_installation as installation
from andon.commands.output import write_json
from andon.commands.run import PORT_CURE, read_plant, web_refusal
from andon.commands.verdict import State, Verdict
from andon.config import Config, ConfigError, load_config
from andon.database import open_database, reading
from andon.datadir import has_store, store_at
from andon.events import SECOND_NS
from andon.quarantine import Quarantine
from andon.schema import HEAD, REVISIONS, revision_of
from andon.sources import parameters_of, rivals
from ingest.certificates import days_left, fingerprint, load, warned_at
from ingest.pki import Pki
from ticketing.subscriptions import Audience

MARKS: dict[State, str] = {"good": "✓", "warning": "!", "wrong": "✗"}
LEAST_FREE_BYTES = 2 * 1024**3
SLOW_SYNC_MS = 50.0
A_PAST_DAY_NS = 1_767_225_600 * SECOND_NS  # 2026-01-01: no real clock stands before it
CERTIFICATES = frozenset({"ca", "client_ca", "certificate", "user_certificate"})


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb takes."""
    parser.add_argument(
        "--config", type=Path, help="the andon.toml to check (default: andon.toml, if it is there)"
    )
    parser.add_argument("--data", type=Path, help="the data directory to check")
    parser.add_argument("--plant", type=Path, metavar="FILE", help="a plant document to check")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write the verdicts here ('-': standard output)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print each verdict with its cure; 1 if something is wrong."""
    path = arguments.config or (Path("andon.toml") if Path("andon.toml").exists() else None)
    found = [*verdicts(path, arguments.data, wall), *_plant(arguments.plant)]
    if arguments.json is not None:
        write_json(arguments.json, {"verdicts": [asdict(verdict) for verdict in found]})
    if arguments.json != Path("-"):
        for verdict in found:
            print(f"{MARKS[verdict.state]} {verdict.name}: {verdict.text}")
            if verdict.cure and verdict.state != "good":
                print(f"    → {verdict.cure}")
    return int(any(verdict.state == "wrong" for verdict in found))


def verdicts(path: Path | None, data: Path | None, now: Now) -> Iterator[Verdict]:
    """Look at the configuration, then at the machine with the settings it gives."""
    config = Config()
    if path is not None:
        try:
            config = load_config(path)
            yield Verdict("configuration", "good", f"{path}: {len(config.sources)} sources")
        except ConfigError as error:
            yield Verdict("configuration", "wrong", str(error), f"edit {path}")
    elif data is None:
        yield Verdict("configuration", "warning", "there is no andon.toml here", "andon init makes one")
    place = data or config.data
    running = installation.is_running(place)
    yield from _sources(config, now)
    yield from installation.door_verdicts(config, place, running=running)
    yield from installation.broker_verdicts(config)
    yield from _channels(config)
    yield from _quarantine(place)
    yield from _pki(place / "pki", now)
    yield from _certificates("web", config.web.model_dump(mode="json"), now)
    yield from installation.tls_verdicts(config)
    yield from _memory(config)
    yield from _web(config, running=running)
    yield from _store(config, place)
    yield from installation.plant_verdicts(config, place)
    yield from installation.account_verdicts(place, now)
    yield from installation.mode_verdicts(place)
    yield _python()
    yield _pages()
    yield _time_of_day(now)
    yield from installation.clock_verdicts()
    yield from _disk(place)


def _plant(path: Path | None) -> Iterator[Verdict]:
    """The document, its mapping rules included: one that can never fit or is not clear is wrong."""
    if path is None:
        return
    try:
        plant = read_plant(path)
    except ConfigError as error:
        yield Verdict("plant", "wrong", str(error), f"edit {path}")
        return
    text = f"{path}: {len(plant.assets)} assets, {len(plant.mappings)} mapping rules"
    yield Verdict("plant", "good", text)
    defaults = Counter(asset.asset_class for asset in plant.assets if plant.takes_defaults(asset))
    for name, count in sorted(defaults.items()):
        kinds = ", ".join(default_kinds(name))
        text = f"not under classes: {count} of the {len(plant.assets)} assets have {kinds}"
        near = () if name in DEFAULTS else difflib.get_close_matches(name, [*DEFAULTS, *plant.classes], n=1)
        cure = f"did you mean {near[0]!r}? Else give the class its detectors under classes" if near else ""
        yield Verdict(f"class {name}", "warning" if near else "good", text, cure)


def _sources(config: Config, now: Now) -> Iterator[Verdict]:
    known: dict[str, BaseModel] = {}
    for name, source in config.sources.items():
        place = f"source {name}"
        try:
            parameters = known[name] = parameters_of(name, source.kind, source.parameters)
            yield Verdict(place, "good", f"{source.kind}: settings are valid")
        except ConfigError as error:
            yield Verdict(place, "wrong", str(error), f"edit [sources.{name}]")
        else:
            if getattr(parameters, "is_exposed", False):
                cure = "set security; until then whoever is on the network can read and forge what it says"
                yield Verdict(place, "warning", "it runs without security over the network", cure)
        yield from _certificates(place, source.parameters, now)
    for problem in rivals(known):
        yield Verdict("sources", "wrong", problem, "give each its own")


def _channels(config: Config) -> Iterator[Verdict]:
    """Each channel with its rules, settings and secrets; nothing is sent."""
    for settings in config.notify:
        place = f"notify {settings.name}"
        try:
            rules = subscription_of(settings)
            notifier_of(settings)
        except ConfigError as error:
            yield Verdict(place, "wrong", str(error), f"edit the [[notify]] of {settings.name}")
            continue
        canary = "a canary each minute" if rules.canary else "no canary, for it would reach people"
        text = f"{settings.kind}: {len(rules.types)} topics, {canary}"
        if rules.audience is Audience.PERSON and not rules.people:
            yield Verdict(place, "warning", text, "nobody has an address here: fill in people")
        elif rules.audience is not Audience.SYSTEMS and rules.canary:
            yield Verdict(
                place, "warning", text, "people get it: set canary = false, or try a group of your own"
            )
        else:
            yield Verdict(place, "good", text)


def _certificates(place: str, parameters: Mapping[str, object], now: Now) -> Iterator[Verdict]:
    for key, value in sorted(parameters.items()):
        if isinstance(value, Mapping):
            yield from _certificates(place, value, now)
        if key not in CERTIFICATES or not isinstance(value, str):
            continue
        try:
            certificate = load(Path(value).read_bytes())
        except OSError:
            yield Verdict(place, "wrong", f"{key}: {value} cannot be read", "give the path of a certificate")
            continue
        except ValueError:
            yield Verdict(place, "wrong", f"{key}: {value} is no certificate", "give a PEM or DER file")
            continue
        yield from _lasts(place, f"{key}: {value}", certificate, now)


def _lasts(place: str, what: str, certificate: x509.Certificate, now: Now) -> Iterator[Verdict]:
    days = days_left(certificate, now())
    if warned_at(days) is not None:
        state: State = "wrong" if days < 0 else "warning"
        yield Verdict(place, state, f"{what} ends in {days} days", "renew the certificate")


def _pki(folder: Path, now: Now) -> Iterator[Verdict]:
    """Our own certificate, those that are trusted, and those that wait for a person."""
    pki = Pki(folder)
    place = "certificates"
    if pki.has_own():
        own = pki.own(now())
        yield Verdict(place, "good", f"our own, {own.path}: {fingerprint(own.certificate)}")
        yield from _lasts(place, f"our own, {own.path}", own.certificate, now)
        if own.key_path.stat().st_mode & 0o077:
            yield Verdict(place, "wrong", f"others can read {own.key_path}", f"run: chmod 600 {own.key_path}")
    for path, certificate in pki.trusted():
        yield from _lasts(place, f"trusted, {path}", certificate, now)
    waiting = ", ".join(path.stem for path, _ in pki.rejected())
    if waiting:
        cure = "andon trust NAME, for each whose fingerprint is right; remove the others' files"
        yield Verdict(place, "warning", f"refused so far: {waiting}", cure)


def _memory(config: Config) -> Iterator[Verdict]:
    most = sum(source.memory_max_mb for source in config.sources.values())
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1024**2
    if most > there // 2:
        cure = "lower memory_max_mb of sources that need little"
        yield Verdict(
            "memory", "warning", f"the sources may take {most} MB beyond their start, of {there} MB", cure
        )
    else:
        yield Verdict("memory", "good", f"the sources may take {most} MB beyond their start, of {there} MB")


def _quarantine(data: Path) -> Iterator[Verdict]:
    quarantine = Quarantine(data)
    for name in quarantine.names():
        cure = f"mend what it died of, then: andon resume {name}"
        yield Verdict(f"source {name}", "wrong", f"in quarantine: {quarantine.why(name)}", cure)


def _web(config: Config, *, running: bool) -> Iterator[Verdict]:
    if running:
        yield Verdict("web", "good", f"{config.web.host}:{config.web.port}: Andon runs")
        return
    refusal = web_refusal(config.web)
    if refusal is not None:
        yield Verdict("web", "wrong", refusal, PORT_CURE)
        return
    yield Verdict("web", "good", f"{config.web.host}:{config.web.port} is free")


def _store(config: Config, data: Path) -> Iterator[Verdict]:
    """Whether the store answers, fits the data directory, and has a schema that this build can work with."""
    url = config.store.url
    if has_store(data) and store_at(data) != (url or data / "andon.sqlite"):
        cure = "give [store] url what it was, or begin with a new data directory"
        yield Verdict("store", "wrong", f"{data} has its store at {store_at(data)}", cure)
        return
    if url is None and not has_store(data):
        yield Verdict("store", "good", f"SQLite, will be made in {data}")
        return
    database = open_database(url or data / "andon.sqlite")
    try:
        with reading(database) as conn:
            yield _schema(conn)
            yield from _postgresql(conn) if url else ()
    except DBAPIError as error:
        cure = "start the server, mend the URL, or give the password in PGPASSWORD or ~/.pgpass"
        yield Verdict("store", "wrong", f"{url or data}: {str(error.orig).strip()}", cure)
    finally:
        database.dispose()


def _schema(conn: Connection) -> Verdict:
    at, version = revision_of(conn), ".".join(map(str, conn.dialect.server_version_info or ()))
    place = f"{conn.dialect.name} {version}".strip()
    if at is None:
        return Verdict("store", "good", f"{place}: empty")
    if at and at not in REVISIONS:
        return Verdict("store", "wrong", f"{place}: schema {at} is of a later Andon", "install that one")
    newer = "" if at == HEAD else f", andon run brings it to {HEAD}"
    return Verdict("store", "good", f"{place}: schema {at or 'before 0001'}{newer}")


def _postgresql(conn: Connection) -> Iterator[Verdict]:
    """What has to be so on a server of one's own."""
    say = {name: str(conn.execute(text(f"SHOW {name}")).scalar()) for name in ("server_encoding", "fsync")}
    if say["server_encoding"] != "UTF8":
        cure = "make the database with ENCODING 'UTF8' TEMPLATE template0"
        yield Verdict("store", "wrong", f"its encoding is {say['server_encoding']}", cure)
    if say["fsync"] != "on":
        yield Verdict("store", "warning", "fsync is off: a power cut may cost it", "set fsync = on")
    if not conn.execute(text("SELECT has_schema_privilege(current_schema(), 'CREATE')")).scalar():
        cure = "make this user the owner of the database"
        yield Verdict("store", "wrong", "this user may not make tables in it", cure)


def _python() -> Verdict:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < (3, 11):  # noqa: UP036 - said to whoever starts it by hand with an old one
        return Verdict("python", "wrong", version, "install Python 3.11 or newer")
    return Verdict("python", "good", version)


def _pages() -> Verdict:
    vendor = Path(str(importlib.import_module("api").__file__)).parent / "web" / "vendor"
    missing = [name for name in ("echarts.js", "htmx.js") if not (vendor / name).exists()]
    if missing:
        return Verdict(
            "pages", "wrong", f"browser libraries are missing: {', '.join(missing)}", "run: make setup"
        )
    return Verdict("pages", "good", "browser libraries are in place; no page asks the internet for anything")


def _time_of_day(now: Now) -> Verdict:
    if now() < A_PAST_DAY_NS:
        return Verdict("clock", "wrong", "the time of day lies in the past", "set the clock, switch on NTP")
    return Verdict("clock", "good", "the time of day is plausible")


def _disk(data: Path) -> Iterator[Verdict]:
    there = next(folder for folder in (data, *data.absolute().parents) if folder.exists())
    free = shutil.disk_usage(there).free
    if free < LEAST_FREE_BYTES:
        yield Verdict(
            "disk",
            "warning",
            f"{there}: {free / 1e9:.1f} GB free",
            "free space, or set `data` to another disk",
        )
    else:
        yield Verdict("disk", "good", f"{there}: {free / 1e9:.0f} GB free")
    if not os.access(there, os.W_OK):
        yield Verdict(
            "data", "wrong", f"{there} cannot be written", "give it to this user, or set `data` elsewhere"
        )
        return
    sync_ms = _sync_ms(there)
    if sync_ms > SLOW_SYNC_MS:
        cure = "expect this much delay before a message is acknowledged; a local SSD is quicker"
        yield Verdict("sync", "warning", f"one fsync takes {sync_ms:.1f} ms", cure)
    else:
        yield Verdict("sync", "good", f"one fsync takes {sync_ms:.1f} ms")


def _sync_ms(folder: Path) -> float:
    with tempfile.TemporaryFile(dir=folder) as file:
        times = []
        for _ in range(8):
            file.write(b"x" * 4096)
            file.flush()
            before_s = time.perf_counter()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - before_s)
    return sorted(times)[len(times) // 2] * 1e3

"""`andon check`: what is wrong with a configuration or machine, and how to mend it."""

import argparse
import importlib
import importlib.util
import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from cryptography import x509

from andon.clock import Now, wall
from andon.commands.output import write_json
from andon.config import Config, ConfigError, check, load_config
from andon.events import SECOND_NS

State = Literal["good", "warning", "wrong"]
MARKS: dict[State, str] = {"good": "✓", "warning": "!", "wrong": "✗"}
LEAST_FREE_BYTES = 2 * 1024**3
SLOW_SYNC_MS = 50.0
A_PAST_DAY_NS = 1_767_225_600 * SECOND_NS  # 2026-01-01: no real clock stands before it
CERTIFICATE_DAYS = 30
CERTIFICATES = frozenset({"ca", "client_ca", "certificate", "server_certificate"})


@dataclass(frozen=True, slots=True)
class Verdict:
    """One thing looked at: how it is, and what to do about it."""

    name: str
    state: State
    text: str
    cure: str = ""


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb takes."""
    parser.add_argument(
        "--config", type=Path, help="the andon.toml to check (default: andon.toml, if it is there)"
    )
    parser.add_argument("--data", type=Path, help="the data directory to check")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write the verdicts here ('-': standard output)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print each verdict with its cure; 1 if something is wrong."""
    path = arguments.config or (Path("andon.toml") if Path("andon.toml").exists() else None)
    found = list(verdicts(path, arguments.data, wall))
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
    yield from _sources(config, now)
    yield from _web(config)
    yield _python()
    yield _pages()
    yield _time_of_day(now)
    yield from _disk(data or config.data)


def _sources(config: Config, now: Now) -> Iterator[Verdict]:
    for name, source in config.sources.items():
        place = f"source {name}"
        kind = (
            importlib.import_module(f"ingest.{source.kind}")
            if importlib.util.find_spec(f"ingest.{source.kind}")
            else None
        )
        if kind is None or not hasattr(kind, "run"):
            yield Verdict(place, "wrong", f"there is no kind {source.kind!r}", "use listener, mqtt or opcua")
            continue
        try:
            check(kind.Parameters, source.parameters, place)
            yield Verdict(place, "good", f"{source.kind}: settings are valid")
        except ConfigError as error:
            yield Verdict(place, "wrong", str(error), f"edit [sources.{name}]")
        yield from _certificates(place, source.parameters, now)


def _certificates(place: str, parameters: Mapping[str, object], now: Now) -> Iterator[Verdict]:
    for key, value in sorted(parameters.items()):
        if isinstance(value, Mapping):
            yield from _certificates(place, value, now)
        if key not in CERTIFICATES or not isinstance(value, str):
            continue
        try:
            ends = _certificate(Path(value).read_bytes()).not_valid_after_utc
        except OSError:
            yield Verdict(place, "wrong", f"{key}: {value} cannot be read", "give the path of a certificate")
            continue
        except ValueError:
            yield Verdict(place, "wrong", f"{key}: {value} is no certificate", "give a PEM or DER file")
            continue
        days = (int(ends.timestamp()) - now() // SECOND_NS) / 86_400
        if days < CERTIFICATE_DAYS:
            state: State = "wrong" if days < 0 else "warning"
            yield Verdict(place, state, f"{key}: {value} ends in {days:.0f} days", "renew the certificate")


def _certificate(content: bytes) -> x509.Certificate:
    if content.lstrip().startswith(b"-----"):
        return x509.load_pem_x509_certificate(content)
    return x509.load_der_x509_certificate(content)


def _web(config: Config) -> Iterator[Verdict]:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((config.web.host, config.web.port))
        except OSError as error:
            cure = "stop what uses it, or set [web] port (0 takes any)"
            yield Verdict(
                "web", "wrong", f"{config.web.host}:{config.web.port} cannot be used: {error.strerror}", cure
            )
            return
    yield Verdict("web", "good", f"{config.web.host}:{config.web.port} is free")


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

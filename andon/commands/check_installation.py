"""What `andon check` says of an installation that was made: its people, accounts, files, certificates, brokers, clock."""

import ctypes
import fcntl
import socket
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from cryptography import x509
from sqlalchemy import inspect

from andon import plants
from andon.access import accounts, tables
from andon.access.roles import Role
from andon.authority import Files, names_in
from andon.calendars import Calendar
from andon.clock import Now
from andon.commands.run import read_plant
from andon.commands.verdict import Verdict
from andon.config import Config, ConfigError
from andon.database import open_database, reading
from andon.datadir import has_store, store_at
from andon.events import HOUR_NS
from andon.plant import Plant
from andon.sources import parameters_of
from ingest.broker_terms import Terms, terms_of
from ingest.certificates import load
from ingest.devices import devices_at
from ingest.devices import load as load_devices
from ingest.listener import Parameters as Listener
from ingest.mqtt import Parameters as Broker

_OPEN_TO_OTHERS = 0o077
_UNSYNCHRONISED = 5
"""What adjtimex(2) gives where nothing keeps the clock right: TIME_ERROR."""
_SHOWN = 5


def is_running(data: Path) -> bool:
    """Whether an Andon works on that data directory; nothing there is touched."""
    try:
        with (data / "lock").open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def plant_verdicts(config: Config, data: Path) -> Iterator[Verdict]:
    """The plant in force, or that of the first start: whether it has machines, and somebody to do the work."""
    try:
        plant = _plant(config, data)
    except ConfigError as error:
        yield Verdict("plant", "wrong", str(error), f"edit {config.plant}")
        return
    if plant is None:
        return
    if not plant.assets:
        cure = "andon discover --install, once machines publish"
        yield Verdict("plant", "warning", f"{plant.name}: no machines yet", cure)
    else:
        yield Verdict("plant", "good", f"{plant.name}: {len(plant.assets)} machines")
    yield from _people(plant)


def _people(plant: Plant) -> Iterator[Verdict]:
    if not plant.people:
        cure = "write them under people, and andon plant import"
        yield Verdict("people", "wrong", "there is nobody whom a ticket could name", cure)
        return
    lines = {asset.line for asset in plant.assets}
    unserved = sorted(
        line for line in lines if not any(not one.lines or line in one.lines for one in plant.people)
    )
    idle = sorted(
        one.id
        for one in plant.people
        if one.calendar is not None and not _ever_works(plant.calendars[one.calendar])
    )
    if unserved:
        text = f"nobody serves {', '.join(unserved[:_SHOWN])}"
        yield Verdict("people", "warning", text, "give somebody these lines")
    if idle:
        yield Verdict("people", "warning", f"never on shift: {', '.join(idle)}", "mend their calendars")
    if not unserved and not idle:
        yield Verdict("people", "good", f"{len(plant.people)}, for all lines")


def _ever_works(calendar: Calendar) -> bool:
    return any(calendar.week.values()) or any(calendar.days.values())


def _plant(config: Config, data: Path) -> Plant | None:
    if has_store(data):
        database = open_database(store_at(data))
        try:
            with reading(database) as conn:
                there = inspect(conn).has_table(plants.plants.name)
                in_force = plants.latest(conn) if there else None
        finally:
            database.dispose()
        if in_force is not None:
            return in_force
    return read_plant(config.plant) if config.plant is not None else None


def account_verdicts(data: Path, now: Now) -> Iterator[Verdict]:
    """Whether people can sign in, and the first secret has had its day."""
    if not has_store(data):
        return
    database = open_database(store_at(data))
    try:
        with reading(database) as conn:
            there = inspect(conn).has_table(tables.accounts.name)
            every = accounts.every(conn, now()) if there else ()
    finally:
        database.dispose()
    admins = [one for one in every if Role.ADMINISTRATOR in one.roles and not one.disabled]
    if not admins:
        cure = (
            "andon user add NAME --role administrator; until then whoever has the console's link is everybody"
        )
        yield Verdict("accounts", "warning", "nobody has an account", cure)
        return
    stale = [one.id for one in every if one.must_change and now() - one.secret_ns > 24 * HOUR_NS]
    if stale:
        cure = "sign in and choose a secret, or andon user disable NAME"
        yield Verdict("accounts", "warning", f"first secret not changed: {', '.join(stale)}", cure)
        return
    fresh = [one.id for one in every if one.must_change]
    waiting = f"; waits for the first sign-in: {', '.join(fresh)}" if fresh else ""
    yield Verdict("accounts", "good", f"{len(every)}, of them {len(admins)} administrators{waiting}")


def mode_verdicts(data: Path) -> Iterator[Verdict]:
    """The data directory is its owner's alone: whoever reads it reads every ticket and every hash."""
    if not data.is_dir():
        return
    if data.stat().st_mode & _OPEN_TO_OTHERS:
        nothing_yet = not any(data.iterdir())
        cure = f"run: chmod 700 {data}" + ("; the first start does so too" if nothing_yet else "")
        yield Verdict("data", "warning" if nothing_yet else "wrong", f"others can enter {data}", cure)
        return
    opened = [path for path in _files(data) if path.stat().st_mode & _OPEN_TO_OTHERS]
    public = {Files(data / "tls").ca, Files(data / "tls").certificate}
    keys = [path for path in opened if path.suffix in {".key", ".token"} or path.parent.name == "devices"]
    if keys:
        names = " ".join(map(str, keys[:_SHOWN]))
        yield Verdict("data", "wrong", f"others can read {names}", f"run: chmod 600 {names}")
    elif any(path not in public and path.suffix not in {".der", ".pem"} for path in opened):
        text = f"{len(opened)} files in {data} would be open to others, were the folder"
        yield Verdict("data", "warning", text, f"run: chmod -R go= {data}")
    else:
        yield Verdict("data", "good", f"{data} is for its owner alone")


def _files(data: Path) -> Iterator[Path]:
    """The files that matter, not the thousands of series and photos."""
    yield from (path for path in data.glob("*") if path.is_file())
    for folder in ("devices", "tls", "run"):
        yield from (path for path in (data / folder).glob("*") if path.is_file())


def tls_verdicts(config: Config) -> Iterator[Verdict]:
    """Certificates that are shown: their key is ours alone and theirs, and they hold for where we listen."""
    shown: list[tuple[str, str, Mapping[str, object]]] = []
    web = config.web
    own = {"certificate": web.certificate, "key": web.key} if web.certificate is not None else {}
    shown.append(("web", web.host, own))
    for name, source in config.sources.items():
        if source.kind == "listener":
            tls = source.parameters.get("tls") or {}
            shown.append((f"source {name}", str(source.parameters.get("host", "127.0.0.1")), tls))
    for place, host, tls in shown:
        certificate, key = (Path(str(tls.get(name, ""))) for name in ("certificate", "key"))
        if not tls:
            continue
        if key.is_file() and key.stat().st_mode & _OPEN_TO_OTHERS:
            yield Verdict(place, "wrong", f"others can read {key}", f"run: chmod 600 {key}")
        if not certificate.is_file() or not key.is_file():
            cure = "andon init --tls makes both"
            yield Verdict(place, "wrong", f"{certificate} or {key} is not there", cure)
            continue
        yield from _holds(place, host, certificate)


def _holds(place: str, host: str, certificate: Path) -> Iterator[Verdict]:
    try:
        names = names_in(load(certificate.read_bytes()))
    except (OSError, ValueError, x509.ExtensionNotFound):
        return  # said by who looks at how long it lasts
    is_any = host in {"0.0.0.0", "::", ""}  # noqa: S104 - asks, and does not listen
    missing = not names if is_any else host not in names
    if missing:
        cure = f"andon init --tls --names {','.join((*names, host))}"
        yield Verdict(place, "warning", f"{certificate} does not hold for {host}", cure)
    else:
        yield Verdict(place, "good", f"{certificate} holds for {', '.join(names[:_SHOWN])}")


def door_verdicts(config: Config, data: Path, *, running: bool) -> Iterator[Verdict]:
    """Each listener's port, and whether anybody may come in."""
    for name, source in config.sources.items():
        if source.kind != "listener":
            continue
        try:
            parameters = parameters_of(name, source.kind, source.parameters)
            devices = load_devices(devices_at(data, name))
        except ConfigError as error:
            if str(devices_at(data, name)) in str(error):
                yield Verdict(f"source {name}", "wrong", str(error), "mend or remove that file")
            continue
        if not isinstance(parameters, Listener):
            continue
        if not running and parameters.port:
            yield from _port(f"source {name}", parameters)
        if not (parameters.users or devices or parameters.anonymous):
            cure = f"andon device add NAME --source {name}"
            yield Verdict(f"source {name}", "warning", "no device may publish yet", cure)


def _port(place: str, parameters: Listener) -> Iterator[Verdict]:
    family = socket.AF_INET6 if ":" in parameters.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((parameters.host, parameters.port))
        except OSError as error:
            text = f"{parameters.host}:{parameters.port} cannot be used: {error.strerror}"
            yield Verdict(place, "wrong", text, "stop what uses it, or give the listener another port")


def broker_verdicts(config: Config) -> Iterator[Verdict]:
    """What each broker grants: whether it answers, and lets pass what we mean to take."""
    for name, source in config.sources.items():
        if source.kind != "mqtt":
            continue
        try:
            parameters = parameters_of(name, source.kind, source.parameters)
        except ConfigError:
            continue
        if isinstance(parameters, Broker):
            yield from _terms(f"broker {name}", terms_of(parameters))


def _terms(place: str, terms: Terms) -> Iterator[Verdict]:
    if terms.trouble:
        yield Verdict(place, "warning", terms.trouble, "start it, or mend host, port, user or password")
        return
    limits = list(terms.limits())
    for text, cure in limits:
        yield Verdict(place, "warning", text, cure)
    if not limits:
        yield Verdict(place, "good", f"answers, MQTT {terms.protocol}; its limits let everything pass")


def clock_verdicts() -> Iterator[Verdict]:
    """Whether something keeps the clock right, where the kernel knows."""
    if sys.platform != "linux":
        return
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(512))
    except (OSError, AttributeError):
        return
    if state == _UNSYNCHRONISED:
        cure = "switch on NTP (chrony, systemd-timesyncd): times of machines are compared with this clock"
        yield Verdict("ntp", "warning", "nothing keeps the clock of this machine right", cure)
    elif state >= 0:
        yield Verdict("ntp", "good", "the clock is kept right")

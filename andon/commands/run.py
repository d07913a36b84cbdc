"""`andon run`: the installation that andon.toml describes, until Ctrl-C."""

import argparse
import importlib
import json
import socket
import ssl
import threading
import time
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from andon import plants
from andon.access.accounts import any_there
from andon.commands import Refused
from andon.commands.screen import stop_on_signals
from andon.config import Config, ConfigError, Web, check, is_loopback, load_config
from andon.database import open_database, reading
from andon.datadir import Busy, has_store, only_instance, open_store, place_store, store_at
from andon.installation import Installation
from andon.plant import Plant
from andon.reload import Reload
from andon.schema import HEAD, bring_up
from andon.sources import check_sources
from andon.supervisor import ChildDied

TURN_S = 0.5
FIRST_WAIT_S = 5.0
READY = "ready,"
NO_ACCOUNTS = (
    "nobody has an account: whoever opens that link may do everything; "
    "`andon user add NAME --role administrator` makes one, and from the next start people sign in"
)
PORT_CURE = "stop what uses it, or set [web] port (0 takes any)"


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb takes."""
    parser.add_argument("--config", type=Path, default=Path("andon.toml"))
    parser.add_argument("--plant", type=Path, metavar="FILE", help="plant document to bring into force first")


def run(arguments: argparse.Namespace) -> int:
    """Start everything, watch it, follow andon.toml, stop in order."""
    config = load_config(arguments.config)
    check_sources(config.sources, arguments.config)
    importlib.import_module("andon.channels").check_channels(config.notify)
    plant = read_plant(arguments.plant) if arguments.plant else None
    refusal = web_refusal(config.web)
    if refusal is not None:
        raise Refused(f"the console at {refusal}; {PORT_CURE}")
    try:
        with only_instance(config.data):
            accounts = _open_store(config)
            return _run(arguments.config, config, plant or first_plant(config), accounts=accounts)
    except (Busy, ChildDied, TimeoutError) as error:
        raise Refused(str(error)) from error


def _open_store(config: Config) -> bool:
    """Bring the store up to date before any part opens it, and say so; gives whether people have accounts there."""
    place_store(config.data, config.store.url)
    database = open_database(store_at(config.data))
    try:
        since = bring_up(database)
        with reading(database) as conn:
            accounts = any_there(conn)
    except DBAPIError as error:
        raise Refused(f"the store at {store_at(config.data)} cannot be used: {error.orig}") from error
    finally:
        database.dispose()
    if since is not None:
        print(f"store: brought up from schema {since or 'before 0001'} to {HEAD}")
    if not accounts and not is_loopback(config.web.host):
        raise Refused(f"nobody could sign in at {config.web.host}: andon user add NAME --role administrator")
    return accounts


def web_refusal(web: Web) -> str | None:
    """Why the console could not listen where it is told to; None if it can."""
    if web.certificate is not None:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(web.certificate, web.key)
        except (OSError, ssl.SSLError) as error:
            return (
                f"{web.certificate} with {web.key} cannot be used: {error}; andon init --tls makes new ones"
            )
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((web.host, web.port))
        except OSError as error:
            return f"{web.host}:{web.port} cannot be used: {error.strerror}"
    return None


def read_plant(path: Path) -> Plant:
    """A plant document from its file, its detectors' settings included; ConfigError says what is wrong with it."""
    try:
        plant = check(Plant, json.loads(path.read_text("utf-8")), str(path))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{path} is not valid JSON: {error}") from error
    importlib.import_module("andon.app").check_detectors(plant)  # loaded only if there is a document to check
    return plant


def first_plant(config: Config) -> Plant | None:
    """The document that andon.toml names for the first start; None once one is in force."""
    if config.plant is None:
        return None
    if has_store(config.data):
        with reading(open_store(config.data)) as conn:
            if plants.latest(conn) is not None:
                return None
    return read_plant(config.plant)


def _run(path: Path, config: Config, plant: Plant | None, *, accounts: bool) -> int:
    installation = Installation(
        config.data.absolute(), keeping=config.journal, series=config.series, influx=config.influx
    )
    stopping = threading.Event()
    stop_on_signals(stopping)
    reload = Reload(path, config, installation)  # before the start: what is changed during it is seen
    try:
        installation.start_engine(plant.model_dump(mode="json") if plant else None, list(config.sources))
        for name, source in config.sources.items():
            installation.start_source(name, source)
        installation.start_influx()
        installation.start_notify(config.notify)
        installation.start_web(config.web, accounts=accounts, notify=config.notify)
        for name in ("engine", "web"):
            print(f"{name}: {installation.wait(name)}")
        was = _await_sources(installation, stopping)
        print(f"console: {installation.link}")
        if not accounts:
            print(NO_ACCOUNTS)
        while not stopping.wait(TURN_S):
            for line in (*reload.look(), *_news(installation, was)):
                print(line)
    finally:
        installation.stop()
    return 0


def _await_sources(installation: Installation, stopping: threading.Event) -> dict[str, str]:
    """Wait a little for the sources; what is off or wrong at one of them must not keep the others from starting."""
    was: dict[str, str] = {}
    deadline_s = time.monotonic() + FIRST_WAIT_S
    while time.monotonic() < deadline_s and not stopping.wait(0.1):
        for line in _news(installation, was):
            print(line)
        if all(how.startswith(READY) for how in was.values()):
            break
    return was


def _news(installation: Installation, was: dict[str, str]) -> list[str]:
    """One turn; gives a line for each source that is not as it `was`."""
    down = installation.turn()
    now = {name: _how(installation, name, down) for name in installation.sources()}
    lines = [f"{name}: {how}" for name, how in now.items() if was.get(name) != how]
    was.clear()
    was.update(now)
    return lines


def _how(installation: Installation, name: str, down: list[str]) -> str:
    why = installation.quarantine.why(name)
    if why is not None:
        return f"in quarantine: {why}; once it is mended: andon resume {name}"
    if name in down:
        return f"down, and will be started again; see {installation.data / 'logs' / name}.log"
    child = installation.supervisor.children[name]
    return f"{READY} {child.said['ready']}" if child.ready.is_set() else "not ready yet, and goes on trying"

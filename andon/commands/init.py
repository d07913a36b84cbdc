"""`andon init`: asks what a plant's first start needs, and makes it: andon.toml, a plant document, the store, the first account."""

import argparse
import os
import re
import sys
import tomllib
import zoneinfo
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy.exc import DBAPIError

from andon.access import accounts
from andon.access.audit import By
from andon.access.roles import Role
from andon.authority import SERVER_DAYS, Files, issue, own_names
from andon.clock import wall
from andon.commands import Refused
from andon.commands.connection import PORTS
from andon.commands.init_files import Answers, plant_of, toml_of
from andon.commands.output import write_json
from andon.commands.plant import text_of
from andon.config import Config, Store, check, is_loopback, load_config
from andon.database import writing
from andon.datadir import has_store, open_store, place_store, store_at
from andon.plant import Plant

PLACE = "enterprise/site/area/line"
NONE = "none"
LANGUAGES = ("en", "zh", "both")


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb takes: whatever is not given is asked for, or with --yes as it stands here."""
    parser.add_argument(
        "--yes", action="store_true", help="ask nothing: what is not given is as it stands here"
    )
    parser.add_argument("--config", type=Path, default=Path("andon.toml"), help="(default andon.toml)")
    parser.add_argument("--plant", type=Path, default=Path("plant.json"), help="(default plant.json)")
    parser.add_argument("--data", type=Path, default=Path("var/andon"), help="(default var/andon)")
    parser.add_argument(
        "--store", metavar="URL", help="tickets in PostgreSQL: postgresql://user@host/database"
    )
    parser.add_argument("--name", help="what the plant is called (default: this folder's name)")
    parser.add_argument(
        "--place", metavar=PLACE, help="where its machines stand, by ISA-95 (default: from the name)"
    )
    parser.add_argument("--time-zone", help="such as Asia/Shanghai (default: this machine's)")
    parser.add_argument("--language", choices=LANGUAGES, help="what messages to people speak (default en)")
    parser.add_argument("--host", help="where the console listens (default 127.0.0.1; others need --tls)")
    parser.add_argument("--port", type=int, help="its port (default 8080)")
    parser.add_argument(
        "--listener", metavar="PORT", help="port of Andon's MQTT door, or none (default 1883; 8883)"
    )
    parser.add_argument("--broker", metavar="URL", help="mqtt(s)://host[:port]: a broker to subscribe to")
    parser.add_argument("--broker-user", help="as whom")
    parser.add_argument(
        "--broker-password-file", type=Path, metavar="FILE", help="the file with its password"
    )
    parser.add_argument("--broker-ca", type=Path, metavar="FILE", help="PEM file of its authority, for mqtts")
    parser.add_argument("--opcua", metavar="URL", help="opc.tcp://host:port of a controller")
    parser.add_argument(
        "--tls", action="store_true", help="make a local authority and a certificate, or renew that"
    )
    parser.add_argument(
        "--names", help="names and addresses for it, by commas (default: those of this machine)"
    )
    parser.add_argument("--admin", metavar="NAME", help="the administrator's name (default: Administrator)")
    parser.add_argument("--account", metavar="ID", help="whom they sign in as (default: from the name)")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write what was made here, the secret included"
    )


def run(arguments: argparse.Namespace) -> int:
    """Make an installation, or with --tls a new certificate for one that is there; nothing is overwritten."""
    if arguments.tls and arguments.config.exists():
        return _renew(arguments)
    _refuse_what_is_there(arguments)
    answers = _answers(arguments)
    check(Config, tomllib.loads(toml_of(answers)), str(arguments.config))
    check(Plant, plant_of(answers).model_dump(mode="json"), "plant")
    answers.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    answers.data.chmod(0o700)
    if answers.is_tls:
        _issue(answers.tls, answers.name, answers.names)
    secret = _account(answers)
    answers.plant.write_text(text_of(plant_of(answers)), "utf-8")
    arguments.config.write_text(toml_of(answers), "utf-8")
    _tell(answers, arguments, secret)
    return 0


def _refuse_what_is_there(arguments: argparse.Namespace) -> None:
    """Nothing that somebody may need is written over."""
    for path in (arguments.config, arguments.plant):
        if path.exists():
            cure = "edit it, and see andon check" if path == arguments.config else "give --plant another name"
            raise Refused(f"{path} is there already: {cure}; or move it away and begin anew")
    if has_store(arguments.data):
        raise Refused(f"{arguments.data} holds an installation already: give --data another folder")


def _answers(arguments: argparse.Namespace) -> Answers:
    ask = _Asking(quiet=arguments.yes)
    name = ask("what is the plant called", arguments.name, Path.cwd().name or "plant")
    where = f"{_slug(name) or 'plant'}/site/area/L1"
    place = ask(f"where do its machines stand ({PLACE})", arguments.place, where, _no_place)
    zone = ask("its time zone", arguments.time_zone, _time_zone(), _no_zone)
    spoken = ask(
        f"what messages to people speak ({', '.join(LANGUAGES)})", arguments.language, "en", _no_language
    )
    host = ask("where the console listens (0.0.0.0: other machines too, by TLS)", arguments.host, "127.0.0.1")
    port = ask("its port", arguments.port, "8080", _no_port)
    is_tls = arguments.tls or (not is_loopback(host) and ask.agrees("make certificates for TLS"))
    usual = "8883" if not is_loopback(host) else "1883"
    listener = ask("port of Andon's own MQTT door, or none", arguments.listener, usual, _no_door)
    broker = ask("a broker to subscribe to (mqtt://host), or none", arguments.broker, NONE, _no_broker)
    opcua = ask("an OPC UA server (opc.tcp://host:4840), or none", arguments.opcua, NONE, _no_server)
    person = ask("the administrator's name", arguments.admin, "Administrator")
    usual = _slug(person).replace("-", ".") or "admin"
    account = ask("the name to sign in with", arguments.account, usual, _no_account)
    names = arguments.names.split(",") if arguments.names else own_names()
    if not is_loopback(host) and not is_tls:
        raise Refused(f"{host} is reached by other machines: add --tls, or listen on 127.0.0.1")
    if broker != NONE and arguments.broker_user and not arguments.broker_password_file:
        raise Refused(
            "a broker's user has a password: give the file that holds it with --broker-password-file"
        )
    return Answers(
        name=name,
        place=place.strip("/ "),
        time_zone=zone,
        language=spoken,
        data=_path(arguments.data, arguments.config),
        plant=_path(arguments.plant, arguments.config),
        host=host,
        port=int(port),
        listener=None if listener == NONE else int(listener),
        broker=None if broker == NONE else broker,
        broker_user=arguments.broker_user,
        broker_password_file=arguments.broker_password_file,
        broker_ca=arguments.broker_ca,
        store=arguments.store,
        opcua=None if opcua == NONE else opcua,
        is_tls=is_tls,
        names=tuple(name.strip() for name in names if name.strip()),
        person=person,
        account=account,
    )


class _Asking:
    """Asks a person on the terminal until the answer can work; `quiet` takes what was given, or else the default."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        if not quiet and not sys.stdin.isatty():
            raise Refused("nobody is there to answer: add --yes, and what differs from the defaults")

    def __call__(
        self, what: str, given: object, default: str, wrong: Callable[[str], str] = lambda _: ""
    ) -> str:
        """The answer; `wrong` says why one cannot work, empty if it can. Refused for such a one that was given."""
        if given is not None or self._quiet:
            answer = default if given is None else str(given)
            if why := wrong(answer):
                raise Refused(why)
            return answer
        while True:
            answer = input(f"{what} [{default}]: ").strip() or default
            if not (why := wrong(answer)):
                return answer
            print(f"  {why}")

    def agrees(self, what: str) -> bool:
        """Whether a person says yes; nobody is asked where nobody is there."""
        return not self._quiet and input(f"{what} [Y/n]: ").strip().casefold() not in {"n", "no", "否"}


def _no_place(told: str) -> str:
    fits = re.fullmatch(r"[^/\s#+]+(/[^/\s#+]+){3,4}", told.strip("/ "))
    return "" if fits else f"{told!r} is no place: say {PLACE}, such as acme/east/press/L1"


def _no_zone(told: str) -> str:
    is_one = told in zoneinfo.available_timezones()
    return "" if is_one else f"there is no time zone {told!r}: say one such as Asia/Shanghai"


def _no_language(told: str) -> str:
    return "" if told in LANGUAGES else f"{told!r}: say {', '.join(LANGUAGES)}"


def _no_port(told: str) -> str:
    is_one = told.isascii() and told.isdigit() and 0 < int(told) < 65536
    return "" if is_one else f"{told!r} is no port: say a number from 1 to 65535"


def _no_door(told: str) -> str:
    return "" if told == NONE else _no_port(told)


def _no_broker(told: str) -> str:
    return _no_address(told, tuple(PORTS))


def _no_server(told: str) -> str:
    return _no_address(told, ("opc.tcp",))


def _no_address(told: str, schemes: tuple[str, ...]) -> str:
    place = urlsplit(told)
    if told == NONE or (place.scheme in schemes and place.hostname):
        return ""
    return f"{told!r} is no address: say {' or '.join(f'{scheme}://host' for scheme in schemes)}"


def _no_account(told: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}", told):
        return ""
    return f"{told!r} is no name to sign in with: letters, digits and . _ : -"


def _account(answers: Answers) -> str:
    """The administrator's account; gives its first secret, of which only a hash stays."""
    if answers.store is not None:
        place_store(answers.data, check(Store, {"url": answers.store}, "--store").url)
    try:
        database = open_store(answers.data)
    except DBAPIError as error:
        raise Refused(f"the store at {store_at(answers.data)} cannot be used: {error.orig}") from error
    try:
        with writing(database) as conn:
            by = By(actor=answers.account, now_ns=wall())
            return accounts.create(conn, answers.account, roles=[Role.ADMINISTRATOR], by=by, must_change=True)
    finally:
        database.dispose()


def _issue(files: Files, plant: str, names: tuple[str, ...]) -> bool:
    try:
        return issue(files, plant, names, wall())
    except (OSError, ValueError) as error:
        raise Refused(f"no certificate could be made: {error}") from error


def _renew(arguments: argparse.Namespace) -> int:
    """A new server certificate of the authority that is there; or the first, and the lines for andon.toml."""
    config = load_config(arguments.config)
    files = Files(config.data / "tls")
    names = tuple(arguments.names.split(",")) if arguments.names else tuple(own_names())
    is_new = _issue(files, arguments.name or "this plant", names)
    print(
        f"{files.certificate}: for {', '.join(names)}, {SERVER_DAYS} days from now; in force at the next start"
    )
    if is_new:
        _tell_trust(files)
        print(f'for {arguments.config}:\n\n[web]\ncertificate = "{files.certificate}"\nkey = "{files.key}"')
    return 0


def _tell(answers: Answers, arguments: argparse.Namespace, secret: str) -> None:
    if arguments.json is not None:
        made = {"config": str(arguments.config), "plant": str(answers.plant), "data": str(answers.data)}
        made |= {"console": answers.console, "account": answers.account, "secret": secret}
        write_json(arguments.json, made)
    if arguments.json == Path("-"):
        return
    print(f"{arguments.config}, {answers.plant} and {answers.data} are made\n")
    print(f"  sign in as   {answers.account}")
    print(f"  with         {secret}      shown once; you choose your own at the first sign-in\n")
    if answers.is_tls:
        _tell_trust(answers.tls)
    option = "" if arguments.config == Path("andon.toml") else f" --config {arguments.config}"
    print(_next(answers, arguments.config, option))


def _next(answers: Answers, config: Path, option: str) -> str:
    """What to do now; where nothing comes in yet, a source is first: without one nothing starts."""
    found = answers.opcua or answers.broker or ""
    run = f"andon check{option}\n       andon run{option}      the console is at {answers.console}"
    if answers.listener is None and answers.broker is None:
        endpoint = found or "opc.tcp://HOST:4840"
        ways = f"andon discover {endpoint} --install{option}      gives Andon a source: so far it has none"
        if not found:
            ways += (
                f"\n       or take the # from the lines of [sources.floor] or [sources.broker] in {config}"
            )
        return f"next:  {ways}\n       {run}"
    lines = [run]
    if answers.listener is not None:
        lines.append(f"andon device add NAME{option}      lets a machine publish to port {answers.listener}")
    lines.append(
        f"andon discover {found}{' ' if found else ''}--install{option}      makes Andon understand what comes"
    )
    return "next:  " + "\n       ".join(lines)


def _tell_trust(files: Files) -> None:
    print(f"""trust {files.ca}, and nothing else of that folder leaves this machine:
  Debian, Ubuntu   cp {files.ca} /usr/local/share/ca-certificates/andon.crt && update-ca-certificates
  Windows          certutil -addstore Root ca.pem
  macOS            security add-trusted-cert -d -k /Library/Keychains/System.keychain ca.pem
  Firefox, phones  settings, certificates, authorities: import ca.pem
  devices          give ca.pem as their CA file; by MQTT: mqtts
{files.ca_key} signs the next certificate (andon init --tls, in a year): a safe is a good place until then
""")


def _path(path: Path, config: Path) -> Path:
    """As it was given, where andon.toml stands in this folder; else in full, for whoever starts it elsewhere."""
    return path if config.parent == Path() else path.absolute()


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.casefold()).strip("-")


def _time_zone() -> str:
    """The time zone of this machine, if it says so by name."""
    told = (
        os.environ.get("TZ", "").lstrip(":") or os.path.realpath("/etc/localtime").partition("zoneinfo/")[2]
    )
    return told if told in zoneinfo.available_timezones() else "UTC"

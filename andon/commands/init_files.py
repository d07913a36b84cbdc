"""The files that `andon init` writes: a commented andon.toml, and a first plant document."""

import json
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from andon.authority import Files
from andon.commands.connection import PORTS
from andon.config import is_loopback
from andon.plant import Person, Plant


@dataclass(frozen=True, slots=True)
class Answers:
    """What the plant's people have said; `listener` and `broker` are None where there is none."""

    name: str
    place: str
    time_zone: str
    language: str
    data: Path
    plant: Path
    host: str
    port: int
    listener: int | None
    broker: str | None
    broker_user: str | None
    broker_password_file: Path | None
    broker_ca: Path | None
    store: str | None
    opcua: str | None
    is_tls: bool
    names: tuple[str, ...]
    person: str
    account: str

    @property
    def tls(self) -> Files:
        """Where certificates of our own authority are."""
        return Files(self.data / "tls")

    @property
    def console(self) -> str:
        """The console's address for a browser."""
        host = self.names[0] if self.host == "0.0.0.0" and self.names else self.host  # noqa: S104
        return f"http{'s' if self.is_tls else ''}://{host}:{self.port}"


def plant_of(answers: Answers) -> Plant:
    """The first plant document: its place, no machines yet, and the administrator as a person who can be assigned."""
    person = Person(id=answers.account, name=answers.person, role="planner", tags=())
    return Plant(name=answers.name, time_zone=answers.time_zone, place=answers.place, people=(person,))


def toml_of(answers: Answers) -> str:
    """andon.toml with all that it may hold; what is off stands there as a comment that can be taken away."""
    parts = [
        _head(answers),
        _web(answers),
        _listener(answers),
        _broker(answers),
        _opcua(answers),
        _rest(answers),
    ]
    return "\n".join(parts)


def _head(answers: Answers) -> str:
    return f"""# How Andon runs here. Every setting: docs/configuration.md. What is wrong: andon check.
# A running Andon follows this file; what stands in the plant is changed by andon plant, andon discover and the console.

# Journals, tickets, readings, photos, certificates: one folder, for this user alone.
data = {_text(answers.data)}

# The plant document of the first start; once it is in force it is read no more.
plant = {_text(answers.plant)}
"""


def _web(answers: Answers) -> str:
    off = "" if answers.is_tls else "#"
    return f"""# The console and API. Other machines reach it by TLS alone: andon init --tls makes certificate and key.
[web]
host = {_text(answers.host)}
port = {answers.port}
{off}certificate = {_text(answers.tls.certificate)}
{off}key = {_text(answers.tls.key)}
# The names and addresses that stand in a browser's address line.
{off}names = {json.dumps(list(answers.names), ensure_ascii=False)}
"""


def _listener(answers: Answers) -> str:
    off = "" if answers.listener is not None else "#"
    host = answers.host if answers.is_tls else "127.0.0.1"
    lines = [
        "[sources.floor]",
        'kind = "listener"',
        f"host = {_text(host)}",
        f"port = {answers.listener or 1883}",
    ]
    told = "\n".join(f"{off}{line}" for line in lines)
    tls_off = off if not is_loopback(host) else "#"
    certificate = (
        "[sources.floor.tls]",
        f"certificate = {_text(answers.tls.certificate)}",
        f"key = {_text(answers.tls.key)}",
    )
    tls = "\n".join(f"{tls_off}{line}" for line in certificate)
    return f"""# Andon's own MQTT door: a device hears "received" when its message is on disk; no broker is needed.
# Let a device in: andon device add NAME
{told}

# Its certificate, for devices on other machines; they trust {answers.tls.ca}.
{tls}
"""


def _broker(answers: Answers) -> str:
    place = urlsplit(answers.broker or "mqtt://broker.example")
    off = "" if answers.broker else "#"
    lines = ["[sources.broker]", 'kind = "mqtt"', f"host = {_text(place.hostname)}"]
    lines += [
        f"port = {place.port or PORTS.get(place.scheme, 1883)}",
        'client_id = "andon"',
        'topics = ["#"]',
    ]
    lines += [f"user = {_text(answers.broker_user)}"] if answers.broker_user else []
    if answers.broker_password_file:
        lines.append(f"password_file = {_text(answers.broker_password_file)}")
    if place.scheme == "mqtts":
        lines.append("[sources.broker.tls]")
        lines += [f"ca = {_text(answers.broker_ca)}"] if answers.broker_ca else []
    told = "\n".join(f"{off}{line}" for line in lines)
    return f"""# A broker that is there already. Narrow the topics to what andon discover shows to be of use.
{told}
"""


def _opcua(answers: Answers) -> str:
    url = answers.opcua or "opc.tcp://plc.example:4840"
    return f"""# Controllers: andon discover {url} --install adds the server with its items here.
#[sources.plc]
#kind = "opcua"
#url = {_text(url)}
#[[sources.plc.items]]
#node = "nsu=urn:maker;s=Press7.Temperature"
#asset = "press7"
#channel = "machine/temperature"
"""


def _rest(answers: Answers) -> str:
    off = "" if answers.store else "#"
    store = f"{off}[store]\n{off}url = {_text(answers.store or 'postgresql://andon@127.0.0.1/andon')}"
    return f"""# Who is told: a channel for each system or group; docs/notifications.md has them all.
#[[notify]]
#name = "crm"
#kind = "webhook"
#language = {_text(answers.language)}
#url = "https://crm.example/andon"

# How much of what was received stays, per source.
#[journal]
#keep_days = 7.0

# Readings: how long they stay as they came, and as minutes and hours.
#[series]
#raw_days = 90

# Tickets in PostgreSQL instead of a file in data; a data directory keeps the store that it was made with.
{store}

# A copy of all readings for those who have Grafana.
#[influx]
#url = "http://127.0.0.1:8086"
#token_env = "INFLUX_TOKEN"
"""


def _text(value: object) -> str:
    return json.dumps(str(value), ensure_ascii=False)

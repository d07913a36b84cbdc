"""andon.toml: how Andon runs. The plant itself lives in the database (`andon plant export|import`)."""

import difflib
import ipaddress
import os
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar, get_args
from urllib.parse import parse_qs, urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo

from andon.events import Priority

T = TypeVar("T", bound=BaseModel)
Identifier = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
PARTS = frozenset({"engine", "influx", "notify", "plant", "requests", "web"})
"""Andon's own parts: a source of such a name would take its journal, log and status."""


class ConfigError(Exception):
    """The configuration cannot be used; the text says what to change."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(BaseModel):
    """One source: `kind` is the file name in ingest/ (listener, mqtt, opcua); the rest is that kind's own."""

    model_config = ConfigDict(frozen=True, extra="allow")
    kind: Identifier
    memory_max_mb: int = Field(
        default=240, ge=32, description="it ends itself when it takes so much more than at its start"
    )
    keep_days: float | None = Field(
        default=None, gt=0, description="its own history in days, instead of [journal]'s"
    )
    keep_bytes: int | None = Field(default=None, gt=0, description="the same in bytes")

    @property
    def parameters(self) -> dict[str, Any]:
        """The settings of the kind itself, still unchecked."""
        return dict(self.model_extra or {})


class Keeping(_Frozen):
    """How much history stays, and what a disk that fills up asks for."""

    keep_days: float = Field(default=7.0, gt=0, description="days of received messages, per source")
    keep_bytes: int = Field(default=4 * 1024**3, ge=1024**2, description="bytes of them, per source")
    dead_letters: int = Field(default=100_000, ge=1, description="the newest of these are kept")
    low_percent: float = Field(default=80.0, gt=0, le=100, description="a disk so full is told")
    shed_percent: float = Field(default=90.0, gt=0, le=100, description="history is dropped")
    full_percent: float = Field(default=95.0, gt=0, le=100, description="nothing is received any more")
    plenty_bytes: int = Field(default=10 * 1024**3, ge=0, description="with so much free no disk is low")
    reserve_bytes: int = Field(default=64 * 1024**2, ge=0, description="held for tickets and alarms")

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if not self.low_percent <= self.shed_percent <= self.full_percent:
            raise ValueError("low_percent, shed_percent and full_percent have to rise")
        return self

    def of(self, source: Source) -> "Keeping":
        """The same with what that source says for itself."""
        own = {"keep_days": source.keep_days, "keep_bytes": source.keep_bytes}
        return self.model_copy(update={name: value for name, value in own.items() if value is not None})


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine hears what is sent there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Series(_Frozen):
    """Readings over time: when they become files, and how long they stay."""

    seal_minutes: float = Field(default=10.0, gt=0, description="readings become files after so long")
    seal_values: int = Field(default=500_000, ge=1, description="or when so many wait")
    raw_days: int = Field(default=90, ge=1, description="days that readings stay")
    view_days: int = Field(default=1825, ge=1, description="days that their minutes and hours stay")

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if self.view_days < self.raw_days:
            raise ValueError("view_days has to be at least raw_days")
        return self


class Influx(_Frozen):
    """A copy of all readings in InfluxDB, or in what takes its line protocol."""

    url: str = Field(description="https://host:port; http only to this machine")
    bucket: str = Field(default="andon", description="the bucket to write to")
    org: str | None = Field(default=None, description="the organisation that the bucket belongs to")
    measurement: str = Field(default="andon", min_length=1, description="the name of the measurement")
    token_env: str | None = Field(default=None, description="the environment variable with the token")
    token_file: Path | None = Field(default=None, description="or the file that holds it")
    ca: Path | None = Field(default=None, description="PEM file: who signed the server's certificate")
    timeout_s: float = Field(default=10.0, gt=0, description="how long one request may take")
    lines: int = Field(default=5000, ge=1, description="readings in one request")
    retry_min_s: float = Field(default=0.5, gt=0, description="the first wait after a failure")
    retry_max_s: float = Field(default=60.0, gt=0, description="the longest")
    spool_mb: int = Field(default=256, ge=1, description="readings that wait for a server that is away")

    @field_validator("url")
    @classmethod
    def _encrypted(cls, url: str) -> str:
        """A token and the plant's readings do not travel in the clear."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"{url} is no http or https address")
        if parts.scheme == "http" and not is_loopback(parts.hostname):
            raise ValueError(f"{url} leaves this machine in the clear; use https")
        return url


class Secret(_Frozen):
    """Where a secret is: never in andon.toml itself, and there is no default."""

    env: str | None = Field(default=None, description="the environment variable that holds it")
    file: Path | None = Field(
        default=None, description="or the file, readable by its owner alone (mode 0600)"
    )

    @model_validator(mode="before")
    @classmethod
    def _not_in_clear(cls, given: object) -> object:
        if isinstance(given, str):
            raise ValueError(  # noqa: TRY004 - pydantic makes an error of the field of it
                'a secret does not stand in this file; give { env = "NAME" } or { file = "PATH" }'
            )
        return given

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.env is None) == (self.file is None):
            raise ValueError("give env or file")
        return self

    def read(self) -> str:
        """The secret; ConfigError if it is not there, empty, or open to others."""
        if self.file is None:
            found, where = os.environ.get(self.env or "", ""), f"the environment variable {self.env}"
        else:
            found, where = _read_private(self.file), str(self.file)
        if not found.strip():
            raise ConfigError(f"there is no secret in {where}")
        return found.strip()


def _is_credential(path: Path) -> bool:
    """Whether systemd hands it to this service alone; its access list shows as rights of the group."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    return bool(folder) and path.is_relative_to(Path(str(folder)))


def _read_private(path: Path) -> str:
    try:
        mode = path.stat().st_mode
        if mode & 0o077 and not _is_credential(path):
            raise ConfigError(f"others can read {path}; run: chmod 600 {path}")
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error


class Notify(BaseModel):
    """One channel: `kind` is the file name in ticketing/notify/; what is not listed here is that kind's own."""

    model_config = ConfigDict(frozen=True, extra="allow")
    name: Identifier = Field(description="what it is called in tables, metrics and tickets about it")
    kind: Identifier = Field(description="the file in ticketing/notify/")
    topics: tuple[str, ...] = Field(
        default=(), description="topics of the catalogue, or a beginning with `.*`; none is all"
    )
    sites: tuple[str, ...] = Field(default=(), description="only these sites")
    areas: tuple[str, ...] = Field(default=(), description="only these areas")
    priorities: tuple[Priority, ...] = Field(default=(), description="only these priorities")
    conditions: tuple[str, ...] = Field(default=(), description="only these conditions")
    language: Literal["zh", "en", "both"] = Field(default="en", description="what it speaks")
    people: dict[str, str] = Field(
        default_factory=dict, description="id of a person, or `dispatch` -> address on this channel"
    )
    recipients: tuple[str, ...] = Field(
        default=(), description="who of these is told everything, beside those an event names"
    )
    group_wait_s: float | None = Field(
        default=None, ge=0, le=3600, description="s; what happens to one ticket in this time is one message"
    )
    digest_over: int | None = Field(
        default=None, ge=0, description="messages a minute; more become one digest (0: never)"
    )
    hours: dict[str, Any] = Field(
        default_factory=dict, description="a calendar; outside it only what is critical is told"
    )
    canary: bool | None = Field(default=None, description="whether a canary is sent each minute")
    link: str = Field(default="", description="address of the console, for links to tickets")
    open_after: int = Field(default=5, ge=1, description="failures in a row that open the breaker")
    probe_s: float = Field(default=30.0, gt=0, description="s until it is tried again, doubling up to 600")

    @property
    def parameters(self) -> dict[str, Any]:
        """The settings of the kind itself, still unchecked."""
        return dict(self.model_extra or {})


class Store(_Frozen):
    """Where tickets, findings and the manifest are kept."""

    url: str | None = Field(
        default=None, description="a PostgreSQL database; without it a SQLite file in `data`"
    )

    @field_validator("url")
    @classmethod
    def _without_secret(cls, url: str | None) -> str | None:
        """The password does not stand in a file that many read, and nothing travels in the clear."""
        if url is None:
            return None
        parts = urlsplit(url)
        if parts.scheme not in {"postgresql", "postgresql+psycopg"} or len(parts.path) < 2:
            raise ValueError("say postgresql://user@host/database")
        asked = parse_qs(parts.query)
        if parts.password or "password" in asked:
            raise ValueError("leave the password out: give it in PGPASSWORD or in ~/.pgpass")
        host = parts.hostname or asked.get("host", [""])[0]
        here = not host or host.startswith("/") or is_loopback(host)
        if not here and not {"require", "verify-ca", "verify-full"}.intersection(asked.get("sslmode", [])):
            raise ValueError(f"{host} is not this machine: add ?sslmode=verify-full (or require)")
        return url


class Web(_Frozen):
    """The console and API."""

    host: str = Field(
        default="127.0.0.1", description="the IPv4 address to listen on; one that others reach asks for TLS"
    )
    port: int = Field(default=8080, ge=0, le=65535, description="0 takes any free port")
    certificate: Path | None = Field(
        default=None, description="PEM file: the server's certificate and those above it"
    )
    key: Path | None = Field(default=None, description="PEM file: its private key, without a password")
    names: tuple[str, ...] = Field(
        default=(), description="the host names under which browsers ask for it, beside this machine's own"
    )
    proxies: tuple[str, ...] = Field(
        default=(),
        description="addresses of proxies that say who asked and whether by TLS (X-Forwarded-For, -Proto)",
    )
    requests_per_minute: float = Field(
        default=3000.0, gt=0, description="requests of one account, key or unknown address"
    )
    burst: int = Field(default=600, ge=1, description="how many of them at once")
    session_idle_hours: float = Field(default=12.0, gt=0, description="h; unused for so long, a session ends")
    session_days: float = Field(default=7.0, gt=0, description="days; then it ends in any case")

    @field_validator("host")
    @classmethod
    def _is_address(cls, host: str) -> str:
        try:
            ipaddress.IPv4Address(host)
        except ValueError:
            if host != "localhost":
                raise ValueError(f"{host} is no IPv4 address; its name belongs into names") from None
        return host

    @model_validator(mode="after")
    def _is_encrypted(self) -> Self:
        """Passwords do not travel in the clear, and a name that nobody listed is somebody else's page."""
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together")
        if not is_loopback(self.host) and self.certificate is None:
            raise ValueError(
                f"{self.host} is no loopback address, and others reach it: `andon init --tls` makes a certificate and key"
            )
        if self.host == "0.0.0.0" and not self.names:  # noqa: S104 - what is asked is whether it was set
            raise ValueError("names: list the host names under which browsers ask for this machine")
        return self

    @property
    def address(self) -> str:
        """How it begins for a browser: scheme and host."""
        name = self.names[0] if self.names and self.certificate else self.host
        return f"{'https' if self.certificate else 'http'}://{name}"


class Config(_Frozen):
    """The whole file. Every key has a default, so that an empty file is a valid one."""

    data: Path = Field(default=Path("var/andon"), description="journals, store, series, snapshots")
    plant: Path | None = Field(
        default=None,
        description="the plant document of the first start; then `andon plant import` changes it",
    )
    sources: dict[Identifier, Source] = Field(default_factory=dict)
    journal: Keeping = Keeping()
    series: Series = Series()
    influx: Influx | None = None
    notify: tuple[Notify, ...] = ()
    store: Store = Store()
    web: Web = Web()

    @field_validator("sources")
    @classmethod
    def _not_ours(cls, sources: dict[str, Source]) -> dict[str, Source]:
        """Two parts cannot have one name."""
        taken = sorted(PARTS & sources.keys())
        if taken:
            raise ValueError(
                f"{', '.join(taken)} is the name of a part of Andon; call the source something else"
            )
        return sources

    @field_validator("notify")
    @classmethod
    def _each_once(cls, notify: tuple[Notify, ...]) -> tuple[Notify, ...]:
        """A channel's name is its own, and `bus` is where all of them hear from."""
        names = [one.name for one in notify]
        twice = sorted({name for name in names if names.count(name) > 1 or name == "bus"})
        if twice:
            raise ValueError(f"call a channel something else: {', '.join(twice)}")
        return notify


def load_config(path: Path) -> Config:
    """Read and check andon.toml; ConfigError names the line, key and the nearest known one."""
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(
            f"there is no {path}; write one (an empty file is valid) or give --config"
        ) from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
    return check(Config, document, str(path))


def check(model: type[T], document: object, where: str) -> T:
    """The document as that model, or a ConfigError whose text says what to change."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        lines = [_explain(model, dict(problem)) for problem in error.errors()]
        raise ConfigError(f"{where}: " + "; ".join(lines)) from error


def _explain(model: type[BaseModel], problem: dict[str, Any]) -> str:
    place = [str(part) for part in problem["loc"]]
    if problem["type"] != "extra_forbidden":
        return f"{'.'.join(place)}: {problem['msg']}"
    known = _known_keys(model, place[:-1])
    near = difflib.get_close_matches(place[-1], known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(sorted(known))}"
    return f"unknown key {'.'.join(place)!r}; {hint}"


def unknown(name: str, known: Iterable[str]) -> str:
    """Says that a name is none of these, and which it may have been."""
    near = difflib.get_close_matches(name, known := sorted(known), n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known) or 'none'}"
    return f"{name!r} is not known; {hint}"


def _known_keys(model: type[BaseModel], place: list[str]) -> list[str]:
    """The keys that stand at a place of a document: of a table in a list or in a table of tables as well."""
    for part in place:
        if part in _keys(model):
            inner = _model_in(_keys(model)[part].annotation)
            if inner is None:
                break
            model = inner
    return list(_keys(model))


def _keys(model: type[BaseModel]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _model_in(annotation: object) -> type[BaseModel] | None:
    """The model that an annotation is, or that what it holds is; the last one named, which is a table's value."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = [inner for one in get_args(annotation) if (inner := _model_in(one)) is not None]
    return found[-1] if found else None

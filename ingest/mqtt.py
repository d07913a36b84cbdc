"""The second way in: subscribes to a broker, and acknowledges to it what is on disk, never before.

The broker keeps what is not acknowledged, so nothing is lost while this process or the disk is away, as far as
the broker is set to keep it (see deploy/mosquitto.conf). What it did lose stands in the journal as a gap.
"""

import asyncio
import contextlib
import functools
import logging
import os
import random
import ssl
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, Self, cast

from paho.mqtt.enums import MQTTProtocolVersion
from pydantic import BaseModel, ConfigDict, Field, model_validator

from andon import ports
from andon.events import Json
from andon.ports import Journal, Record, RecordKind, SourceContext
from ingest.errors import JournalError
from ingest.group_commit import GroupCommit
from ingest.mqtt_connection import Address, BrokerConnection, ConnectionLost
from ingest.mqtt_packets import Oversized
from ingest.mqtt_paho import Message
from ingest.mqtt_wire import Limits
from ingest.own_records import missing, too_large

_log = logging.getLogger(__name__)
_MIB = 1024 * 1024
_DAY_S = 86_400
_COMMIT_S, _SETTLE_S = 3.0, 1.0
"""How long a clean stop waits for the disk, and then for the broker."""
_STEADY_S = 10.0
"""A connection that lived this long was a good one: the next wait is short again."""
_CONNECTIONS_PER_RECORD = 1 << 20


class Tls(BaseModel):
    """How the broker proves itself, and we to it."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    ca: Path | None = Field(
        default=None, description="PEM file of the broker's CA; none: those of the system"
    )
    certificate: Path | None = Field(
        default=None, description="PEM file with our certificate, if the broker asks"
    )
    key: Path | None = Field(default=None, description="PEM file with its private key")


class Parameters(BaseModel):
    """Which broker, and what to take from it."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    host: str = Field(min_length=1, description="name or address of the broker")
    port: int = Field(default=1883, ge=1, le=65535, description="TCP port; 8883 is usual with tls")
    client_id: str = Field(
        min_length=1,
        max_length=256,
        description="name of our session at the broker: keep it, and give no other client the same",
    )
    topics: tuple[str, ...] = Field(
        default=("andon/v1/#",), min_length=1, description="topic filters to subscribe to"
    )
    qos: Literal[0, 1] = Field(
        default=1, description="1: nothing is lost; 0: no acknowledgement, bounded loss"
    )
    protocol: Literal["3.1.1", "5"] = Field(default="3.1.1", description="version of MQTT")
    user: str | None = Field(default=None, description="user name")
    password_file: Path | None = Field(default=None, description="file that holds the password")
    password_env: str | None = Field(default=None, description="environment variable that holds the password")
    tls: Tls | None = Field(default=None, description="encryption; there is no falling back to plain text")
    keep_alive_s: int = Field(
        default=15, ge=1, le=3600, description="seconds of silence after which the connection is tried"
    )
    connect_timeout_s: float = Field(
        default=5.0, gt=0, le=60, description="seconds that connecting and each answer may take"
    )
    session_expiry_s: int = Field(
        default=7 * _DAY_S, ge=1, le=0xFFFF_FFFF, description="MQTT 5: seconds the broker keeps our session"
    )
    receive_maximum: int = Field(
        default=500, ge=1, le=65535, description="MQTT 5: messages on their way to us unacknowledged"
    )
    retry_min_s: float = Field(
        default=0.5, gt=0, le=60, description="first wait before connecting anew, seconds"
    )
    retry_max_s: float = Field(default=30.0, gt=0, le=600, description="longest wait, seconds")
    payload_max_bytes: int = Field(
        default=_MIB,
        ge=64,
        le=64 * _MIB,
        description="largest payload, in bytes; beyond it a message is refused",
    )
    waveform_max_bytes: int = Field(
        default=8 * _MIB, ge=64, le=64 * _MIB, description="largest payload on /_wave/ topics, in bytes"
    )
    queue_max_records: int = Field(
        default=20_000,
        ge=10,
        le=10_000_000,
        description="messages that may wait to be written before reading stops",
    )
    queue_max_bytes: int = Field(
        default=32 * _MIB, ge=1024, description="bytes that may wait to be written before reading stops"
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.password_file is not None and self.password_env is not None:
            raise ValueError("give password_file or password_env, not both")
        if self.user is None and (self.password_file is not None or self.password_env is not None):
            raise ValueError("a password needs a user")
        if self.tls is not None and (self.tls.certificate is None) != (self.tls.key is None):
            raise ValueError("tls.certificate and tls.key belong together")
        return self


async def run(parameters: Parameters, at: SourceContext) -> None:
    """Collect until `stopping` is set, connecting anew with growing waits; then commit and acknowledge what was read.

    `ready` is told `mqtt://host:port` (or `mqtts://`) at the first subscription. Raises OSError if the password
    or a certificate cannot be read, or if the journal fails; nothing that was not durable has been acknowledged.
    """
    collector = Collector(parameters, at)
    group = GroupCommit(
        at.journal,
        at.now,
        bound_records=parameters.queue_max_records,
        bound_bytes=parameters.queue_max_bytes,
        on_change=collector.turn,
    )
    async with group:
        await collector.collect(group, at.stopping)


class Collector:
    """Keeps one connection after another to the broker, and hands what comes to the group commit."""

    def __init__(self, parameters: Parameters, at: SourceContext) -> None:
        self._parameters = parameters
        self._now = at.now
        self._ready: Callable[[str], None] | None = at.ready
        self._status = at.status
        self._limits = Limits(payload=parameters.payload_max_bytes, waveform=parameters.waveform_max_bytes)
        # Connections that left no record need no number of their own: so none is given twice in one journal.
        self._number = at.journal.end() * _CONNECTIONS_PER_RECORD
        self._alive_ns = _last_received_ns(at.journal)
        self._connection: BrokerConnection | None = None
        self._received = self._refused = self._connections = 0
        self._refused_topics: list[str] = []
        self._error: str | None = None
        self._told: Mapping[str, Json] = {}
        self._told_s = 0.0

    def turn(self, full: bool) -> None:
        """Let the broker wait while the queue is full; its window or its queue keeps what it has."""
        if self._connection is not None:
            self._connection.read(on=not full)

    async def collect(self, group: GroupCommit, stopping: asyncio.Event) -> None:
        """Connect, stay, connect anew after a wait that grows with each failure, until told to stop."""
        self._group = group
        loop = asyncio.get_running_loop()
        stop: asyncio.Future[bool] = loop.create_task(stopping.wait(), name="stop of the collector")
        failures = 0
        try:
            while not stop.done():
                began_s = loop.time()
                self._error = await self._connected(stop)
                steady = loop.time() - began_s >= _STEADY_S
                failures = 0 if steady else failures + 1
                if not stop.done():
                    _log.warning("no connection to the broker; trying again", extra={"why": self._error})
                    await self._wait(wait_s(self._parameters, failures), stop)
        finally:
            stop.cancel()

    async def _connected(self, stop: asyncio.Future[bool]) -> str:
        """One connection, from its beginning to its end; gives why it ended."""
        parameters = self._parameters
        connection = BrokerConnection(_address(parameters), self._limits, self._take)
        self._number += 1
        self._connection = connection
        try:
            await connection.open()
            self._note_what_is_missing(session_present=connection.session_present)
            self._refused_topics = await connection.subscribe(parameters.topics, parameters.qos)
            if len(self._refused_topics) == len(parameters.topics):
                return f"the broker refuses to let us subscribe to {', '.join(parameters.topics)}"
            self._welcome()
            await self._stay(connection, stop)
        except ConnectionLost as error:
            return str(error)
        finally:
            connection.close()
            self._connection = None
        return connection.lost.result()

    async def _stay(self, connection: BrokerConnection, stop: asyncio.Future[bool]) -> None:
        """Keep the connection alive until it is lost or we stop; then acknowledge what was read."""
        while not stop.done() and not connection.lost.done():
            self._alive_ns = self._now()
            self._tell(connected=True)
            await asyncio.wait(
                cast("set[asyncio.Future[object]]", {stop, connection.lost, self._group.failure}),
                timeout=1.0,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if self._group.failure.done():
                self._group.failure.result()
            connection.look_after()
        connection.read(on=False)
        if self._group.stalled is None and not connection.lost.done():
            with contextlib.suppress(TimeoutError):  # what is not durable stays with the broker
                await asyncio.wait_for(self._group.drain(), _COMMIT_S)
                await connection.settle(_SETTLE_S)

    async def _wait(self, seconds: float, stop: asyncio.Future[bool]) -> None:
        """Wait before the next try, and as long as there would be no room for what it brings."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + seconds
        while not stop.done() and (self._group.full or loop.time() < until_s):
            self._tell(connected=False)
            left_s = max(0.05, until_s - loop.time())
            await asyncio.wait(
                {stop, self._group.failure}, timeout=min(1.0, left_s), return_when=asyncio.FIRST_COMPLETED
            )
            if self._group.failure.done():
                self._group.failure.result()

    def _note_what_is_missing(self, *, session_present: bool) -> None:
        """Say so in the journal when the broker cannot have kept what was published since we were last here."""
        if self._alive_ns is not None and not session_present:
            self._group.add([missing(self._alive_ns, self._now(), "session_lost")])
        elif self._alive_ns is not None and self._parameters.qos == 0:
            self._group.add([missing(self._alive_ns, self._now(), "disconnected")])

    def _welcome(self) -> None:
        self._connections += 1
        self._error = None
        if self._refused_topics:
            _log.error("the broker refuses topics", extra={"topics": self._refused_topics})
        if self._ready is not None:
            parameters = self._parameters
            scheme = "mqtts" if parameters.tls else "mqtt"
            self._ready(f"{scheme}://{parameters.host}:{parameters.port}")
            self._ready = None

    def _take(self, messages: Sequence[Message]) -> None:
        """Hand on what was read; it is acknowledged on this connection, or never, once all of it is durable."""
        at_ns, number, may_lose = self._now(), self._number, self._group.may_lose
        records: list[Record] = []
        packets: list[int] = []
        self._received += len(messages)
        for message in messages:
            qos = message.flags >> 2
            if not qos and may_lose:
                self._group.lose()
                continue
            if isinstance(message, Oversized):
                self._refused += 1
                kind, body = RecordKind.REFUSED, too_large(message)
            else:
                kind, body = RecordKind.MESSAGE, message.body
            records.append(Record(kind, at_ns, message.topic, body, number, message.packet, message.flags))
            if qos:
                packets.append(message.packet)
        if records and self._connection is not None:
            durable = functools.partial(self._connection.acknowledge, packets) if packets else None
            self._group.add(records, durable)

    def _tell(self, *, connected: bool) -> None:
        facts: Mapping[str, Json] = {
            "connected": connected,
            "received": self._received,
            "refused": self._refused,
            "overflow": self._group.overflow,
            "connections": self._connections,
            "refused_topics": self._refused_topics,
            "error": self._error,
            "stalled": self._group.stalled,
        }
        now_s = asyncio.get_running_loop().time()
        if facts != self._told and now_s - self._told_s >= 1.0:
            self._status(facts)
            self._told, self._told_s = facts, now_s


def wait_s(parameters: Parameters, failures: int) -> float:
    """How long to wait after so many failures: doubling up to the longest, with jitter so that not all come at once."""
    longest = min(parameters.retry_max_s, parameters.retry_min_s * 2.0 ** min(failures - 1, 30))
    return longest * random.SystemRandom().uniform(0.5, 1.0)


def _last_received_ns(journal: Journal) -> int | None:
    """When the last record that can be read was received; None if there is none."""
    for position in range(journal.end() - 1, max(-1, journal.end() - 100), -1):
        with contextlib.suppress(JournalError, ports.CorruptRecord):
            if records := journal.read(position, 1):
                return records[0].received_ns
    return None


def _address(parameters: Parameters) -> Address:
    return Address(
        host=parameters.host,
        port=parameters.port,
        client_id=parameters.client_id,
        version=MQTTProtocolVersion.MQTTv5 if parameters.protocol == "5" else MQTTProtocolVersion.MQTTv311,
        keep_alive_s=parameters.keep_alive_s,
        timeout_s=parameters.connect_timeout_s,
        session_expiry_s=parameters.session_expiry_s,
        receive_maximum=parameters.receive_maximum,
        user=parameters.user,
        password=_password(parameters),
        tls=_tls(parameters.tls),
    )


def _password(parameters: Parameters) -> str | None:
    """The password, read anew for each connection so that it can be changed."""
    if parameters.password_file is not None:
        return parameters.password_file.read_text("utf-8").rstrip("\r\n")
    if parameters.password_env is not None:
        if parameters.password_env not in os.environ:
            raise OSError(f"the environment variable {parameters.password_env} (password_env) is not set")
        return os.environ[parameters.password_env]
    return None


def _tls(parameters: Tls | None) -> ssl.SSLContext | None:
    if parameters is None:
        return None
    context = ssl.create_default_context(cafile=parameters.ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if parameters.certificate is not None:
        context.load_cert_chain(parameters.certificate, parameters.key)
    return context

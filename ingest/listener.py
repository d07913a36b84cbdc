"""Andon's own MQTT door: devices publish here without a broker, and hear PUBACK only when their message is on disk."""

import asyncio
import contextlib
import ipaddress
import ssl
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from andon.clock import Now
from andon.events import Json
from andon.ports import Journal, SourceContext
from ingest.credentials import Doorkeeper, User
from ingest.desk import Desk
from ingest.group_commit import GroupCommit
from ingest.last_received import last_received_ns
from ingest.mqtt_packets import Reason
from ingest.mqtt_session import Session
from ingest.mqtt_wire import Limits
from ingest.sparkplug_voice import HostRole, Voice

_MIB = 1024 * 1024
_LOOK_S = 0.5
"""How often time-outs are judged and the status is told."""
_COMMIT_S, _CLOSE_S = 3.0, 1.0
"""How long a clean stop may take, together less than 5 s."""
_CONNECTIONS_PER_RECORD = 1 << 20


class Tls(BaseModel):
    """The listener's certificate, and whose certificates it asks of clients."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    certificate: Path = Field(description="PEM file with the certificate and its chain")
    key: Path = Field(description="PEM file with its private key")
    client_ca: Path | None = Field(
        default=None,
        description="PEM file; if given, clients must show a certificate of this CA, and its CN is the user name",
    )


class Parameters(BaseModel):
    """How the listener listens."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    host: str = Field(default="127.0.0.1", description="address to listen on; not loopback only with tls")
    port: int = Field(default=1883, ge=0, le=65535, description="TCP port; 0 takes any free one")
    users: dict[str, User] = Field(
        default_factory=dict, description="who may publish, by user name or certificate CN"
    )
    anonymous: bool = Field(default=False, description="let clients in without a name; on loopback only")
    tls: Tls | None = Field(default=None, description="encryption and client certificates")
    sparkplug: HostRole = Field(default=HostRole(), description="what we are for Sparkplug edge nodes")
    payload_max_bytes: int = Field(
        default=_MIB,
        ge=64,
        le=64 * _MIB,
        description="largest payload, in bytes; beyond it a message is refused",
    )
    waveform_max_bytes: int = Field(
        default=8 * _MIB, ge=64, le=64 * _MIB, description="largest payload on /_wave/ topics, in bytes"
    )
    receive_maximum: int = Field(
        default=1000, ge=1, le=65535, description="messages one client may have unacknowledged"
    )
    connections_max: int = Field(default=1000, ge=1, le=100_000, description="clients at the same time")
    connecting_max: int = Field(
        default=100,
        ge=1,
        le=10_000,
        description="connections at the same time that have not said who they are",
    )
    connect_timeout_s: float = Field(
        default=10.0, gt=0, le=300, description="seconds in which a client has to say who it is"
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
    unfinished_max_bytes: int = Field(
        default=64 * _MIB, ge=1024, description="bytes of messages still arriving, of all clients together"
    )

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        loopback = _is_loopback(self.host)
        if not loopback and self.tls is None:
            raise ValueError(
                f"{self.host} can be reached from other machines: give tls (certificate, key), or listen on 127.0.0.1"
            )
        if not loopback and self.anonymous:
            raise ValueError(f"anonymous clients are for loopback only, and {self.host} is not: give users")
        if not self.users and not self.anonymous:
            raise ValueError("nobody could publish: give users (a password hash each, or tls.client_ca)")
        certified = self.tls is not None and self.tls.client_ca is not None
        bare = sorted(name for name, user in self.users.items() if user.password is None)
        if bare and not certified:
            raise ValueError(f"no way to know {', '.join(bare)}: give a password hash, or tls.client_ca")
        return self


async def run(parameters: Parameters, at: SourceContext) -> None:
    """Listen until `stopping` is set, then commit what was read, acknowledge it and close, within 5 s.

    `ready` is told `mqtt://host:port` (or `mqtts://`). Raises OSError if the address or a certificate cannot be
    used, or if the journal fails; nothing that was not durable has been acknowledged then.
    """
    loop = asyncio.get_running_loop()
    tls = _tls(parameters.tls)
    async with contextlib.AsyncExitStack() as stack:
        checker = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="doorkeeper"))
        group = GroupCommit(
            at.journal,
            at.now,
            bound_records=parameters.queue_max_records,
            bound_bytes=parameters.queue_max_bytes,
            on_change=lambda full: _turn(desk, full=full),
        )
        desk = _desk(parameters, at.journal, group, at.now, checker)
        desk.voice.begin()
        await stack.enter_async_context(group)
        server = await loop.create_server(
            lambda: Session(desk),
            parameters.host,
            parameters.port,
            ssl=tls,
            ssl_handshake_timeout=parameters.connect_timeout_s if tls else None,
            backlog=1024,
        )
        stack.callback(checker.shutdown, wait=False, cancel_futures=True)
        port = server.sockets[0].getsockname()[1]
        at.ready(f"{'mqtts' if tls else 'mqtt'}://{parameters.host}:{port}")
        heeding = loop.create_task(_heed(desk, at.words), name="words to the listener")
        try:
            await _serve(desk, at.stopping, at.status)
        finally:
            heeding.cancel()
            server.close()
            await _say_goodbye(desk)


async def _heed(desk: Desk, words: "asyncio.Queue[Mapping[str, Json]]") -> None:
    """Listen for words while we serve."""
    while True:
        word = await words.get()
        if word.get("word") == "rebirth":
            command = desk.voice.rebirth(str(word.get("edge")))
            if command is not None:
                desk.say(*command)


async def _serve(desk: Desk, stopping: asyncio.Event, status: Callable[[Mapping[str, Json]], None]) -> None:
    """Judge time-outs and tell the status until told to stop; raises what the journal raised."""
    told: Mapping[str, Json] = {}
    told_s, received = 0.0, 0
    loop = asyncio.get_running_loop()
    stop: asyncio.Future[bool] = loop.create_task(stopping.wait(), name="stop of the listener")
    try:
        while not stop.done():
            await asyncio.wait(
                {stop, desk.group.failure}, timeout=_LOOK_S, return_when=asyncio.FIRST_COMPLETED
            )
            if desk.group.failure.done():
                desk.group.failure.result()
            for session in desk.everyone():
                session.judge_time()
            if desk.received != received:
                received, desk.last_received_ns = desk.received, desk.now()
            desk.tell_state()
            facts = _facts(desk)
            if facts != told and loop.time() - told_s >= 1.0:
                status(facts)
                told, told_s = facts, loop.time()
    finally:
        stop.cancel()


async def _say_goodbye(desk: Desk) -> None:
    """Read no more, make durable and acknowledge what was read, close.

    No will is taken down: it is not the devices that went. With a full disk or a failed journal, what is not
    durable stays unacknowledged, and the devices keep it.
    """
    for session in desk.everyone():
        session.hold("stopping")
    if desk.group.stalled is None and not desk.group.failure.done():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(desk.group.drain(), _COMMIT_S)
    gone = [session.gone for session in desk.everyone()]
    for session in desk.everyone():
        session.leave(Reason.SERVER_SHUTTING_DOWN, with_will=False)
    if gone:
        _, left = await asyncio.wait(gone, timeout=_CLOSE_S)
        for session in desk.everyone():
            session.abort()
        if left:
            await asyncio.wait(left)


def _turn(desk: Desk, *, full: bool) -> None:
    """Stop reading everyone while the queue is full; read again when there is room."""
    for session in desk.everyone():
        if full:
            session.hold("full")
        else:
            session.release("full")


def _desk(
    parameters: Parameters, journal: Journal, group: GroupCommit, now: Now, checker: ThreadPoolExecutor
) -> Desk:
    return Desk(
        group=group,
        doorkeeper=Doorkeeper(parameters.users, anonymous=parameters.anonymous),
        now=now,
        checker=checker,
        voice=Voice(parameters.sparkplug, now),
        limits=Limits(payload=parameters.payload_max_bytes, waveform=parameters.waveform_max_bytes),
        receive_maximum=parameters.receive_maximum,
        connections_max=parameters.connections_max,
        connecting_max=parameters.connecting_max,
        connect_timeout_s=parameters.connect_timeout_s,
        held_bytes_max=parameters.unfinished_max_bytes,
        # Connections that left no record need no number of their own: so none is given twice in one journal.
        next_connection=journal.end() * _CONNECTIONS_PER_RECORD + 1,
        last_received_ns=last_received_ns(journal),
    )


def _facts(desk: Desk) -> Mapping[str, Json]:
    return {
        "connected": True,
        "connections": len(desk.sessions),
        "received": desk.received,
        "last_received_ns": desk.last_received_ns,
        "refused": desk.refused,
        "overflow": desk.group.overflow,
        "turned_away": desk.turned_away,
        "rebirths_asked": desk.voice.rebirths,
        "stalled": desk.group.stalled,
    }


def _tls(parameters: Tls | None) -> ssl.SSLContext | None:
    if parameters is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(parameters.certificate, parameters.key)
    if parameters.client_ca is not None:
        context.load_verify_locations(parameters.client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

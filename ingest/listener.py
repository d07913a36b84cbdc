"""Andon's own MQTT door: devices publish here without a broker, and hear PUBACK only when their message is on disk."""

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from andon.clock import Now
from andon.config import ConfigError, check
from andon.events import Json
from andon.ports import Journal, Record, SourceContext
from ingest.credentials import Doorkeeper, User
from ingest.desk import Desk
from ingest.devices import Roll
from ingest.group_commit import GroupCommit
from ingest.last_received import last_received_ns
from ingest.listener_parameters import Parameters, Tls
from ingest.mqtt_packets import Reason
from ingest.mqtt_session import Session
from ingest.mqtt_wire import Limits
from ingest.notices import REFUSED_CONFIGURATION, Notices
from ingest.sparkplug_voice import Voice

__all__ = ["Parameters", "Tls", "run"]

_log = logging.getLogger(__name__)
_BACKLOG = 1024
_LIVE = (
    *("users", "anonymous", "payload_max_bytes", "waveform_max_bytes", "receive_maximum", "connections_max"),
    *("connecting_max", "connect_timeout_s", "unfinished_max_bytes"),
)
"""The parameters that change while the clients stay; whose user is another, or gone, has to come again."""
_LOOK_S = 0.5
"""How often time-outs are judged and the status is told."""
_COMMIT_S, _CLOSE_S = 3.0, 1.0
"""How long a clean stop may take, together less than 5 s."""
_CONNECTIONS_PER_RECORD = 1 << 20


async def run(parameters: Parameters, at: SourceContext) -> None:
    """Listen until `stopping` is set, then commit what was read, acknowledge it and close, within 5 s.

    `ready` is told `mqtt://host:port` (or `mqtts://`). `{"word": "reload"}` changes users and limits while the
    clients stay, and so does the file of devices; for anything else they are sent away and may come again at once. Raises OSError if the
    address or a certificate cannot be used at the start, or if the journal fails; nothing that was not durable
    has been acknowledged then.
    """
    notices: list[Record] = []
    terms = Terms(parameters, Notices(at.folder, at.now, notices.append), notices, Roll(at.devices))
    try:
        while not at.stopping.is_set():
            await _listen(terms, at)
    finally:
        terms.door.close()


class Terms:
    """What the listener listens by: `parameters` at the open `door`, and `next` once they have to be others.

    A door that is the same is kept open meanwhile: whoever knocks waits, and is let in by the new terms.
    """

    def __init__(self, parameters: Parameters, notices: Notices, said: list[Record], roll: Roll) -> None:
        self.parameters = parameters
        self.roll = roll
        self.next: Parameters | None = None
        self.error: str | None = None
        self.said = said
        self._notices = notices
        self.tls = _tls(parameters.tls)
        self.door = _open_door(parameters)
        self._notices.over(
            REFUSED_CONFIGURATION
        )  # what was refused before a restart is not what we start with

    def judge(self, document: object) -> None:
        """Note new parameters as the next; what cannot be used is said, and the old ones stay."""
        try:
            wanted = check(Parameters, document, "new configuration")
            tls = _tls(wanted.tls)
            moves = (wanted.host, wanted.port) != (self.parameters.host, self.parameters.port)
            door = _open_door(wanted) if moves else self.door
        except (ConfigError, OSError) as error:
            _log.error("the new configuration is refused; the old one stays", extra={"why": str(error)})
            self.error = str(error)
            self._notices.say(REFUSED_CONFIGURATION, 600, str(error))
            return
        self.error = None
        self._notices.over(REFUSED_CONFIGURATION)
        if moves:
            self.door.close()
        self.door, self.tls, self.next = door, tls, wanted

    @property
    def users(self) -> Mapping[str, User]:
        """Who may publish: those of andon.toml, and the devices."""
        return {**self.roll.devices, **self.parameters.users}

    def adopt(self, desk: Desk) -> bool:
        """Take the next parameters and devices into force where the clients can stay; False if they cannot."""
        if self.next is not None:
            new, old = self.next, self.parameters
            if new.model_copy(update={name: getattr(old, name) for name in _LIVE}) != old:
                return False
            self.parameters, self.next = new, None
            _put_limits(desk, new)
        self._look_at_devices()
        self._admit(desk)
        return True

    def _look_at_devices(self) -> None:
        before = self.roll.error
        self.roll.look()
        if self.roll.error not in {before, None}:
            _log.error("the devices are refused; those before stay", extra={"why": self.roll.error})

    def _admit(self, desk: Desk) -> None:
        """Let in who is a user now; who is one no more, or another, is sent away and has to come again."""
        new, old, anonymous = self.users, desk.doorkeeper.users, self.parameters.anonymous
        if (new, anonymous) == (old, desk.doorkeeper.anonymous):
            return
        desk.doorkeeper = Doorkeeper(new, anonymous=anonymous)
        for (user, _), session in list(desk.sessions.items()):
            same = old.get(user) == new.get(user) if user is not None else anonymous
            if not same:
                session.leave(Reason.NOT_AUTHORISED, with_will=False)


async def _listen(terms: Terms, at: SourceContext) -> None:
    """Listen by these terms, until told to stop or until they are others that the clients cannot stay for."""
    loop = asyncio.get_running_loop()
    parameters = terms.parameters = terms.next or terms.parameters
    terms.next = None
    async with contextlib.AsyncExitStack() as stack:
        checker = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="doorkeeper"))
        group = GroupCommit(
            at.journal,
            at.now,
            bound_records=parameters.queue_max_records,
            bound_bytes=parameters.queue_max_bytes,
            on_change=lambda full: _turn(desk, full=full),
        )
        desk = _desk(terms, at.journal, group, at.now, checker)
        desk.voice.begin()
        await stack.enter_async_context(group)
        server = await loop.create_server(
            lambda: Session(desk),
            sock=terms.door.dup(),
            ssl=terms.tls,
            ssl_handshake_timeout=parameters.connect_timeout_s if terms.tls else None,
            backlog=_BACKLOG,
        )
        stack.callback(checker.shutdown, wait=False, cancel_futures=True)
        port = terms.door.getsockname()[1]
        at.ready(f"{'mqtts' if terms.tls else 'mqtt'}://{parameters.host}:{port}")
        heeding = loop.create_task(_heed(desk, terms, at.words), name="words to the listener")
        try:
            await _serve(desk, terms, at)
        finally:
            heeding.cancel()
            server.close()
            await _say_goodbye(desk)


async def _heed(desk: Desk, terms: Terms, words: "asyncio.Queue[Mapping[str, Json]]") -> None:
    """Listen for words while we serve."""
    while True:
        word = await words.get()
        if word.get("word") == "reload":
            terms.judge(word.get("parameters"))
        elif word.get("word") == "rebirth":
            command = desk.voice.rebirth(str(word.get("edge")))
            if command is not None:
                desk.say(*command)


async def _serve(desk: Desk, terms: Terms, at: SourceContext) -> None:
    """Judge time-outs and tell the status until told to stop or to begin anew; raises what the journal raised."""
    told: Mapping[str, Json] = {}
    told_s, received = 0.0, 0
    loop = asyncio.get_running_loop()
    stop: asyncio.Future[bool] = loop.create_task(at.stopping.wait(), name="stop of the listener")
    try:
        while not stop.done() and terms.adopt(desk):
            if terms.said:
                desk.group.add(list(terms.said), urgent=True)
                terms.said.clear()
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
            facts = {**_facts(desk), "configuration_error": terms.error or terms.roll.error}
            if facts != told and loop.time() - told_s >= 1.0:
                at.status(facts)
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


def _desk(terms: Terms, journal: Journal, group: GroupCommit, now: Now, checker: ThreadPoolExecutor) -> Desk:
    parameters = terms.parameters
    return Desk(
        group=group,
        doorkeeper=Doorkeeper(terms.users, anonymous=parameters.anonymous),
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
        "turned_away_last": desk.turned_away_last,
        "rebirths_asked": desk.voice.rebirths,
        "stalled": desk.group.stalled,
    }


def _put_limits(desk: Desk, parameters: Parameters) -> None:
    """The limits that hold for whoever comes from now on."""
    desk.limits = Limits(payload=parameters.payload_max_bytes, waveform=parameters.waveform_max_bytes)
    desk.receive_maximum = parameters.receive_maximum
    desk.connections_max = parameters.connections_max
    desk.connecting_max = parameters.connecting_max
    desk.connect_timeout_s = parameters.connect_timeout_s
    desk.held_bytes_max = parameters.unfinished_max_bytes


def _open_door(parameters: Parameters) -> socket.socket:
    """A socket that listens on the address; OSError if it cannot be had."""
    family, _, _, _, address = socket.getaddrinfo(
        parameters.host, parameters.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    return socket.create_server(address[:2], family=family, backlog=_BACKLOG)


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
